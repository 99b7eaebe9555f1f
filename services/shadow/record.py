"""The record of one comparison of two releases: it grows by requests, lies in one file, and is gone on with."""

import math
import re
from bisect import insort
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from rankloop.errors import DataError
from rankloop.files import write_aside
from rankloop.metrics import Distinct, Interval, RunningMean
from services.shadow.comparing import Comparison, Example, Line

__all__ = [
    "LATENCY_EDGES",
    "OUTCOMES",
    "SHARE_BINS",
    "Estimate",
    "Mean",
    "Positions",
    "Record",
    "Shadow",
    "furthest",
    "newest",
    "path_of",
    "read",
]

OUTCOMES: Final = ("compared", "failed", "late", "degraded", "old")
"""What became of a request in the shadow's share."""

SHARE_BINS: Final = 20
"""Bins of a histogram of shares, from 0 to 1."""

LATENCY_EDGES: Final = tuple(float(edge) for edge in np.geomspace(1e-4, 10.0, 61))
"""Edges of the bins of a histogram of times, seconds; what is outside is in the first or the last."""

Positions = dict[str, tuple[int, int]]
_DRAWN: Final = ("overlap@10", "rbo")


class Mean(msgspec.Struct):
    """A `RunningMean`, put away."""

    sums: list[float]
    counts: list[float]
    dropped: int


class Estimate(msgspec.Struct):
    """A mean and its 95 % interval over people; null where there is none."""

    mean: float | None
    lower: float | None
    upper: float | None
    requests: int
    undefined: int


class Record(msgspec.Struct):
    """What is kept of a comparison.

    Attributes:
        stable: the release that people saw.
        other: the release that was asked in the shadow.
        began: when the first request was compared, microseconds since the epoch; 0 before it.
        updated: when the last one was.
        people: from how many people the requests are.
        outcomes: requests by what became of them.
        summary: by metric; after `metric, surface` those of one product place.
        empty: lists without an item, by `shown` and `other`.
        fallbacks: by `shown` and `other`, then by reason: lists made with less than the whole release.
        histograms: by metric: requests in `SHARE_BINS` bins; by `shown seconds` and `other seconds`: between `LATENCY_EDGES`.
        examples: the most different pairs of lists, the worst first.
        positions: by writer of the impression spool: the segment and the offset to go on from.
        means: what `summary` is computed from.
        seen: what `people` is computed from.
    """

    stable: str
    other: str
    began: int = 0
    updated: int = 0
    people: int = 0
    outcomes: dict[str, int] = msgspec.field(default_factory=dict)
    summary: dict[str, Estimate] = msgspec.field(default_factory=dict)
    empty: dict[str, int] = msgspec.field(default_factory=dict)
    fallbacks: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    histograms: dict[str, list[int]] = msgspec.field(default_factory=dict)
    examples: list[Example] = msgspec.field(default_factory=list)
    positions: Positions = msgspec.field(default_factory=dict)
    means: dict[str, Mean] = msgspec.field(default_factory=dict)
    seen: list[int] = msgspec.field(default_factory=list)


class Shadow:
    """A record that grows.

    Args:
        record: what there is so far.
        keep_worst: how many examples are kept.
    """

    def __init__(self, record: Record, keep_worst: int) -> None:
        self.record, self._keep_worst = record, keep_worst
        self._means = {name: RunningMean(one.sums, one.counts, one.dropped) for name, one in record.means.items()}
        self._people = Distinct(record.seen)

    def count(self, outcome: str) -> None:
        """Notes what became of a request."""
        self.record.outcomes[outcome] = self.record.outcomes.get(outcome, 0) + 1

    def add(self, one: Comparison, *, now: int, shown_seconds: float, other_seconds: float) -> None:
        """Takes one comparison, made at the moment `now` (microseconds)."""
        record, person = self.record, one.user_id or f"request {one.example.request_id}"
        record.began, record.updated = record.began or now, now
        self._people.add(person)
        for name, value in one.values.items():
            self._mean(name).add(value, person)
        for name in _DRAWN:
            self._mean(f"{name}, {one.example.surface}").add(one.values[name], person)
            if not math.isnan(one.values[name]):
                _bin(record.histograms, name, SHARE_BINS, min(int(one.values[name] * SHARE_BINS), SHARE_BINS - 1))
        for side, seconds in (("shown seconds", shown_seconds), ("other seconds", other_seconds)):
            place = int(np.searchsorted(LATENCY_EDGES, seconds)) - 1
            _bin(record.histograms, side, len(LATENCY_EDGES) - 1, min(max(place, 0), len(LATENCY_EDGES) - 2))
        for side, lines in (("shown", one.example.shown), ("other", one.example.other)):
            record.empty[side] = record.empty.get(side, 0) + (not lines)
        self._keep(one.example)

    def fell_back(self, side: str, reasons: str | None) -> None:
        """Notes why a list was made with less than the whole release, if it was."""
        own = self.record.fallbacks.setdefault(side, {})
        for reason in (reasons or "").split("; "):
            if reason:
                own[reason] = own.get(reason, 0) + 1

    def write(self, folder: Path) -> Path:
        """Writes the record whole, with its summary."""
        record = self.record
        record.people, record.seen = self._people.count, self._people.smallest
        record.means = {name: Mean(one.sums.tolist(), one.counts.tolist(), one.dropped) for name, one in self._means.items()}
        record.summary = {name: _estimate(one.interval(record.people)) for name, one in self._means.items()}
        return write_aside(path_of(folder, record.stable, record.other), msgspec.json.encode(record).decode() + "\n", mode=0o600)

    def _keep(self, one: Example) -> None:
        """The same pair of lists is one example, however often it is asked for."""
        kept, lists = self.record.examples, (one.query, _items(one.shown), _items(one.other))
        if math.isnan(one.rbo) or any((own.query, _items(own.shown), _items(own.other)) == lists for own in kept):
            return
        insort(kept, one, key=lambda example: example.rbo)
        del kept[self._keep_worst :]

    def _mean(self, name: str) -> RunningMean:
        return self._means.setdefault(name, RunningMean())


def path_of(folder: Path, stable: str, other: str) -> Path:
    """The record's file."""
    return folder / (re.sub(r"[^A-Za-z0-9._-]", "_", f"{stable}-vs-{other}") + ".json")


def read(file: Path) -> Record:
    """Reads a record.

    Raises:
        DataError: it is none.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{file} is no record of a shadow: {error}; move it away, and a new one begins") from error


def newest(folder: Path) -> Path | None:
    """The record that was written last."""
    return max(folder.glob("*-vs-*.json"), key=lambda file: file.stat().st_mtime_ns, default=None)


def furthest(several: Iterable[Positions]) -> Positions:
    """By writer the furthest of several positions."""
    found: Positions = {}
    for positions in several:
        for writer, position in positions.items():
            found[writer] = max(found.get(writer, (0, 0)), position)
    return found


def _items(lines: list[Line]) -> list[str]:
    return [line.item_id for line in lines]


def _bin(histograms: dict[str, list[int]], name: str, size: int, place: int) -> None:
    histograms.setdefault(name, [0] * size)[place] += 1


def _estimate(interval: Interval) -> Estimate:
    mean, lower, upper = (value if math.isfinite(value) else None for value in interval[:3])
    return Estimate(mean, lower, upper, interval.queries, interval.dropped)
