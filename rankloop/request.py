"""One demand for a ranked list, as the library sees it."""

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Request"]


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
