"""Two other ways to judge a canary, on the same minutes: fixed thresholds, and Mann-Whitney on minutes as samples.

Fixed thresholds are Flagger's: each interval every metric of the canary is compared with a number written down before; an
interval with a breach is a failed check, and `threshold` failed checks roll back (docs.flagger.app, "How it works").
Mann-Whitney is Kayenta's: each interval is one sample of each arm, a metric fails when the shift of the canary's samples is
surely in the bad direction (confidence 0.98, by more than a quarter of it), and the score is the share of metrics that
pass: below 75 it rolls back, at the end below 95 (spinnaker.io, "Canary judge"; "Configure canary analysis"). The bound on
the shift is approximated by the test's normal deviate: its lower end is above a quarter of it where z > 2.33 / 0.75.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.canaries.crowd import RATES, Canaries, Shown
from rankloop.canary import LATENCY_EDGES, Policy
from rankloop.experiment import expected_items

__all__ = ["KAYENTA_Z", "critical", "deviates", "failed_checks", "first", "limits", "minutes", "scored"]

Floats = npt.NDArray[np.float64]

KAYENTA_Z: Final = 2.3263 / 0.75
_FAILED_CHECKS: Final = 5
_LEAST_SAMPLES: Final = 5
_PLACES: Final = 100
_BETTER_MORE: Final = ("ctr@10", "apply_rate", "ndcg@10", "coverage")


def minutes(canaries: Canaries) -> dict[str, Floats]:
    """Each metric of each minute and arm, `(canaries, intervals, 2)`, turned so that more is worse; NaN where nothing came."""
    found = {"errors": _share(canaries.failed, canaries.lists)}
    for quantile in (0.5, 0.95, 0.99):
        found[f"latency_p{quantile * 100:.0f}"] = _quantile(canaries.seconds.astype(np.float64), quantile)
    for name in RATES:
        if name != "score":
            rows = canaries.moments[name]
            found[name] = _share(rows[..., 0], rows[..., 1])
    if canaries.shown is not None:
        found["coverage"] = _distinct(canaries.shown)
    return {name: -values if name in _BETTER_MORE else values for name, values in found.items()}


def limits(policy: Policy, harmless: Mapping[str, Floats], part: float | None) -> dict[str, float]:
    """Thresholds by metric: the usual value and what the policy tolerates, or what a part of the harmless minutes exceeds."""
    found = {}
    for name, values in harmless.items():
        usual, own = float(np.nanmedian(values[..., 0])), values[..., 1]
        guard = policy.active[name]
        widened = max(usual + abs(usual) * guard.tolerate, guard.floor)
        found[name] = widened if part is None else float(np.nanquantile(own, 1 - part))
    return found


def failed_checks(values: Mapping[str, Floats], thresholds: Mapping[str, float]) -> npt.NDArray[np.bool_]:
    """Whether fixed thresholds roll back by each interval."""
    breached = np.any([values[name][..., 1] > limit for name, limit in thresholds.items() if name in values], axis=0)
    return np.asarray(breached.cumsum(axis=1) >= _FAILED_CHECKS)


def deviates(values: Mapping[str, Floats]) -> dict[str, Floats]:
    """Normal deviates of the Mann-Whitney test on all minutes so far, `(canaries, intervals)` a metric; more is worse."""
    return {name: _mann_whitney(own[..., 0], own[..., 1]) for name, own in values.items()}


def scored(z: Mapping[str, Floats]) -> npt.NDArray[np.bool_]:
    """Whether Mann-Whitney rolls back by each interval, by Kayenta's score; at the end it must be 95."""
    score = 100 * (1 - np.mean([own > KAYENTA_Z for own in z.values()], axis=0))
    fails = score < 75
    fails[:, -1] |= score[:, -1] < 95
    return np.asarray(np.maximum.accumulate(fails, axis=1))


def critical(z: Mapping[str, Floats], limit: Mapping[str, float]) -> npt.NDArray[np.bool_]:
    """Whether Mann-Whitney rolls back by each interval where every metric is critical, each with a limit of its own."""
    fails = np.any([own > limit[name] for name, own in z.items()], axis=0)
    return np.asarray(np.maximum.accumulate(fails, axis=1))


def first(rolled_back: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The interval of the roll back, -1 where there is none."""
    return np.where(rolled_back.any(axis=1), rolled_back.argmax(axis=1), -1)


def _mann_whitney(stable: Floats, canary: Floats) -> Floats:
    """Of every beginning of the minutes; ties at one value (a rate of 0) shrink the variance as they should."""
    runs, intervals = stable.shape
    found = np.zeros((runs, intervals))
    n = np.arange(1.0, intervals + 1)
    for run in range(runs):
        one, two = np.nan_to_num(stable[run]), np.nan_to_num(canary[run])
        above = np.sign(two[:, None] - one[None, :])
        u = above.cumsum(axis=0).cumsum(axis=1).diagonal() / 2
        tied = ((one == 0).cumsum() + (two == 0).cumsum()).astype(np.float64)
        whole = 2 * n
        variance = n * n / 12 * (whole + 1 - (tied**3 - tied) / np.maximum(whole * (whole - 1), 1))
        found[run] = np.where(variance > 0, u / np.sqrt(np.maximum(variance, 1e-9)), 0.0)
    found[:, : _LEAST_SAMPLES - 1] = 0.0
    return found


def _share(part: npt.NDArray[np.generic], whole: npt.NDArray[np.generic]) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(part, np.float64) / np.asarray(whole, np.float64)


def _quantile(seconds: Floats, quantile: float) -> Floats:
    """The upper bound of the bin that holds it, moved within the bin."""
    reached = seconds.cumsum(axis=-1)
    sought = quantile * reached[..., -1:]
    place = (reached < sought).sum(axis=-1).clip(0, len(LATENCY_EDGES) - 1)
    own = np.take_along_axis(seconds, place[..., None], -1)[..., 0]
    before = np.take_along_axis(reached, place[..., None], -1)[..., 0] - own
    part = (sought[..., 0] - before) / np.maximum(own, 1e-9)
    return np.asarray(np.array(LATENCY_EDGES)[place] * np.exp(0.05 * (np.clip(part, 0, 1) - 1)))


def _distinct(shown: list[Shown]) -> Floats:
    """Distinct items in a hundred places of each minute, so that the arms' sizes do not matter."""
    found = np.full((len(shown), len(shown[0]), 2), np.nan)
    for run, interval, arm in np.ndindex(found.shape):
        counts = np.bincount(shown[run][interval][arm].ravel())
        if (places := int(counts.sum())) >= _PLACES:
            found[run, interval, arm] = expected_items(counts, places, _PLACES)
    return found
