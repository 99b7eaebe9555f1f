"""The tally: lists and outcomes become sums by slot, in any order, each once. No file and no clock is touched here."""

import heapq
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import xxhash

from rankloop.canary import LATENCY_EDGES, METRICS, Arm, Coverage, Observation
from rankloop.contracts.columns import GRADES, KINDS
from services.events.records import EventRecord, ImpressionRecord
from services.ranking.fallbacks import OTHER_FAILED, OTHER_LATE
from services.tally.coverage import Showings, compare
from services.tally.lists import Lists
from services.tally.phase import Phase
from services.tally.units import FINE, Units

__all__ = ["GRACE", "SURFACES", "WINDOW", "ArmTally", "Held", "Tally"]

WINDOW: Final = 30 * 60.0
"""Seconds after which an outcome no longer belongs to a list."""

GRACE: Final = 3.0
"""Seconds for which an outcome waits, so that the list it belongs to is there whichever of the two is read first."""

SURFACES: Final = 50
"""Product places that are told apart in counts; lists of further ones are `other`."""

_UPLOAD: Final = 5 * 60.0
_FIRST: Final = 10
_CAP: Final = 100_000.0
_MICRO: Final = 1_000_000
_NOT_SPLIT: Final = frozenset({OTHER_FAILED, OTHER_LATE})
_GIVEN: Final = "given"
_BITS: Final = {kind: 1 << place for place, kind in enumerate(KINDS)}
_GAINS: Final = [
    2 ** max((GRADES[kind] for kind in KINDS if _BITS[kind] & marks), default=0) - 1 for marks in range(1 << len(KINDS))
]


class Held(NamedTuple):
    """An outcome that waits for its list; the earliest first.

    Attributes:
        received: when it was taken, microseconds since the epoch.
        ts: when it happened.
        request: hash of the request; 0: it names none.
        unit: hash of the person.
        item: hash of the item.
        kind: its number in the contract.
    """

    received: int
    ts: int
    request: int
    unit: int
    item: int
    kind: int


class ArmTally:
    """One slot's part.

    Args:
        units: what people there saw and did.
        showings: which items.
    """

    def __init__(self, units: Units | None = None, showings: Showings | None = None) -> None:
        self.units, self.showings = units or Units(), showings or Showings()
        self.lists, self.seconds = 0, [0] * (len(LATENCY_EDGES) + 1)

    def told(self, release_id: str) -> Arm:
        """What an observation says of it; the edge's own counts are 0."""
        ratios = {metric: self.units.ratio(metric) for metric in METRICS}
        return Arm(release_id, len(self.units), 0, 0, self.lists, ratios, list(self.seconds))


class Tally:
    """What was seen since the phase began.

    A list counts for the slot whose release it names; one that two releases made, or were to make, for neither. An
    outcome belongs to the list of the request it names; without one, to the person's latest list of the last half hour
    that held the item. The first outcome of a kind, by request and item, counts.

    Args:
        secret: what persons are hashed with, so that a hash says nothing of who it is.

    Example:
        >>> tally = Tally(secret=1)
        >>> tally.observation(0.0) is None
        True
    """

    def __init__(self, *, secret: int) -> None:
        self.secret = secret
        self.phase: Phase | None = None
        self.arms = (ArmTally(), ArmTally())
        self.lists, self.held, self.surfaces = Lists(), list[Held](), ["other"]
        self.shown, self.done = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str, str]]()
        self.unmatched = 0

    def begin(self, phase: Phase) -> None:
        """Another phase begins: counts are 0, and no list of before counts any more, nor what comes of it."""
        self.phase, self.arms = phase, (ArmTally(), ArmTally())
        self.lists.disown()

    def take_list(self, record: ImpressionRecord) -> None:
        """Counts a list; a request that is there already, sent again when its replica died, counts once."""
        request = _hash(record.request_id)
        if request in self.lists:
            return
        unit, items = self._unit(record.user_id), [_hash(item) for item in record.items]
        arm, surface = self._arm(record), self._surface(record.surface)
        self.lists.add(request, unit, record.ts, arm, items, surface)
        if arm < 0 or self.phase is None:
            return
        own = self.arms[arm]
        own.lists += 1
        own.seconds[bisect_left(LATENCY_EDGES, record.micros / _MICRO)] += 1
        if _GIVEN not in record.sources:
            own.showings.add(unit or request, items)
        if unit:
            score = _mean(record.scores)
            fine = {} if score is None else {"scored": 1, "score": round(score * FINE)}
            rare = {name: 1 for name, is_so in (("empty", not items), ("fallback", record.fallback)) if is_so}
            own.units.add(unit, lists=1, **rare, **fine)
        self.shown[self.phase.slots[arm], self.phase.releases[arm], self.surfaces[surface]] += 1

    def take_event(self, record: EventRecord) -> None:
        """Takes an outcome, which is counted when `advance` has come to it."""
        if record.kind in _BITS:
            request = _hash(record.request_id) if record.request_id else 0
            unit, item = self._unit(record.user_id), _hash(record.item_id)
            kind = KINDS.index(record.kind)
            heapq.heappush(self.held, Held(record.received, record.ts, request, unit, item, kind))

    def forget(self, user_id: str, other: int) -> None:
        """Nothing can be told any more of who a person's lists were shown to.

        Args:
            user_id: the person.
            other: a random number that takes the place of their hash in sums.
        """
        unit = self._unit(user_id)
        self.lists.forget_person(unit)
        self.held = [one for one in self.held if one.unit != unit]
        heapq.heapify(self.held)
        for arm in self.arms:
            arm.units.table.rename(unit, other)
            arm.showings.forget(unit, other)

    def advance(self, time: float) -> None:
        """Everything until `time`, seconds since the epoch, was taken: outcomes until shortly before it are counted."""
        while self.held and self.held[0].received <= (time - GRACE) * _MICRO:
            self._credit(heapq.heappop(self.held))
        self.lists.forget_before(int((time - WINDOW - _UPLOAD) * _MICRO))

    def observation(self, at: float, coverage: Coverage | None = None) -> Observation | None:
        """Both slots; None before the first phase."""
        if self.phase is None:
            return None
        stable, canary = (arm.told(release) for arm, release in zip(self.arms, self.phase.releases, strict=True))
        return Observation(at, self.phase.began, self.phase.canary_bp, stable, canary, coverage)

    def coverage(self) -> Coverage | None:
        """Distinct items of both slots; it takes a tenth of a second at a million pairs of unit and item."""
        stable, canary = self.arms
        return compare(canary.showings, stable.showings)

    def _credit(self, one: Held) -> None:
        window = int(WINDOW * _MICRO)
        shown = self.lists.of_request(one.request) if one.request else None
        if not one.request and one.unit:
            shown = self.lists.of_person(one.unit, one.item, one.ts - window, one.ts)
        if shown is None or one.item not in shown.items or one.ts - shown.ts > window:
            self.unmatched += 1
            return
        before, place = self.lists.marks(shown), shown.items.index(one.item)
        if shown.arm < 0 or self.phase is None or not self.lists.mark(shown, place, 1 << one.kind):
            return
        slot, release = self.phase.slots[shown.arm], self.phase.releases[shown.arm]
        self.done[slot, release, self.surfaces[shown.surface], KINDS[one.kind]] += 1
        if shown.unit:
            more = _gained(before, self.lists.marks(shown))
            more["clicks"] = int(KINDS[one.kind] == "click" and place < _FIRST)
            more["applies"] = int(KINDS[one.kind] == "apply")
            self.arms[shown.arm].units.add(shown.unit, **{name: count for name, count in more.items() if count})

    def _arm(self, record: ImpressionRecord) -> int:
        """-1 where a list counts for no slot."""
        if self.phase is None or record.ts < self.phase.began * _MICRO or record.teams is not None:
            return -1
        return -1 if _NOT_SPLIT.intersection((record.fallback or "").split("; ")) else self.phase.arm(record.release_id)

    def _unit(self, user_id: str) -> int:
        return xxhash.xxh64_intdigest(user_id.encode(), self.secret) or 1 if user_id else 0

    def _surface(self, name: str) -> int:
        if name not in self.surfaces:
            if len(self.surfaces) > SURFACES:
                return 0
            self.surfaces.append(name)
        return self.surfaces.index(name)


def _gained(before: Sequence[int], after: Sequence[int]) -> dict[str, int]:
    """What a list's nDCG, and whether it has one, grows by."""
    old, new = _ndcg(before), _ndcg(after)
    return {"judged": (new is not None) - (old is not None), "ndcg": (new or 0) - (old or 0)}


def _ndcg(marks: Sequence[int]) -> int | None:
    """nDCG at 10 with exponential gains, in billionths; None where nothing better than nothing happened.

    As `rankloop.metrics.ndcg`: the ideal list is the same list sorted, cut at 10 too.
    """
    gains = [_GAINS[mark] for mark in marks]
    if not any(gains):
        return None
    best = sorted(gains, reverse=True)
    return round(_dcg(gains) / _dcg(best) * FINE)


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains[:_FIRST], 1))


def _mean(scores: Sequence[float]) -> float | None:
    """None of an empty list, or one with a score that is no number; far beyond what a ranker gives it is cut."""
    mean = sum(scores) / len(scores) if scores else math.nan
    return max(-_CAP, min(_CAP, mean)) if math.isfinite(mean) else None


def _hash(text: str) -> int:
    return xxhash.xxh64_intdigest(text.encode())
