"""How much of the catalogue two releases show, compared at the same number of places.

Who shows more lists shows more items, so the arm with more places is thinned out to as many as the other has.

Source: H. Sanders, "Marine Benthic Diversity: A Comparative Study", American Naturalist 1968; S. Hurlbert, "The Nonconcept of
Species Diversity", Ecology 1971; the variance: R. Colwell et al., "Models and Estimators Linking Individual-based and
Sample-based Rarefaction, Extrapolation and Comparison of Assemblages", J. Plant Ecology 2012; A. Chao, "Nonparametric
Estimation of the Number of Classes in a Population", Scand. J. Stat. 1984.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from rankloop.errors import DataError

__all__ = ["Rarefied", "rarefied_difference", "rarefy"]


class Rarefied(NamedTuple):
    """Distinct items of two arms in the same number of places.

    Attributes:
        places: of the smaller arm.
        first: distinct items of the first arm in so many places.
        second: of the second arm.
        variance: of second - first.
    """

    places: int
    first: float
    second: float
    variance: float


def rarefy(counts: npt.ArrayLike, places: int) -> tuple[float, float]:
    """Distinct items to expect in some of the places that were shown.

        E = sum 1 - C(N - N_i, n) / C(N, n);  Var <= E (1 - E / S), S the catalogue that Chao's estimator sees behind the counts

    Args:
        counts: `(items,)`, how often each was shown. Count people and not lists where the same people come again: the same
            list shown twice is no second draw.
        places: to thin out to, at most the sum of the counts.

    Returns:
        The expected number of distinct items, and its variance over samples of people as well as of places.

    Raises:
        DataError: more places than were shown.

    Example:
        >>> rarefy([5, 5], 10)[0], round(rarefy([5, 5], 1)[0], 3)
        (2.0, 1.0)
    """
    count = np.asarray(counts, np.float64)
    count = count[count > 0]
    total = count.sum()
    if not 0 <= places <= total:
        raise DataError(f"{places} places of {total:.0f} that were shown; items can only be thinned out")
    if places == 0:
        return 0.0, 0.0
    left = total - count
    possible = left >= places
    log_none = _log_choose(left[possible], places) - _log_choose(np.array([total]), places)
    expected = float(len(count) - np.exp(log_none).sum())
    return expected, max(0.0, expected * (1 - expected / max(_catalogue(count), expected)))


def rarefied_difference(first: npt.ArrayLike, second: npt.ArrayLike) -> Rarefied:
    """How many more distinct items the second arm shows than the first in the same number of places.

    Args:
        first: `(items,)`, how often the first arm showed each.
        second: the same of the second arm; the items need not be the same.

    Returns:
        Both numbers at the places of the smaller arm, and the variance of their difference.

    Example:
        >>> found = rarefied_difference([10] * 100, [10] * 50)
        >>> found.places, round(found.first, 1), found.second
        (500, 99.9, 50.0)
    """
    places = int(min(np.sum(first), np.sum(second)))
    (one, of_one), (two, of_two) = rarefy(first, places), rarefy(second, places)
    return Rarefied(places, one, two, of_one + of_two)


def _catalogue(count: npt.NDArray[np.float64]) -> float:
    """Chao's lower bound of how many items there are: f1 (f1 - 1) / (2 (f2 + 1)) are added for those never seen."""
    once, twice = float(np.sum(count == 1)), float(np.sum(count == 2))
    return len(count) + once * (once - 1) / (2 * (twice + 1))


def _log_choose(n: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.float64]:
    chosen: npt.NDArray[np.float64] = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return chosen
