"""One demand for a ranked list, as the library sees it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

__all__ = ["Recent", "Request", "microseconds"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Recent(NamedTuple):
    """One act of the person that is newer than the models.

    Attributes:
        item: the item's code in the catalogue.
        kind: one of the contract's kinds, such as `click`.
        ts: microseconds since the epoch.
    """

    item: int
    kind: str
    ts: int


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, where, when, and for what.

    Attributes:
        user_id: the person; may be unknown to every model.
        surface: the product place, such as `job_feed`.
        ts: the moment, timezone-aware UTC; features use only what happened strictly before it.
        query: the search text; None where the surface has no search box.
        recent: what the person did since the models learned, oldest first, all strictly before `ts`.
    """

    user_id: str
    surface: str
    ts: datetime
    query: str | None = None
    recent: tuple[Recent, ...] = ()


def microseconds(ts: datetime) -> int:
    """A timezone-aware moment as whole microseconds since the epoch, exactly.

    Example:
        >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
        1000000
    """
    return (ts - _EPOCH) // timedelta(microseconds=1)
