"""How large a simulated marketplace is."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from rankloop.errors import DataError
from rankloop.simulation.arrays import Ints

__all__ = ["DAY", "Scale"]

DAY = 86_400_000_000
"""Microseconds in a day; every time inside the simulation is an int64 count of microseconds since 1970, UTC."""

_REQUESTS_BY_WEEKDAY = np.array([1.0, 1.05, 1.05, 1.0, 0.9, 0.55, 0.6])
_POSTS_BY_WEEKDAY = np.array([1.1, 1.1, 1.05, 1.0, 0.85, 0.35, 0.4])


@dataclass(frozen=True)
class Scale:
    """The size of the marketplace and of its history.

    Attributes:
        users: freelancers registered when history begins.
        users_per_day: new freelancers a day.
        items: jobs open when history begins.
        items_per_day: jobs posted a day, on average over a week.
        clients: who posts jobs.
        days: length of the history.
        impressions: rows of the impressions table, about; requests are `impressions / list_length`.
        list_length: items in one list.
        search_share: share of requests that carry a query.
        start: the first midnight, UTC.

    Raises:
        DataError: a number is not positive, or the history is shorter than a day.

    Example:
        >>> Scale.tiny().days
        14
    """

    users: int
    users_per_day: int
    items: int
    items_per_day: int
    clients: int
    days: int
    impressions: int
    list_length: int = 12
    search_share: float = 0.45
    start: datetime = datetime(2025, 3, 3, tzinfo=UTC)

    def __post_init__(self) -> None:
        for name in ("users", "users_per_day", "items", "items_per_day", "clients", "days", "impressions", "list_length"):
            if getattr(self, name) < 1:
                raise DataError(f"scale: {name} = {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.search_share <= 1:
            raise DataError(f"scale: search_share = {self.search_share}; it is a share, between 0 and 1")
        if self.start.utcoffset() is None or self.start.timestamp() % 86_400:
            raise DataError(f"scale: start = {self.start}; it must be a midnight in UTC, with its time zone")

    @classmethod
    def tiny(cls) -> "Scale":
        """A few thousand impressions, for tests."""
        return cls(users=80, users_per_day=2, items=120, items_per_day=10, clients=40, days=14, impressions=4_000, list_length=10)

    @classmethod
    def demo(cls) -> "Scale":
        """About 200,000 impressions in 60 days."""
        return cls(users=750, users_per_day=5, items=800, items_per_day=48, clients=300, days=60, impressions=200_000)

    @classmethod
    def million(cls) -> "Scale":
        """About 1,000,000 impressions in 60 days."""
        return cls(users=3_600, users_per_day=25, items=3_000, items_per_day=185, clients=1_100, days=60, impressions=1_000_000)

    @property
    def start_us(self) -> int:
        """The first midnight, microseconds since 1970."""
        return round(self.start.timestamp()) * 1_000_000

    @property
    def end_us(self) -> int:
        """The end of history (exclusive), microseconds since 1970."""
        return self.start_us + self.days * DAY

    def requests_by_day(self) -> Ints:
        """Requests of each day, `(days,)`: the weekly season on a slow growth; they sum to the target."""
        weekday = (self.start.weekday() + np.arange(self.days)) % 7
        weight = _REQUESTS_BY_WEEKDAY[weekday] * (1 + 0.3 * np.arange(self.days) / self.days)
        total = max(1, round(self.impressions / self.list_length))
        until: Ints = np.rint(np.cumsum(weight) / weight.sum() * total).astype(np.int64)
        return np.diff(until, prepend=0)

    def posts_by_day(self) -> Ints:
        """Jobs posted on each day, `(days,)`: few at weekends."""
        weekday = (self.start.weekday() + np.arange(self.days)) % 7
        weight = _POSTS_BY_WEEKDAY[weekday] * 7 / _POSTS_BY_WEEKDAY.sum()
        posts: Ints = np.rint(self.items_per_day * weight).astype(np.int64)
        return posts
