"""How far two binned distributions are apart, and how far chance alone would put them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, kolmogorov

__all__ = ["Distance", "adjusted", "distance", "js", "ks", "p_value", "psi", "unbiased", "wasserstein"]

Counts = NDArray[np.float64]


class Distance(NamedTuple):
    """What two counts of the same bins differ by; chance's part is taken off `psi`, `js` and `wasserstein`.

    Attributes:
        psi: population stability index, at least 0.
        js: Jensen-Shannon distance, base 2, 0 to 1.
        wasserstein: Wasserstein-1 distance in standard deviations of the reference; NaN of labels.
        ks: largest distance of the two distribution functions at the edges, 0 to 1; NaN of labels.
        p: chance of at least this difference where there is none.
    """

    psi: float
    js: float
    wasserstein: float
    ks: float
    p: float


def distance(
    reference: Counts, window: Counts, reference_n: float, window_n: float, centres: NDArray[np.float64] | None = None
) -> Distance:
    """Compares two counts of the same bins.

    Args:
        reference: counts by bin, shape (bins,), not all 0.
        window: the same of the window.
        reference_n: how many independent rows the counts are worth.
        window_n: the same of the window.
        centres: of numbers: where each bin's values lie, ascending.

    Example:
        >>> half, moved = np.array([50.0, 50.0]), np.array([0.0, 100.0])
        >>> apart = distance(half, moved, 1e9, 1e9, np.array([0.0, 1.0]))
        >>> distance(half, half, 100, 100).js, round(apart.wasserstein, 6), apart.ks
        (0.0, 1.0, 0.5)
    """
    p, q = reference / reference.sum(), window / window.sum()
    filled = int(np.count_nonzero(p + q))
    noise = (filled - 1) * (1 / reference_n + 1 / window_n)
    index = max(psi(p * reference_n, q * window_n) - noise, 0.0)
    # Both measures are multiples of chi-square close to no difference: PSI ~ chi2 and JS ~ chi2 / 8 (in nats).
    divergence = max(js(p, q) ** 2 - noise / (8 * np.log(2)), 0.0)
    chance = p_value(p, q, reference_n, window_n)
    if centres is None:
        return Distance(index, float(np.sqrt(divergence)), float("nan"), float("nan"), chance)
    largest = ks(p, q)
    chance = min(1.0, 2 * min(chance, _ks_p(largest, reference_n, window_n)))
    moved = unbiased(p, q, centres, reference_n, window_n)
    return Distance(index, float(np.sqrt(divergence)), moved, largest, chance)


def psi(reference: Counts, window: Counts) -> float:
    """The population stability index, the sum of (q - p) ln(q / p); each bin has half a row more, so that none is empty.

    Example:
        >>> psi(np.array([10.0, 10.0]), np.array([10.0, 10.0]))
        0.0
    """
    p = (reference + 0.5) / (reference + 0.5).sum()
    q = (window + 0.5) / (window + 0.5).sum()
    return float(((q - p) * np.log(q / p)).sum())


def js(p: Counts, q: Counts) -> float:
    """The Jensen-Shannon distance: the root of the divergence, in base 2, so from 0 to 1.

    Source: Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Information Theory 37 (1991).

    Example:
        >>> js(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
        1.0
    """
    middle = (p + q) / 2
    return float(np.sqrt(max((_against(p, middle) + _against(q, middle)) / 2, 0.0)))


def ks(p: Counts, q: Counts) -> float:
    """The largest distance of two distribution functions at the bins' edges; between edges it may be larger.

    Example:
        >>> ks(np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.5, 0.5]))
        0.5
    """
    return float(np.abs(np.cumsum(p - q)).max())


def wasserstein(p: Counts, q: Counts, centres: NDArray[np.float64]) -> float:
    """The Wasserstein-1 distance of two distributions on the same points, over the first one's standard deviation.

    Points are the bins' medians, so what lies far beyond the reference counts as its outermost bin: a single wild value
    moves nothing.

    Example:
        >>> wasserstein(np.array([0.5, 0.5]), np.array([0.0, 1.0]), np.array([0.0, 10.0]))
        1.0
    """
    gaps = np.diff(centres)
    return float((np.abs(np.cumsum(p - q)[:-1]) * gaps).sum() / _spread(p, centres))


def unbiased(p: Counts, q: Counts, centres: NDArray[np.float64], reference_n: float, window_n: float) -> float:
    """`wasserstein` without what chance alone adds to it: the root of its square less the square of its mean under none.

    Under no difference each difference of distribution functions is normal with variance F (1 - F) (1/n + 1/m).

    Example:
        >>> unbiased(np.array([0.5, 0.5]), np.array([0.49, 0.51]), np.array([0.0, 1.0]), 100, 100)
        0.0
    """
    found = wasserstein(p, q, centres)
    pooled = np.cumsum((p * reference_n + q * window_n) / (reference_n + window_n))[:-1]
    spread = np.sqrt(2 / np.pi * np.clip(pooled * (1 - pooled), 0, None) * (1 / reference_n + 1 / window_n))
    chance = float((spread * np.diff(centres)).sum() / _spread(p, centres))
    return float(np.sqrt(max(found**2 - chance**2, 0.0)))


def p_value(p: Counts, q: Counts, reference_n: float, window_n: float) -> float:
    """The p-value of the chi-square test of two samples; bins that hold less than 5 expected rows are put together.

    Example:
        >>> round(p_value(np.array([0.5, 0.5]), np.array([0.6, 0.4]), 200, 200), 3)
        0.044
    """
    one, two = p * reference_n, q * window_n
    rare = (one + two) * min(reference_n, window_n) / (reference_n + window_n) < 5
    if rare.any():
        one, two = np.append(one[~rare], one[rare].sum()), np.append(two[~rare], two[rare].sum())
    both = one + two
    one, two, both = one[both > 0], two[both > 0], both[both > 0]
    if len(both) < 2:
        return 1.0
    # (Press et al., Numerical Recipes, 14.3: two binned samples of different sizes.)
    ratio = np.sqrt(window_n / reference_n)
    statistic = float(((ratio * one - two / ratio) ** 2 / both).sum())
    return float(chdtrc(len(both) - 1, statistic))


def adjusted(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values of several tests, made comparable with one share of false discoveries.

    Source: Benjamini and Hochberg, "Controlling the false discovery rate", J. R. Statist. Soc. B 57 (1995).

    Example:
        >>> adjusted(np.array([0.01, 0.5, 0.02])).tolist()
        [0.03, 0.5, 0.03]
    """
    order = np.argsort(p_values)
    scaled = p_values[order] * len(p_values) / np.arange(1, len(p_values) + 1)
    found = np.empty_like(p_values)
    found[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return found


def _against(p: Counts, middle: Counts) -> float:
    held = p > 0
    return float((p[held] * np.log2(p[held] / middle[held])).sum())


def _ks_p(largest: float, reference_n: float, window_n: float) -> float:
    return float(kolmogorov(largest * np.sqrt(reference_n * window_n / (reference_n + window_n))))


def _spread(p: Counts, centres: NDArray[np.float64]) -> float:
    """The standard deviation on the centres; of a constant reference the gap to the nearest other bin, or 1."""
    mean = float((p * centres).sum())
    spread = float(np.sqrt((p * (centres - mean) ** 2).sum()))
    if spread > 0:
        return spread
    gaps = np.diff(centres)
    return float(gaps[gaps > 0].min()) if (gaps > 0).any() else 1.0
