"""How much slower a quantile of the canary's latency is, from histograms, at every look."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.canary.observation import LATENCY_EDGES
from rankloop.experiment.counting import log_e_of_ratio
from rankloop.experiment.sequential import mixing, p_value

__all__ = ["Slowness", "slowness"]

Floats = npt.NDArray[np.float64]

_STEP: Final = math.log(LATENCY_EDGES[1] / LATENCY_EDGES[0])
_SHIFTS: Final = np.arange(-14, 42)
"""Steps of the histogram by which the canary's latencies are compared with stable's: from half to eight times."""
_KNOWN: Final = 10
"""Lists beyond the quantile without which it is not known."""
_RARE: Final = 0.1
"""Up to this share lists are counted as rare events, exactly; above it that would take chance for twice what it is."""
_SCALE: Final = 0.05
"""The difference of two shares that are not rare which should show soonest."""


class Slowness(NamedTuple):
    """A quantile of both arms.

    Attributes:
        stable: seconds.
        canary: seconds.
        lower: the share by which the canary's is slower at least; -1 where nothing is known.
        upper: at most; infinite where nothing is known.
    """

    stable: float
    canary: float
    lower: float
    upper: float


def slowness(
    phases: Sequence[tuple[Sequence[int], Sequence[int]]],
    quantile: float,
    *,
    alpha_lower: float,
    alpha_upper: float,
    dispersion: float = 1.0,
) -> Slowness | None:
    """Compares a quantile by how many lists were slower than it.

    With q stable's quantile, the canary is surely slower by a share s where more of its lists take longer than q (1 + s)
    than stable's take longer than q: two rates of rare events, compared as `rankloop.experiment.counting` does, or, as for
    the median, two shares compared by normal theory. So phases in which everything was slower change nothing, and no
    density need be estimated.

    Args:
        phases: stable's and the canary's histogram over `LATENCY_EDGES` in each phase.
        quantile: such as 0.95.
        alpha_lower: chance that the lower end is ever above the truth.
        alpha_upper: chance that the upper end is ever below it.
        dispersion: how many lists count as one.

    Returns:
        Both quantiles and the bounds in whole steps of the histogram; None where stable's quantile is not known yet.

    Source: S. Howard, A. Ramdas, "Sequential Estimation of Quantiles with Applications to A/B Testing and Best-arm
    Identification", Bernoulli 2022, for quantiles by way of counts.

    Example:
        >>> fast = [0] * 60 + [95, 5] + [0] * 119
        >>> found = slowness([([n * 100 for n in fast], [0, 0, 0, 0, *fast[:-4]])], 0.95, alpha_lower=0.05, alpha_upper=0.05)
        >>> found.lower < found.canary / found.stable - 1
        True
    """
    rows = np.array([both for both in phases if sum(both[0]) and sum(both[1])], np.float64)  # (phases, arms, bins)
    if not len(rows):
        return None
    whole = rows.sum(axis=0)
    if whole.sum(axis=1).min() * (1 - quantile) < 1 or whole[0].sum() * (1 - quantile) < _KNOWN:
        return None
    beyond = rows[:, :, ::-1].cumsum(axis=2)[:, :, ::-1][:, :, 1:]  # lists above each edge: (phases, arms, edges)
    share = beyond[:, 0].sum(axis=0) / whole[0].sum()
    edge = int(np.argmax(share <= 1 - quantile))
    shifted = np.clip(edge + _SHIFTS, 0, len(LATENCY_EDGES) - 1)
    one = np.broadcast_to(beyond[:, 0, edge], (len(_SHIFTS), len(rows))) / dispersion  # (shifts, phases)
    two = beyond[:, 1, shifted].T / dispersion
    trials = rows.sum(axis=2) / dispersion
    more = _more_often if 1 - quantile > _RARE else _more_often_rare
    slower = more(one, two, trials, alpha_lower)
    faster = more(two, one, trials[:, ::-1], alpha_upper)
    return Slowness(
        stable=_quantile(whole[0], quantile),
        canary=_quantile(whole[1], quantile),
        lower=math.expm1(_STEP * _SHIFTS[np.flatnonzero(slower)[-1]]) if slower.any() else -1.0,
        upper=math.expm1(_STEP * _SHIFTS[np.flatnonzero(faster)[0]]) if faster.any() else math.inf,
    )


def _more_often_rare(first: Floats, second: Floats, trials: Floats, alpha: float) -> npt.NDArray[np.bool_]:
    """By shift, whether the second arm surely has more of rare events."""
    return np.asarray(log_e_of_ratio(first, second, [(one, two) for one, two in trials]) >= -math.log(alpha))


def _more_often(first: Floats, second: Floats, trials: Floats, alpha: float) -> npt.NDArray[np.bool_]:
    """By shift, whether the second arm surely has the larger share; phases by Mantel and Haenszel's weights."""
    one, two = trials.T  # (phases,)
    weight = one * two / (one + two)
    weight /= weight.sum()
    excess = (second / two - first / one) @ weight  # (shifts,)
    pooled = (first + second) / (one + two)
    variance = (pooled * (1 - pooled)) @ (weight**2 * (1 / one + 1 / two))
    rho = mixing(alpha, _SCALE)
    return np.array([v > 0 and p_value(e, v, rho) <= alpha for e, v in zip(excess.tolist(), variance.tolist(), strict=True)])


def _quantile(counts: npt.NDArray[np.float64], quantile: float) -> float:
    """Seconds, interpolated within a bin on the logarithmic scale; at most the last bound."""
    sought = quantile * counts.sum()
    reached = counts.cumsum()
    place = int(np.searchsorted(reached, sought))
    if place >= len(LATENCY_EDGES):
        return LATENCY_EDGES[-1]
    part = (sought - (reached[place] - counts[place])) / counts[place]
    return LATENCY_EDGES[place] * math.exp(_STEP * (part - 1))
