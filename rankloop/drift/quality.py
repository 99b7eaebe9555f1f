"""Faults of the data, told apart from changes of taste."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from rankloop.drift.bins import ColumnBins, Part
from rankloop.drift.measures import distance
from rankloop.drift.policy import DriftPolicy
from rankloop.drift.profile import ColumnProfile
from rankloop.drift.report import Change

__all__ = ["Fault", "Pair", "fault", "missing", "unit_factor"]

_ONE_VALUE: Final = 0.999
_VARIED: Final = 0.95
_AGREE: Final = 0.1
_FEWEST: Final = 4
_GONE: Final = 0.02
_SKEWED: Final = 4.0
"""How many times the limit of a drift makes vectors skewed; a category that goes, even the commonest, moves them by about one."""


class Pair(NamedTuple):
    """One column of the reference and of the window.

    Attributes:
        bins: what both are counted in.
        reference: the reference's counts.
        window: the window's counts.
        reference_rows: all rows of the reference.
        window_rows: all rows of the window.
        reference_worth: independent rows for each row of the reference, at most 1.
        window_worth: the same of the window.
    """

    bins: ColumnBins
    reference: ColumnProfile
    window: ColumnProfile
    reference_rows: int
    window_rows: int
    reference_worth: float
    window_worth: float


class Fault(NamedTuple):
    """A fault that was found.

    Attributes:
        change: nulls, constant, unit, skew, new categories or vanished categories.
        share: share of the window's rows that it touches.
        says: what is wrong, without the column's name.
        p: the chance of as much without a fault.
        factor: of a change of unit; else None.
    """

    change: Change
    share: float
    says: str
    p: float = 0.0
    factor: float | None = None


def fault(pair: Pair, policy: DriftPolicy) -> Fault | None:
    """The first fault that is found, the plainest first: one value, missing values, a unit, vectors, labels."""
    if (pair.window.filled - pair.window.odd) * pair.window_worth < policy.min_rows:
        return _nulls(pair, policy)
    return _constant(pair) or _nulls(pair, policy) or _unit(pair, policy) or _skew(pair, policy) or _labels(pair, policy)


def missing(column: ColumnProfile, rows: int) -> float:
    """The share of rows that have no value, NaN and infinity among them."""
    return 1 - (column.filled - column.odd) / rows if rows else 0.0


def unit_factor(reference: NDArray[np.float64], window: NDArray[np.float64], least: float) -> float | None:
    """The one factor that turns the reference's quantiles into the window's; None where there is none.

    Args:
        reference: quantiles, ascending; zeros are left out, as they are zero in every unit.
        window: the same quantiles of the window.
        least: what a factor is at least, or at most by its inverse.

    Example:
        >>> round(unit_factor(np.array([0.0, 1.0, 2.0, 4.0, 9.0]), np.array([0.0, 100.0, 200.0, 400.0, 900.0]), 1.8), 6)
        100.0
        >>> unit_factor(np.array([1.0, 2.0, 4.0, 9.0]), np.array([3.0, 4.0, 6.0, 11.0]), 1.8) is None
        True
    """
    if len(reference) != len(window):
        return None
    held = (reference != 0) & (window != 0)
    # Zeros stay zeros in every unit: where one side has many more of them, something else happened.
    if ((reference != 0) != (window != 0)).mean() > _AGREE or (np.sign(reference[held]) != np.sign(window[held])).any():
        return None
    if len(np.unique(reference[held])) < _FEWEST:
        return None
    ratios = np.log(np.abs(window[held] / reference[held]))
    middle = float(np.median(ratios))
    if abs(middle) < np.log(least) or np.quantile(np.abs(ratios - middle), 0.9) > max(_AGREE, 0.05 * abs(middle)):
        return None
    return float(np.exp(middle))


def _nulls(pair: Pair, policy: DriftPolicy) -> Fault | None:
    before, after = missing(pair.reference, pair.reference_rows), missing(pair.window, pair.window_rows)
    if not pair.window.there:
        return Fault("nulls", 1.0, f"the column is not in the window's rows; it had values in {1 - before:.1%} of them")
    if abs(after - before) < policy.nulls:
        return None
    one, two = pair.reference_rows * pair.reference_worth, pair.window_rows * pair.window_worth
    pooled = (before * one + after * two) / (one + two)
    deviation = np.sqrt(pooled * (1 - pooled) * (1 / one + 1 / two))
    p = float(2 * ndtr(-abs(after - before) / deviation)) if deviation > 0 else 0.0
    odd = pair.window.odd / pair.window_rows
    of_these = f", {odd:.1%} of the rows NaN or infinite" if odd >= policy.nulls / 2 else ""
    says = f"missing in {after:.1%} of {pair.window_rows:,} rows{of_these}, against {before:.1%} in the reference"
    return Fault("nulls", abs(after - before), says, p)


def _constant(pair: Pair) -> Fault | None:
    if pair.window.distinct != 1 or not pair.reference.parts or pair.bins.column.kind == "embedding":
        return None
    counts, now = np.array(pair.reference.parts[0]), np.array(pair.window.parts[0])
    part = pair.bins.parts[0]
    if pair.reference.distinct < 2 or counts.max() > _VARIED * counts.sum() or now.max() < _ONE_VALUE * now.sum():
        return None
    held = f"{pair.window.quantiles[0]:.6g}" if pair.window.quantiles else _only(part, pair.window)
    share = 1 - float(counts[now.argmax()] / counts.sum())
    return Fault(
        "constant", share, f"every row has the value {held}; the reference has {pair.reference.distinct:,} values or more"
    )


def _only(part: Part, window: ColumnProfile) -> str:
    at = int(np.argmax(window.parts[0]))
    return repr(part.shown[at] if at < len(part.labels) else next(iter(window.newcomers), part.shown[at]))


def _unit(pair: Pair, policy: DriftPolicy) -> Fault | None:
    before, after = np.array(pair.reference.quantiles), np.array(pair.window.quantiles)
    factor = unit_factor(before, after, policy.unit) if len(before) else None
    if factor is None:
        return None
    middle = len(before) // 2
    times = f"{factor:.4g} times" if factor > 1 else f"1/{1 / factor:.4g} of"
    says = f"every quantile is {times} the reference's (median {before[middle]:.4g}, now {after[middle]:.4g})"
    return Fault("unit", 1.0, says, 0.0, factor)


def _skew(pair: Pair, policy: DriftPolicy) -> Fault | None:
    """Vectors of other lengths than the reference's, or as far from its mean as none of it: no change of taste does that."""
    for at, part in enumerate(pair.bins.parts):
        before, after = np.array(pair.reference.parts[at], float), np.array(pair.window.parts[at], float)
        if part.take not in ("norm", "distance") or not before.sum() or not after.sum():
            continue
        worth = before.sum() * pair.reference_worth, after.sum() * pair.window_worth
        apart = distance(before, after, *worth, np.array(part.centres))
        if apart.js >= _SKEWED * policy.js:
            one, two = (part.shown[_middle(counts)] for counts in (before, after))
            says = f"lies elsewhere than the reference; the median of the vectors' {part.name} was {one}, and is {two}"
            return Fault("skew", apart.js, says, apart.p)
    return None


def _middle(counts: NDArray[np.float64]) -> int:
    return int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))


def _labels(pair: Pair, policy: DriftPolicy) -> Fault | None:
    part = next((at for at, each in enumerate(pair.bins.parts) if each.labels and not each.words), None)
    if part is None or pair.reference.distinct < 2:
        return None
    return _vanished(pair, part, policy) or _new(pair, part, policy)


def _vanished(pair: Pair, at: int, policy: DriftPolicy) -> Fault | None:
    """Labels of which next to nothing is left, where chance would leave most."""
    part = pair.bins.parts[at]
    before, after = np.array(pair.reference.parts[at], float), np.array(pair.window.parts[at], float)
    if not before.sum() or not after.sum():
        return None
    p, q = before / before.sum(), after / after.sum()
    rows = min(pair.window.filled, after.sum()) * pair.window_worth
    gone = (p >= policy.category) & (q < _GONE * p) & (np.exp(-np.minimum(p * rows, 700)) < policy.alpha / part.size)
    gone[-1] = False
    if not gone.any():
        return None
    names = _listed([(part.labels[each], p[each]) for each in np.flatnonzero(gone)])
    return Fault("vanished categories", float(p[gone].sum()), f"{names} of the reference's rows, are gone")


def _new(pair: Pair, at: int, policy: DriftPolicy) -> Fault | None:
    new = pair.window.newcomers
    # The reference's own sample must be large enough to have met what is common now.
    if sum(new.values()) < policy.category or pair.reference.filled * pair.reference_worth < policy.min_rows:
        return None
    before, after = (float(np.array(each.parts[at])[-1] / max(sum(each.parts[at]), 1)) for each in (pair.reference, pair.window))
    if after - before < policy.category / 2:
        return None
    return Fault("new categories", sum(new.values()), f"{_listed(list(new.items()))} of the rows, are new")


def _listed(labels: list[tuple[str, float]]) -> str:
    named = ", ".join(repr(label) for label, _ in labels[:3])
    rest = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
    return f"{named}{rest}, {sum(share for _, share in labels):.1%}"
