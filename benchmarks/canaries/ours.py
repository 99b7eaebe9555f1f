"""Rankloop's decisions on simulated canaries: the real `step`, one observation a minute."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.canaries.crowd import STEPS, Canaries
from rankloop.canary import Arm, Coverage, Observation, Policy, Ratio, start, step
from rankloop.experiment import rarefied_difference

__all__ = ["Ended", "judged"]

_MINUTE = 60.0


class Ended(NamedTuple):
    """How a canary ended.

    Attributes:
        status: rolled back, promoted, paused, or running when the crowd's time was over.
        interval: in which, from 0.
        metric: the guardrail that ended it; empty where none did.
    """

    status: str
    interval: int
    metric: str


def judged(policy: Policy, canaries: Canaries) -> list[Ended]:
    """Every canary from its first minute to its end."""
    return [_run(policy, canaries, run) for run in range(len(canaries.units))]


def _run(policy: Policy, canaries: Canaries, run: int) -> Ended:
    state = start(policy, 0.0)
    interval = 0
    for interval, seen in enumerate(_observations(canaries, run)):
        if state.weight_bp != seen.canary_bp:
            raise AssertionError(f"the crowd is at {seen.canary_bp} bp, the canary at {state.weight_bp}")
        decision = step(policy, state, seen, seen.at)
        state = decision.state
        if state.status != "running":
            worse = [row.metric for row in decision.evidence if row.outcome == "worse"]
            return Ended(state.status, interval, worse[0] if worse else "")
    return Ended(state.status, interval, "")


def _observations(canaries: Canaries, run: int) -> Iterator[Observation]:
    """What is seen after each minute: sums since the share holds."""
    phase = canaries.crowd.phase
    began = np.searchsorted(phase, np.arange(len(STEPS)))
    shown: npt.NDArray[np.int64] | None = None
    for interval, index in enumerate(phase):
        part = slice(began[index], interval + 1)
        arms = [_arm(canaries, run, part, arm) for arm in (0, 1)]
        if canaries.shown is not None:
            own = canaries.shown[run, interval].astype(np.int64)
            shown = own if shown is None or interval == began[index] else shown + own
        yield Observation(
            at=(interval + 1) * _MINUTE,
            since=float(began[index]) * _MINUTE,
            canary_bp=STEPS[index],
            stable=arms[0],
            canary=arms[1],
            coverage=None if shown is None else _coverage(shown),
        )


def _arm(canaries: Canaries, run: int, part: slice, arm: int) -> Arm:
    units = int(canaries.units[run, part, arm].sum())
    lists = int(canaries.lists[run, part, arm].sum())
    sums = {name: rows[run, part, arm].sum(axis=0).tolist() for name, rows in canaries.moments.items()}
    return Arm(
        release_id=("stable", "canary")[arm],
        units=units,
        requests=lists,
        failed=int(canaries.failed[run, part, arm].sum()),
        lists=lists,
        ratios={name: Ratio(units, *row) for name, row in sums.items()},
        seconds=canaries.seconds[run, part, arm].sum(axis=0).tolist(),
    )


def _coverage(shown: npt.NDArray[np.int64]) -> Coverage | None:
    if not shown.sum(axis=1).all():
        return None
    found = rarefied_difference(shown[0], shown[1])
    return Coverage(found.places, found.second, found.first, found.variance)
