"""How a ratio metric of one arm differs from another's, by unit, over phases in which the traffic's shares did not change.

A unit (a person) makes several lists, which are alike, so the variance is that of units. A phase is a stratum: within it
both arms saw the same minutes; across phases the shares change, and with them what Simpson's paradox needs.

Source: A. Deng, J. Lu, J. Litz, "Trustworthy Analysis of Online A/B Tests: Pitfalls, Challenges and Solutions", WSDM 2017;
A. Deng, U. Knoblich, J. Lu, "Applying the Delta Method in Metric Analytics", KDD 2018; the weights are those of
N. Mantel, W. Haenszel, "Statistical Aspects of the Analysis of Data from Retrospective Studies", JNCI 1959.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple, Protocol

__all__ = ["Difference", "Moments", "mean", "ratio_difference", "residuals", "spread", "unit_effect", "variance"]


class Moments(Protocol):
    """Sums over units of a numerator x and a denominator y; `rankloop.canary.Ratio` is one."""

    @property
    def units(self) -> int:
        """Units with y > 0."""

    @property
    def x(self) -> float:
        """Sum of the numerators."""

    @property
    def y(self) -> float:
        """Sum of the denominators."""

    @property
    def xx(self) -> float:
        """Sum of the squared numerators."""

    @property
    def yy(self) -> float:
        """Sum of the squared denominators."""

    @property
    def xy(self) -> float:
        """Sum of the products."""


class Difference(NamedTuple):
    """What the second arm has more than the first.

    Attributes:
        first: the first arm's mean, of the phases together.
        second: the second's.
        relative: (second - first) / first; NaN where `first` is 0.
        variance: of `relative`; infinite where there are too few units to know.
        absolute: second - first.
        absolute_variance: of `absolute`.
        spread: the standard deviation of the first arm's unit means, each weighed by its denominator.
        units: units of the smaller arm, summed over the phases that count.
    """

    first: float
    second: float
    relative: float
    variance: float
    absolute: float
    absolute_variance: float
    spread: float
    units: int


def mean(arm: Moments) -> float:
    """The ratio of the sums; NaN without a denominator."""
    return arm.x / arm.y if arm.y > 0 else math.nan


def residuals(arm: Moments) -> float:
    """Sum over units of (x - R y)^2, R the arm's ratio."""
    ratio = mean(arm)
    return max(0.0, arm.xx - 2 * ratio * arm.xy + ratio**2 * arm.yy)


def variance(arm: Moments) -> float:
    """Variance of the arm's ratio by the delta method over units; infinite with fewer than two.

    V = n / (n - 1) sum (x - R y)^2 / (sum y)^2
    """
    if arm.units < 2 or not arm.y > 0:
        return math.inf
    return arm.units / (arm.units - 1) * residuals(arm) / arm.y**2


def spread(arm: Moments) -> float:
    """How far the means of units lie around the arm's: sqrt(sum (x - R y)^2 / sum y^2); NaN without units."""
    return math.sqrt(residuals(arm) / arm.yy) if arm.yy > 0 else math.nan


def unit_effect(arm: Moments) -> float:
    """How many lists count as one, for a metric of zeros and ones: the variance by units over that of as many coins.

    Source: J. Rao, A. Scott, "A Simple Method for the Analysis of Clustered Binary Data", Biometrics 1992.

    Returns:
        At least 1; 1 where there is nothing to compare.
    """
    ratio = mean(arm)
    if arm.units < 2 or not 0 < ratio < 1:
        return 1.0
    return max(1.0, variance(arm) * arm.y / (ratio * (1 - ratio)))


def ratio_difference(phases: Iterable[tuple[Moments, Moments]]) -> Difference | None:
    """The difference of two arms over phases.

    A phase weighs y1 y2 / (y1 + y2), its precision where both arms' units vary alike: estimated precisions would favour
    the phases in which a rare outcome happened not to occur. An arm with fewer units than the other is never taken to vary
    less than the other does, or the silence of a handful would count as certainty.

    Args:
        phases: by phase the first arm (stable) and the second (canary); a phase in which either has nothing is left out.

    Returns:
        None where no phase has both.

    Example:
        >>> from rankloop.canary import Ratio
        >>> stable = Ratio(units=1000, x=200.0, y=2000.0, xx=260.0, yy=5000.0, xy=500.0)
        >>> canary = Ratio(units=1000, x=180.0, y=2000.0, xx=230.0, yy=5000.0, xy=450.0)
        >>> found = ratio_difference([(stable, canary)])
        >>> round(found.relative, 3), round(found.variance ** 0.5, 3)
        (-0.1, 0.095)
    """
    rows = [(one, two) for one, two in phases if one.y > 0 and two.y > 0]
    if not rows:
        return None
    weights = [one.y * two.y / (one.y + two.y) for one, two in rows]
    whole = sum(weights)
    firsts, seconds = zip(*(_variances(one, two) for one, two in rows), strict=True)

    def together(values: Iterable[float], power: int = 1) -> float:
        return sum((weight / whole) ** power * value for weight, value in zip(weights, values, strict=True))

    first, second = together(mean(one) for one, _ in rows), together(mean(two) for _, two in rows)
    of_first, of_second = together(firsts, 2), together(seconds, 2)
    relative = (second - first) / first if first else math.nan
    return Difference(
        first=first,
        second=second,
        relative=relative,
        variance=(of_second + (1 + relative) ** 2 * of_first) / first**2 if first else math.inf,
        absolute=second - first,
        absolute_variance=of_first + of_second,
        spread=together(spread(one) for one, _ in rows),
        units=sum(min(one.units, two.units) for one, two in rows),
    )


def _variances(one: Moments, two: Moments) -> tuple[float, float]:
    """Variances of both ratios, the smaller arm's at least what its size makes of the larger one's."""
    first, second = variance(one), variance(two)
    if one.units > two.units:
        return first, max(second, first * one.units / max(two.units, 1))
    return max(first, second * two.units / max(one.units, 1)), second
