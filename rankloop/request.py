"""One demand for a ranked list, as the library sees it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["Request", "microseconds"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, where, when, and for what.

    Attributes:
        user_id: the person; may be unknown to every model.
        surface: the product place, such as `job_feed`.
        ts: the moment, timezone-aware UTC; features use only what happened strictly before it.
        query: the search text; None where the surface has no search box.
    """

    user_id: str
    surface: str
    ts: datetime
    query: str | None = None


def microseconds(ts: datetime) -> int:
    """A timezone-aware moment as whole microseconds since the epoch, exactly.

    Example:
        >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
        1000000
    """
    return (ts - _EPOCH) // timedelta(microseconds=1)
