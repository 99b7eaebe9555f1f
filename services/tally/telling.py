"""What the tally says: as JSON for one who asks it directly, and as series for Prometheus."""

import threading
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Final

import msgspec

from monitoring.metrics import TallyMetrics
from rankloop.canary import LATENCY_EDGES, Arm, Coverage, Observation
from services.tally.phase import Phase
from services.tally.tally import Tally

__all__ = ["BOUNDS", "MOMENTS", "ROLES", "Board", "Told", "counts_below", "counts_between"]

ROLES: Final = ("stable", "canary")
MOMENTS: Final = ("units", "x", "y", "xx", "yy", "xy")
BOUNDS: Final = (*(repr(edge) for edge in LATENCY_EDGES), "+Inf")
"""The values of the label `le`, as in a Prometheus histogram."""


class Told(msgspec.Struct, frozen=True):
    """What `GET /tally` answers.

    Attributes:
        reached: until when everything was read, seconds since the epoch.
        lag_seconds: how long ago that is; above a few seconds it is behind, and an observation is of then.
        phase: what it counts; None before it could be told.
        observation: of the phase; `requests` and `failed` are the edge's to say, and 0 here.
        unmatched: outcomes whose list was not found.
    """

    reached: float
    lag_seconds: float
    phase: Phase | None
    observation: Observation | None
    unmatched: int = 0


class Board:
    """What was last shown, whole: a reader never sees half of a change.

    Args:
        metrics: the series.
        clock: Unix time, seconds.
    """

    def __init__(self, metrics: TallyMetrics, clock: Callable[[], float]) -> None:
        self._metrics, self._clock = metrics, clock
        self._lock = threading.Lock()
        self._shown = Told(0.0, 0.0, None, None)
        self.reached, self._releases = 0.0, set[str]()
        metrics.lag.set_function(self._lag)

    def show(self, tally: Tally, coverage: Coverage | None) -> None:
        """Takes the tally as it is now."""
        seen = tally.observation(self.reached, coverage)
        with self._lock:
            self._shown = Told(self.reached, 0.0, tally.phase, seen, tally.unmatched)
            if seen is not None and tally.phase is not None:
                self._draw(tally.phase, seen)
            self._count(tally)

    def json(self) -> bytes:
        """What was last shown."""
        with self._lock:
            return msgspec.json.encode(msgspec.structs.replace(self._shown, lag_seconds=self._lag()))

    def text(self) -> bytes:
        """The series, as a scraper reads them."""
        with self._lock:
            return self._metrics.text()

    def _lag(self) -> float:
        return max(0.0, self._clock() - self.reached) if self.reached else 0.0

    def _count(self, tally: Tally) -> None:
        """Adds what was counted since the last time; of releases that are in no slot any more nothing is told."""
        metrics, kept = self._metrics, tally.phase.releases if tally.phase else ()
        for release in self._releases.difference(kept):
            for counter in (metrics.release_lists, metrics.release_outcomes):
                counter.remove_by_labels({"release_id": release})
        self._releases.intersection_update(kept)
        for (slot, release, surface), count in tally.shown.items():
            metrics.all_lists.labels(slot, surface).inc(count)
            if release in kept:
                self._releases.add(release)
                metrics.release_lists.labels(surface, release).inc(count)
        for (slot, release, surface, kind), count in tally.done.items():
            metrics.outcomes.labels(slot, surface, kind).inc(count)
            if release in kept:
                self._releases.add(release)
                metrics.release_outcomes.labels(surface, release, kind).inc(count)
        tally.shown.clear()
        tally.done.clear()

    def _draw(self, phase: Phase, seen: Observation) -> None:
        metrics = self._metrics
        for gauge in (metrics.units, metrics.lists, metrics.moments, metrics.latency, metrics.coverage, metrics.release):
            gauge.clear()
        metrics.phase_start.set(phase.began)
        metrics.canary_share.set(phase.canary_bp / 10_000)
        for slot, role, arm in zip(phase.slots, ROLES, (seen.stable, seen.canary), strict=True):
            metrics.release.labels(slot, role, arm.release_id).set(1)
            self._draw_arm(slot, arm)
        if seen.coverage is not None:
            for name, value in msgspec.structs.asdict(seen.coverage).items():
                metrics.coverage.labels(name).set(value)

    def _draw_arm(self, slot: str, arm: Arm) -> None:
        metrics = self._metrics
        metrics.units.labels(slot).set(arm.units)
        metrics.lists.labels(slot).set(arm.lists)
        for metric, ratio in arm.ratios.items():
            for moment in MOMENTS:
                metrics.moments.labels(slot, metric, moment).set(getattr(ratio, moment))
        for bound, count in zip(BOUNDS, counts_below(arm.seconds), strict=True):
            metrics.latency.labels(slot, bound).set(count)


def counts_below(counts: list[int]) -> list[int]:
    """Counts between bounds, as counts below each."""
    return list(accumulate(counts))


def counts_between(below: list[int]) -> list[int]:
    """Counts below bounds, as counts between them.

    Example:
        >>> counts_between(counts_below([3, 0, 2]))
        [3, 0, 2]
    """
    return [after - before for before, after in pairwise([0, *below])]
