"""Rankloop's decisions on simulated canaries: the real `step`, one observation a minute."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.canaries.crowd import STEPS, Canaries, Shown
from rankloop.canary import Arm, Coverage, Observation, Policy, Ratio, start, step
from rankloop.experiment import Incidence, rarefied_difference

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
    for interval, index in enumerate(phase):
        part = slice(began[index], interval + 1)
        arms = [_arm(canaries, run, part, arm) for arm in (0, 1)]
        yield Observation(
            at=(interval + 1) * _MINUTE,
            since=float(began[index]) * _MINUTE,
            canary_bp=STEPS[index],
            stable=arms[0],
            canary=arms[1],
            coverage=None if canaries.shown is None else _coverage(canaries.shown[run][part]),
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


def _coverage(shown: Shown) -> Coverage | None:
    stable, canary = (_incidence(np.concatenate(people)) for people in zip(*shown, strict=True))
    if not stable.units or not canary.units:
        return None
    found = rarefied_difference(stable, canary)
    return Coverage(found.places, found.second, found.first, found.variance)


def _incidence(people: npt.NDArray[np.uint16]) -> Incidence:
    """Of `(people, places)` items; one that a person saw twice counts once."""
    items = np.sort(people, axis=1)
    again = np.zeros(items.shape, np.bool_)
    again[:, 1:] = items[:, 1:] == items[:, :-1]
    return Incidence(np.nonzero(~again)[0], items[~again], len(items))
