"""What the crowd saw: lists, deeds and times by the release that answered."""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
import numpy as np

from services.ranking.schemas import Answer

__all__ = ["QUANTILES", "Key", "Report", "Seen", "Served"]

QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Key(NamedTuple):
    """Who answered."""

    slot: str
    release_id: str


class Served(msgspec.Struct, frozen=True):
    """One release in one slot, as the crowd met it.

    Attributes:
        slot: as the edge named it; empty where it did not.
        release_id: as the answer named it.
        people: different ones who were answered.
        lists: answers.
        empty: of these, those without an item.
        fallbacks: of these, those made with less than the whole release.
        interleaved: of these, those that hold another release's items too.
        deeds: events that the service took, by kind.
        milliseconds: quantiles of the time from the person's arrival to the answer, waits included.
    """

    slot: str
    release_id: str
    people: int
    lists: int
    empty: int
    fallbacks: int
    interleaved: int
    deeds: dict[str, int]
    milliseconds: dict[str, float]

    def rate(self, kind: str) -> float | None:
        """Deeds of a kind for each list; None before the first list."""
        return self.deeds.get(kind, 0) / self.lists if self.lists else None


class Report(msgspec.Struct, frozen=True):
    """The whole of a run.

    Attributes:
        seconds: how long people came.
        came: people who came, each time counted.
        answered: of these, those who got a list.
        unasked: of these, those who found too many waiting here to ask at all.
        failed: of these, those who gave up, by what the service last said: a status, or `no answer`.
        later: how often somebody was told to ask again later, and did.
        events: those the service took.
        rejected: those it did not, by its reason.
        unsent: deeds that were due but not taken by the end.
        to_come: deeds that had not happened by the end.
        served: by slot and release.
    """

    seconds: float
    came: int
    answered: int
    unasked: int
    failed: dict[str, int]
    later: int
    events: int
    rejected: dict[str, int]
    unsent: int
    to_come: int
    served: list[Served]


@dataclass
class _Counts:
    people: set[str] = field(default_factory=set)
    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    empty: int = 0
    fallbacks: int = 0
    interleaved: int = 0
    deeds: Counter[str] = field(default_factory=Counter)


class Seen:
    """Counts while a crowd comes; nothing in it is lost by asking for a report."""

    def __init__(self) -> None:
        self.came = self.unasked = self.later = self.unsent = self.to_come = 0
        self.failed: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self._by: dict[Key, _Counts] = {}

    @property
    def answered(self) -> int:
        """Lists so far."""
        return sum(len(own.seconds) for own in self._by.values())

    def deeds(self, kind: str) -> int:
        """Events of a kind that the service took so far."""
        return sum(own.deeds[kind] for own in self._by.values())

    def list_shown(self, slot: str, answer: Answer, person: str, seconds: float) -> Key:
        """Counts an answer; gives whose it was."""
        key = Key(slot, answer.release_id)
        counts = self._by.setdefault(key, _Counts())
        counts.people.add(person)
        counts.seconds.append(seconds)
        counts.empty += not answer.items
        counts.fallbacks += answer.fallback is not None
        counts.interleaved += answer.experiment is not None
        return key

    def deed_taken(self, key: Key, kind: str) -> None:
        """Counts an event that the service took."""
        self._by[key].deeds[kind] += 1

    def report(self, seconds: float) -> Report:
        """The counts, and quantiles."""
        return Report(
            seconds=seconds,
            came=self.came,
            answered=self.answered,
            unasked=self.unasked,
            failed=dict(self.failed),
            later=self.later,
            events=sum(own.deeds.total() for own in self._by.values()),
            rejected=dict(self.rejected),
            unsent=self.unsent,
            to_come=self.to_come,
            served=[_served(key, self._by[key]) for key in sorted(self._by)],
        )


def _served(key: Key, counts: _Counts) -> Served:
    times = np.quantile(np.frombuffer(counts.seconds.tobytes()), list(QUANTILES.values())) * 1e3
    return Served(
        slot=key.slot,
        release_id=key.release_id,
        people=len(counts.people),
        lists=len(counts.seconds),
        empty=counts.empty,
        fallbacks=counts.fallbacks,
        interleaved=counts.interleaved,
        deeds=dict(counts.deeds),
        milliseconds=dict(zip(QUANTILES, times.tolist(), strict=True)),
    )
