"""Always-valid bounds: an interval and a p-value that may be looked at after every request, and acted on at any of them.

A normal mixture over what the difference could be. The information so far is I = 1 / variance, and the difference times I
moves as Brownian motion at the time I does, as it does for estimates whose increments are independent (C. Jennison,
B. Turnbull, "Group Sequential Methods", 1999, chapter 11). In the limit of many units: with few of them normal theory
does not hold, and `rankloop.experiment.counting` is exact.

Source: H. Robbins, "Statistical Methods Related to the Law of the Iterated Logarithm", Ann. Math. Stat. 1970; R. Johari,
P. Koomen, L. Pekelis, D. Walsh, "Always Valid Inference: Continuous Monitoring of A/B Tests", Operations Research 2022;
S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform, Nonparametric, Nonasymptotic Confidence Sequences",
Ann. Stat. 2021 (the one-sided mixture, and the choice of rho); I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy,
A. Ramdas, "Time-uniform Central Limit Theory and Asymptotic Confidence Sequences", Ann. Stat. 2024.
"""

import math
from typing import NamedTuple

from rankloop.errors import DataError

__all__ = ["AlwaysValid", "always_valid", "half_width", "mixing", "p_value"]


class AlwaysValid(NamedTuple):
    """A difference, and what can be said of the true one at every look.

    Attributes:
        difference: as estimated.
        lower: with error `alpha_lower` over all looks together, the true one is never below it.
        upper: with error `alpha_upper` over all looks together, it is never above it.
    """

    difference: float
    lower: float
    upper: float


def mixing(alpha: float, scale: float) -> float:
    """The information that the mixture adds: the bound is tightest for its length when its half width is about `scale`.

        k = 2 ln(1 / alpha) + ln(1 + 2 ln(1 / alpha));  I = 2 (1 + 1 / k) ln(sqrt(1 + k) / (2 alpha) + 1) / scale^2;  rho = I / k

    Args:
        alpha: error over all looks, one-sided.
        scale: the difference that should show soonest, in the difference's unit.

    Returns:
        rho, to be given to `half_width` and `p_value`.

    Raises:
        DataError: `alpha` is not in (0, 0.5], or `scale` is not positive.

    Example:
        >>> rho = mixing(0.05, scale=0.02)
        >>> round(rho)
        2434
    """
    if not 0 < alpha <= 0.5 or not scale > 0:
        raise DataError(f"alpha {alpha} must be in (0, 0.5], and scale {scale} above 0")
    k = 2 * math.log(1 / alpha) + math.log1p(2 * math.log(1 / alpha))
    information = 2 * (1 + 1 / k) * math.log1p(math.sqrt(1 + k) / (2 * alpha)) / scale**2
    return information / k


def half_width(variance: float, alpha: float, rho: float) -> float:
    """How far the true difference may lie to one side of the estimate, at any look.

        V sqrt(2 (1/V + rho) ln(sqrt((1/V + rho) / rho) / (2 alpha) + 1))

    Args:
        variance: of the estimate now; infinity says nothing is known.
        alpha: error over all looks, of this one side.
        rho: from `mixing`; fixed before the first look.

    Returns:
        The distance, in the difference's unit; infinity where nothing is known.

    Raises:
        DataError: the variance is not positive.

    Example:
        >>> once = 1.645 * 0.01
        >>> half_width(0.01**2, 0.05, mixing(0.05, scale=0.02)) > once
        True
    """
    if not variance > 0:
        raise DataError(f"the variance is {variance}; an estimate without one has no bound")
    if math.isinf(variance):
        return math.inf
    information = 1 / variance
    grown = information + rho
    return math.sqrt(2 * grown * math.log1p(math.sqrt(grown / rho) / (2 * alpha))) / information


def p_value(excess: float, variance: float, rho: float) -> float:
    """Always-valid p-value of "the true difference is at most what it is measured from", one-sided.

    `p <= alpha` at the first look at which the bound of `half_width` excludes it, whatever alpha is.

        p = sqrt((I + rho) / rho) / (2 (exp(S^2 / (2 (I + rho))) - 1)),  I = 1 / V, S = excess I

    Args:
        excess: the estimate less the value asked about.
        variance: of the estimate.
        rho: from `mixing`.

    Returns:
        From 0 to 1; 1 where the estimate is on the other side.

    Example:
        >>> rho = mixing(0.05, scale=0.02)
        >>> width = half_width(0.01**2, 0.05, rho)
        >>> round(p_value(width, 0.01**2, rho), 6), p_value(-width, 0.01**2, rho)
        (0.05, 1.0)
    """
    if not variance > 0:
        raise DataError(f"the variance is {variance}; an estimate without one has no p-value")
    if math.isinf(variance) or excess <= 0:
        return 1.0
    information = 1 / variance
    grown = information + rho
    exponent = (excess * information) ** 2 / (2 * grown)
    if exponent > 700:
        return 0.0
    return min(1.0, math.sqrt(grown / rho) / 2 / math.expm1(exponent))


def always_valid(difference: float, variance: float, *, alpha_lower: float, alpha_upper: float, scale: float) -> AlwaysValid:
    """The interval around a difference that holds at every look; each end has an error of its own.

    Not a fixed-sample interval: that one is right at one look chosen before, this one at all of them, and is wider.

    Args:
        difference: the estimate.
        variance: of the estimate.
        alpha_lower: chance that the lower end is ever above the truth.
        alpha_upper: chance that the upper end is ever below it.
        scale: the difference that should show soonest.

    Returns:
        The difference with both ends; infinite ones where the variance is.

    Example:
        >>> found = always_valid(-0.05, 0.01**2, alpha_lower=0.05, alpha_upper=0.005, scale=0.02)
        >>> found.upper < 0
        True
    """
    below = half_width(variance, alpha_lower, mixing(alpha_lower, scale))
    above = half_width(variance, alpha_upper, mixing(alpha_upper, scale))
    return AlwaysValid(difference, difference - below, difference + above)
