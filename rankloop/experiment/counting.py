"""Rare events of two arms: whose each one was says whether the second arm has more of them for its traffic.

Given that an event happened, it is the second arm's with probability r t2 / (t1 + r t2), where t are the arms' trials and r
is the ratio of their rates. So no rate need be known, nor constant: a bad hour of both arms changes nothing. A mixture
over r makes the likelihood ratio valid at every look, and it is exact at any number of events, three of nothing included.

Source: M. Lindon, D. Sanden, V. Shirikian, "Rapid Regression Detection in Software Deployments through Sequential Testing",
KDD 2022; P. Grünwald, R. de Heide, W. Koolen, "Safe Testing", JRSS B 2024. The mixture is a grid of ratios and not a Beta
distribution, so that phases of different shares are judged by one ratio.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.errors import DataError

__all__ = ["Counts", "Rates", "log_e_of_ratio", "rate_bounds", "rate_ratio_bounds"]

Floats = npt.NDArray[np.float64]

_FINE: Final[Floats] = np.linspace(math.log(1e-4), math.log(1e4), 921)
"""Logarithms of the ratios a bound may be: steps of 2 per cent."""
_GRID: Final[Floats] = _FINE[::10]
"""Those of the mixture."""
_PRIOR: Final[Floats] = -np.log1p((_GRID / math.log(2)) ** 2)
_LOG_PRIOR: Final[Floats] = _PRIOR - np.log(np.exp(_PRIOR).sum())
"""Logarithms of its weights: Cauchy in ln r, so that half of the mixture is within a factor of two and the rest reaches far."""


class Counts(NamedTuple):
    """Events and trials of both arms in one phase.

    Attributes:
        first: events of the first arm (stable).
        first_trials: its requests.
        second: events of the second arm (canary).
        second_trials: its requests.
    """

    first: float
    first_trials: float
    second: float
    second_trials: float


class Rates(NamedTuple):
    """A rate or a ratio of rates, and where it lies at every look.

    Attributes:
        estimate: NaN where nothing happened that it could be told from.
        lower: with error `alpha_lower` over all looks, never above the truth.
        upper: with error `alpha_upper` over all looks, never below it.
    """

    estimate: float
    lower: float
    upper: float


def rate_ratio_bounds(phases: Sequence[Counts], *, alpha_lower: float, alpha_upper: float) -> Rates:
    """How many times the first arm's rate the second arm's is.

    Args:
        phases: during each of which the arms' shares of the traffic did not change.
        alpha_lower: chance that the lower end is ever above the truth.
        alpha_upper: chance that the upper end is ever below it.

    Returns:
        The ratio of the rates, phases joined by Mantel and Haenszel's weights; from 0 to infinity where nothing is known.

    Example:
        >>> found = rate_ratio_bounds([Counts(10, 9000, 30, 1000)], alpha_lower=0.05, alpha_upper=0.05)
        >>> round(found.estimate, 6), found.lower > 5
        (27.0, True)
        >>> rate_ratio_bounds([Counts(0, 900, 1, 100)], alpha_lower=0.05, alpha_upper=0.05).lower < 1
        True
    """
    rows = [row for row in phases if row.first_trials > 0 and row.second_trials > 0]
    above = sum(row.second * row.first_trials / (row.first_trials + row.second_trials) for row in rows)
    below = sum(row.first * row.second_trials / (row.first_trials + row.second_trials) for row in rows)
    estimate = above / below if below else math.inf if above else math.nan
    if not above and not below:
        return Rates(estimate, 0.0, math.inf)
    return Rates(estimate, *_bounds(_log_likelihood(rows, _FINE), alpha_lower, alpha_upper))


def rate_bounds(events: float, trials: float, *, near: float, alpha_lower: float, alpha_upper: float) -> Rates:
    """The rate of one arm, events by trial.

    For events of probability p by trial the bound of a Poisson count is used, which is wider.

    Args:
        events: how many.
        trials: out of how many.
        near: the rate around which it should be sharp; bounds reach from 1e-4 to 1e4 times it.
        alpha_lower: chance that the lower end is ever above the truth.
        alpha_upper: chance that the upper end is ever below it.

    Returns:
        The rate with its bounds; from 0 to infinity without trials.

    Raises:
        DataError: `near` is not positive.

    Example:
        >>> rate_bounds(3, 300, near=0.002, alpha_lower=0.005, alpha_upper=0.05).lower < 0.002
        True
        >>> rate_bounds(30, 3000, near=0.002, alpha_lower=0.005, alpha_upper=0.05).lower > 0.002
        True
    """
    if not near > 0:
        raise DataError(f"near is {near}; a rate is sought around a positive one")
    if not trials > 0:
        return Rates(math.nan, 0.0, math.inf)
    lower, upper = _bounds(events * _FINE - np.exp(_FINE) * near * trials, alpha_lower, alpha_upper)
    return Rates(events / trials, near * lower, near * upper)


def log_e_of_ratio(first: npt.ArrayLike, second: npt.ArrayLike, trials: Sequence[tuple[float, float]]) -> Floats:
    """Evidence that the second arm's rate is the higher one, for many kinds of event at once.

    The mixture lies on ratios above 1 only; then it is evidence against every ratio of at most 1, since the likelihood
    ratio grows with the second arm's events.

    Args:
        first: `(kinds, phases)`, events of the first arm.
        second: `(kinds, phases)`, of the second.
        trials: by phase the first arm's and the second's, both above 0.

    Returns:
        `(kinds,)`, logarithms of e-values: with equal rates, or a lower second one, the chance that one ever reaches
        ln(1 / alpha) is at most alpha.

    Example:
        >>> log_e_of_ratio([[100], [10]], [[10], [40]], [(9000, 1000)]).round(1).tolist()
        [-1.1, 64.6]
    """
    above = _GRID > 0
    ratio = np.exp(_GRID[above])  # (ratios,)
    one, two = np.asarray(trials, np.float64).T[:, :, None]  # (phases, 1)
    log_none = -np.log((one + two * ratio) / (one + two))  # (phases, ratios)
    log_own = log_none + _GRID[above]
    log_l = np.asarray(second, np.float64) @ log_own + np.asarray(first, np.float64) @ log_none  # (kinds, ratios)
    prior = _LOG_PRIOR[above] - np.log(np.exp(_LOG_PRIOR[above]).sum())
    return _log_sum(log_l + prior)


def _log_likelihood(rows: Sequence[Counts], log_ratio: Floats) -> Floats:
    """Of the ratio, up to a constant: sum c2 ln r - (c1 + c2) ln(t1 + r t2)."""
    ratio = np.exp(log_ratio)
    parts = [
        row.second * log_ratio - (row.first + row.second) * np.log(row.first_trials + ratio * row.second_trials) for row in rows
    ]
    return np.asarray(np.sum(parts, axis=0), np.float64)


def _bounds(log_l: Floats, alpha_lower: float, alpha_upper: float) -> tuple[float, float]:
    """The values on the fine grid which the mixture does not exclude, and one step more on either side."""
    mixed = _log_sum((log_l[::10] + _LOG_PRIOR)[None, :])[0]
    low = np.flatnonzero(mixed - log_l < -math.log(alpha_lower))
    high = np.flatnonzero(mixed - log_l < -math.log(alpha_upper))
    lower = 0.0 if low[0] == 0 else math.exp(_FINE[low[0] - 1])
    upper = math.inf if high[-1] == len(_FINE) - 1 else math.exp(_FINE[high[-1] + 1])
    return lower, upper


def _log_sum(log_values: Floats) -> Floats:
    """Logarithm of the sum over the last axis."""
    most = log_values.max(axis=-1)
    return np.asarray(most + np.log(np.exp(log_values - most[..., None]).sum(axis=-1)), np.float64)
