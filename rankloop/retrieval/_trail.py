"""Each person's acts in order of time, cut at the moment of a request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from rankloop.request import Request, microseconds
from rankloop.retrieval._events import Events
from rankloop.vocabulary import UNKNOWN, Vocabulary

__all__ = ["NAMES", "Trail"]

NAMES: Final = ("trail_starts", "trail_item", "trail_ts")
"""Of a trail's arrays on disk."""

_DAY: Final = 86_400_000_000
"""Microseconds in a day."""


@dataclass(frozen=True)
class Trail:
    """Acts grouped by person, the oldest first.

    Attributes:
        users: who acted.
        starts: `(users + 1,)` where each person's acts begin.
        item: `(acts,)` item codes.
        ts: `(acts,)` microseconds since the epoch, ascending for a person.
    """

    users: Vocabulary
    starts: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    ts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, log: Events) -> Self:
        """From outcomes, which are in order of time."""
        order = np.argsort(log.user, kind="stable")
        counts = np.bincount(log.user, minlength=len(log.users))
        starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        return cls(log.users, starts, log.item[order], log.ts[order])

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]], users: Vocabulary) -> Self:
        """Of what `arrays` gave."""
        return cls(users, *(arrays[name] for name in NAMES))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is to be written, by name."""
        return dict(zip(NAMES, (self.starts, self.item, self.ts), strict=True))

    def fits(self, items: int) -> bool:
        """Whether every act belongs to a person and to one of so many items."""
        ends = len(self.starts) == len(self.users) + 1 and self.starts[-1] == len(self.item) == len(self.ts)
        return bool(ends and (not len(self.item) or 0 <= self.item.min() <= self.item.max() < items))

    def before(self, request: Request) -> tuple[int, int]:
        """The person's acts strictly before the request, as a span, which may be empty."""
        user = self.users.code(request.user_id)
        if user == UNKNOWN:
            return 0, 0
        start, end = int(self.starts[user]), int(self.starts[user + 1])
        end = start + int(np.searchsorted(self.ts[start:end], microseconds(request.ts), side="left"))
        return start, end

    def last(
        self, span: tuple[int, int], recent: Sequence[tuple[int, int]], *, history: int, half_life_days: float
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The last `history` different items, the newest first, and the weight of each one's age.

        An age counts from the last act; of several acts on one item the last counts.

        Args:
            span: the person's acts that the trail knows.
            recent: (item, moment) of those that came after it, the oldest first.
            history: how many items.
            half_life_days: after so many days an item counts half.
        """
        since = np.array(recent, np.int64).reshape(-1, 2)
        item, ts = (
            np.concatenate([own[slice(*span)], new])[::-1] for own, new in ((self.item, since[:, 0]), (self.ts, since[:, 1]))
        )
        first = np.sort(np.unique(item, return_index=True)[1])[:history]
        return item[first], np.exp2(-(ts[0] - ts[first]) / _DAY / half_life_days)
