"""Who asked to be forgotten, told by keyed hashes, so that whatever is built from a log can leave them out."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import polars as pl

from rankloop.contracts import Columns
from rankloop.errors import DataError

__all__ = ["Erased", "divided", "fingerprint", "hashed", "named_users", "parse", "text_of", "without"]

_STAYS: Final = "~stays"
_PREFIX: Final = b"rankloop erasure key "


class Erased(NamedTuple):
    """The erasures of one key.

    Attributes:
        key: its fingerprint.
        at: keyed hash of a person's id to the moment of the last erasure, microseconds since the epoch.
    """

    key: str
    at: Mapping[str, int]


def hashed(key: bytes, user_id: str) -> str:
    """The keyed hash of a person's id, HMAC-SHA256 in hex: without the key nobody can tell whose it is.

    Example:
        >>> hashed(b"key", "u1")[:16]
        'dc0708706ec6b9b1'
    """
    return hmac.new(key, user_id.encode(), hashlib.sha256).hexdigest()


def fingerprint(key: bytes) -> str:
    """A name for a key that does not tell it.

    Example:
        >>> fingerprint(b"key") == fingerprint(b"key") != fingerprint(b"lock")
        True
    """
    return hashlib.sha256(_PREFIX + key).hexdigest()[:16]


def text_of(erased: Erased) -> str:
    """The erasures as JSON, as they travel with a log."""
    return json.dumps({"key": erased.key, "erased": dict(erased.at)}) + "\n"


def parse(text: str, where: str) -> Erased:
    """The erasures of a file; `where` names it in the error.

    Raises:
        DataError: the text is none that `text_of` wrote.

    Example:
        >>> parse(text_of(Erased("k", {"h": 3})), "a file").at
        {'h': 3}
    """
    try:
        content = json.loads(text)
        return Erased(str(content["key"]), {str(name): int(at) for name, at in content["erased"].items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{where} is no list of erasures ({error!r}); take it again from where the log was written") from error


def named_users(users: pl.Series, erased: Mapping[str, int], key: bytes) -> dict[str, int]:
    """Of the people in a column those that were erased, by id, and when."""
    if not erased:
        return {}
    hashes = ((user, hashed(key, user)) for user in users.unique().drop_nulls())
    return {user: erased[name] for user, name in hashes if name in erased}


def without(
    frame: pl.DataFrame, erased: Mapping[str, int], key: bytes, *, moments: Sequence[str] = (Columns.TS,)
) -> pl.DataFrame:
    """The rows that may stay: those of people never erased, and those that began after the erasure.

    Args:
        frame: with `user_id` and the columns of `moments`, which hold UTC times.
        erased: keyed hash to the moment of the erasure, microseconds since the epoch.
        key: the key of the hashes.
        moments: a row is dropped when the earliest of these is not after the erasure.

    Example:
        >>> rows = pl.DataFrame({"user_id": ["u1", "u1", "u2"], "ts": [1, 9, 1]}).cast({"ts": pl.Datetime("us", "UTC")})
        >>> without(rows, {hashed(b"key", "u1"): 5}, b"key").rows()[0][0], without(rows, {}, b"key").height
        ('u1', 3)
    """
    return divided(frame, erased, key, moments=moments)[0]


def divided(
    frame: pl.DataFrame, erased: Mapping[str, int], key: bytes, *, moments: Sequence[str] = (Columns.TS,)
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The same, and how many rows each erased person loses, by keyed hash."""
    gone = named_users(frame.get_column(Columns.USER_ID), erased, key)
    if not gone:
        return frame, {}
    at = pl.col(Columns.USER_ID).replace_strict(list(gone), list(gone.values()), default=None, return_dtype=pl.Int64)
    first = pl.min_horizontal(pl.col(column).dt.epoch("us") for column in moments)
    marked = frame.with_columns((at.is_null() | (first > at)).fill_null(True).alias(_STAYS))
    lost = marked.filter(~pl.col(_STAYS)).get_column(Columns.USER_ID).value_counts(name="rows")
    kept = marked.filter(pl.col(_STAYS)).drop(_STAYS)
    return kept, {hashed(key, user): rows for user, rows in lost.iter_rows()}
