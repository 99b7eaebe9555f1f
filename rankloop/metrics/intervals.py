"""Means over requests with honest intervals: the bootstrap resamples users, because one user's requests are alike."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.errors import DataError
from rankloop.metrics._ranked import Floats, UndefinedMetric, sums

__all__ = ["Interval", "bootstrap_difference", "bootstrap_mean"]

_DRAWS_AT_ONCE = 4_000_000
"""Resampled units held in memory together."""


class Interval(NamedTuple):
    """A mean and where it may truly lie.

    Attributes:
        mean: over the queries that have a value; NaN without any.
        lower: the interval's lower end; NaN with fewer than two units, where nothing can be said.
        upper: the interval's upper end; NaN likewise.
        queries: how many values the mean is over.
        units: how many independent units (users) they come from.
        dropped: how many queries had no value (NaN) and are not in the mean.
    """

    mean: float
    lower: float
    upper: float
    queries: int
    units: int
    dropped: int = 0


def bootstrap_mean(
    values: npt.ArrayLike,
    units: Sequence[object] | npt.NDArray[np.generic],
    *,
    rng: int | np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """The mean over queries, with a percentile interval from resampling units.

    Not the mean of unit means: a unit with many queries weighs more, in the mean and in every resample. Where the
    interval is to be trusted there are some tens of units; with fewer it is too narrow.

        each resample draws U of the U units with replacement; its mean = sum of their sums / sum of their counts

    Args:
        values: `(queries,)`, one metric value each; NaN queries are dropped and counted.
        units: `(queries,)`, whose query it was (user ids or codes).
        rng: a seed or a generator.
        resamples: how many bootstrap samples.
        level: coverage wanted, in (0, 1).

    Returns:
        The mean with its interval; no bounds (NaN) with fewer than two units.

    Raises:
        DataError: lengths differ, `level` or `resamples` cannot work.

    Source: B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; resampling of clusters:
    A. Davison, D. Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.

    Example:
        >>> found = bootstrap_mean([1.0, 0.0, float("nan"), 1.0], ["ann", "ann", "bo", "cy"], rng=1)
        >>> round(found.mean, 3), found.queries, found.units, found.dropped
        (0.667, 3, 2, 1)
    """
    value = np.asarray(values, np.float64)
    _check(value, len(units), resamples, level)
    kept = ~np.isnan(value)
    dropped = int(np.count_nonzero(~kept))
    if not kept.any():
        warnings.warn(f"none of {len(value)} queries has a value; their mean is NaN", UndefinedMetric, stacklevel=2)
        return Interval(np.nan, np.nan, np.nan, 0, 0, dropped)
    totals, counts = _by_unit(value[kept], units, kept)
    mean = float(totals.sum() / counts.sum())
    if len(totals) < 2:
        return Interval(mean, np.nan, np.nan, len(value) - dropped, len(totals), dropped)
    means = _resampled_means(totals, counts, resamples, np.random.default_rng(rng))
    lower, upper = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(lower), float(upper), len(value) - dropped, len(totals), dropped)


def bootstrap_difference(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    units: Sequence[object] | npt.NDArray[np.generic],
    *,
    rng: int | np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """The mean of `a - b` over the same queries, with a percentile interval from resampling units.

    Not a comparison of two separate samples: the queries are paired, so what makes a query hard for both cancels.

        as `bootstrap_mean` of a - b

    Args:
        a: `(queries,)`, the metric of one ranker.
        b: `(queries,)`, the metric of the other on the same queries; a query that is NaN in either is dropped.
        units: `(queries,)`, whose query it was.
        rng: a seed or a generator.
        resamples: how many bootstrap samples.
        level: coverage wanted, in (0, 1).

    Returns:
        The mean difference with its interval; above 0, `a` is better.

    Raises:
        DataError: lengths differ, `level` or `resamples` cannot work.

    Source: as `bootstrap_mean`.

    Example:
        >>> bootstrap_difference([0.5, 0.7], [0.4, 0.6], ["ann", "bo"], rng=1).mean > 0
        True
    """
    ours, theirs = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if ours.shape != theirs.shape:
        raise DataError(f"a has shape {ours.shape} and b {theirs.shape}; both are measured on the same queries")
    return bootstrap_mean(ours - theirs, units, rng=rng, resamples=resamples, level=level)


def _check(values: Floats, units: int, resamples: int, level: float) -> None:
    if values.ndim != 1 or len(values) != units:
        raise DataError(f"values have shape {values.shape} and there are {units} units; each query has one of both")
    if not 0 < level < 1:
        raise DataError(f"level is {level}; it is a coverage between 0 and 1, such as 0.95")
    if resamples < 1:
        raise DataError(f"resamples is {resamples}; at least 1, and 1000 for a 95 % interval")


def _by_unit(
    values: Floats, units: Sequence[object] | npt.NDArray[np.generic], kept: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Sum and count of the values of each unit: all the bootstrap needs."""
    names = np.asarray(units)[kept]
    # in order of name, so that the interval does not depend on the order of the queries
    _, code = np.unique(names.astype(str) if names.dtype == object else names, return_inverse=True)
    return sums(code, values), sums(code, np.ones(len(code)))


def _resampled_means(totals: Floats, counts: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    units = len(totals)
    at_once = max(1, _DRAWS_AT_ONCE // units)
    means = np.empty(resamples)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = rng.integers(0, units, (rows, units))  # (rows, units)
        means[start : start + rows] = totals[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means
