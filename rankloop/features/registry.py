"""Feature views: SQL files, their headers, and the rules they obey."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rankloop.contracts import Columns
from rankloop.errors import DataError

__all__ = ["KEYS", "VALID_FROM", "Feature", "FeatureView", "fingerprint", "load_views", "names_of"]

VALID_FROM: Final = "valid_from"
"""The column that says from when a row may be used."""

KEYS: Final = (
    Columns.USER_ID,
    Columns.ITEM_ID,
    Columns.QUERY,
    Columns.CATEGORY,
    Columns.OWNER_ID,
    Columns.COUNTRY,
    Columns.SURFACE,
)
"""What a view may be keyed by. `category` and `owner_id` are the item's, `country` is the user's."""

_FOLDER: Final = Path(__file__).parent / "views"
_SNAKE: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
_HEADER: Final = re.compile(r"--\s*(key|feature):\s*(.*)\Z")


@dataclass(frozen=True, slots=True)
class Feature:
    """One output column of a view.

    Attributes:
        name: snake_case, unique over all views.
        meaning: one phrase.
        unit: `count`, `ratio`, `days`, ...; a column of type TIMESTAMP has the unit `days` (its age).
        default: the value where the key has no row; None stands for NaN.
    """

    name: str
    meaning: str
    unit: str
    default: float | None = None


@dataclass(frozen=True, slots=True)
class FeatureView:
    """A SQL file: its key columns, its features and its text.

    Attributes:
        name: the file's stem.
        summary: the first line of the header.
        keys: key columns, in order.
        features: output columns, in order.
        sql: the whole text of the file.

    Example:
        >>> view = FeatureView.parse(
        ...     "item_age",
        ...     '''-- How long an item has been open.
        ... -- key: item_id
        ... -- feature: item_age_days | since the item was posted | days
        ... SELECT item_id, created_at AS valid_from, created_at AS item_age_days FROM items
        ... ''')
        >>> view.keys, view.features[0].unit
        (('item_id',), 'days')
    """

    name: str
    summary: str
    keys: tuple[str, ...]
    features: tuple[Feature, ...]
    sql: str

    @property
    def file(self) -> str:
        """The file's name, as errors show it."""
        return f"{self.name}.sql"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column the view must return, in order: keys, `valid_from`, features."""
        return (*self.keys, VALID_FROM, *(feature.name for feature in self.features))

    @classmethod
    def parse(cls, name: str, sql: str) -> "FeatureView":
        """Reads the header of a view's text.

        Raises:
            DataError: the header breaks a rule; the message names the file and the column.
        """
        header = [line.strip() for line in sql.strip().splitlines()]
        header = header[: next((i for i, line in enumerate(header) if not line.startswith("--")), len(header))]
        marks = [match for line in header if (match := _HEADER.match(line))]
        keys = [key.strip() for mark in marks if mark[1] == "key" for key in mark[2].split(",")]
        features = [_feature(f"{name}.sql", mark[2]) for mark in marks if mark[1] == "feature"]
        summary = header[0].removeprefix("--").strip() if header and not _HEADER.match(header[0]) else ""
        view = cls(name, summary, tuple(keys), tuple(features), sql)
        _check(view)
        return view


def load_views(folder: str | Path | None = None) -> tuple[FeatureView, ...]:
    """Reads every `*.sql` of a folder, in the order of their names.

    It checks headers and names only; the columns that a view returns are checked by `compute`, against
    the tables at hand.

    Args:
        folder: a folder of views; None: the views that come with Rankloop.

    Raises:
        DataError: no view is there, a header breaks a rule, or a feature's name is used twice.

    Example:
        >>> "item_popularity" in [view.name for view in load_views()]
        True
    """
    source = _FOLDER if folder is None else Path(folder)
    files = sorted(source.glob("*.sql"), key=lambda file: file.name)
    if not files:
        raise DataError(f"{source} holds no feature view; a view is a file named <view>.sql")
    views = tuple(FeatureView.parse(file.stem, file.read_text("utf-8")) for file in files)
    names_of(views)
    return views


def names_of(views: Sequence[FeatureView]) -> tuple[str, ...]:
    """The features of several views, in order.

    Raises:
        DataError: a view's or a feature's name is used twice.
    """
    owner: dict[str, str] = {}
    for view in views:
        for feature in view.features:
            other = owner.get(feature.name)
            if other is not None:
                raise DataError(f"feature {feature.name!r} is in {other} and in {view.file}; names are unique: rename one")
            owner[feature.name] = view.file
    twice = _repeated(view.name for view in views)
    if twice:
        raise DataError(f"feature view {twice!r} is there twice; a view's name is unique: rename one")
    return tuple(owner)


def fingerprint(views: Sequence[FeatureView]) -> str:
    """SHA-256 over the names and texts of views; the order in which they are given does not matter."""
    digest = hashlib.sha256()
    for view in sorted(views, key=lambda view: view.name):
        for part in (view.name, view.sql):
            text = part.encode()
            digest.update(len(text).to_bytes(8, "big") + text)
    return digest.hexdigest()


def _feature(file: str, line: str) -> Feature:
    parts = [part.strip() for part in line.split("|")]
    if len(parts) not in (3, 4) or not all(parts):
        raise DataError(f"{file}: feature {parts[0]!r}: a feature line reads `name | what it means | unit [| default <number>]`")
    if len(parts) == 3:
        return Feature(parts[0], parts[1], parts[2])
    word, _, number = parts[3].partition(" ")
    try:
        return Feature(parts[0], parts[1], parts[2], float(number) if word == "default" else float("x"))
    except ValueError:
        raise DataError(f"{file}: feature {parts[0]!r}: {parts[3]!r} is no default; write `default 0` or leave it out") from None


def _check(view: FeatureView) -> None:
    if not _SNAKE.match(view.name):
        raise DataError(f"{view.file}: a view's name is snake_case; rename the file")
    if not view.summary:
        raise DataError(f"{view.file}: the first line says in one comment what the view holds, `-- ...`")
    if not view.keys:
        raise DataError(f"{view.file}: the header has no `-- key: ...` line; a view is keyed by some of {list(KEYS)}")
    for key in view.keys:
        if key not in KEYS:
            raise DataError(f"{view.file}: key {key!r} is unknown; a view is keyed by some of {list(KEYS)}")
    if not view.features:
        raise DataError(f"{view.file}: the header has no `-- feature: name | what it means | unit` line")
    for feature in view.features:
        if not _SNAKE.match(feature.name):
            raise DataError(f"{view.file}: feature {feature.name!r} is not snake_case")
    twice = _repeated(view.columns)
    if twice:
        raise DataError(f"{view.file}: column {twice!r} is named twice in the header")


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
