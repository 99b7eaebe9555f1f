"""How much of the catalogue two releases show, compared at the same number of units.

Who shows lists to more people shows more items, so the arm with more units is thinned out to as many as the other has. A
place is not what is drawn at random: a person who asks ten times sees much the same list. Thinned by places, a large arm
would show more items than a small one with the same ranking, because its places come from more people. So arms are thinned
by units, and each pair of unit and item counts once.

Source: H. Sanders, "Marine Benthic Diversity: A Comparative Study", American Naturalist 1968; S. Hurlbert, "The Nonconcept of
Species Diversity", Ecology 1971; K. Heck, G. van Belle, D. Simberloff, "Explicit Calculation of the Rarefaction Diversity
Measurement", Ecology 1975; by samples rather than individuals: N. Gotelli, R. Colwell, "Quantifying Biodiversity", Ecology
Letters 2001; the variance: B. Efron, C. Stein, "The Jackknife Estimate of Variance", Annals of Statistics 1981.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from rankloop.errors import DataError

__all__ = ["Incidence", "Rarefied", "expected_items", "rarefied_difference", "rarefy"]


class Incidence(NamedTuple):
    """Which units saw which items; each pair once.

    Attributes:
        unit: `(pairs,)` of which unit, numbered from 0.
        item: `(pairs,)` of which item, numbered from 0; numbers may be left out.
        units: how many units.
    """

    unit: npt.NDArray[np.integer]
    item: npt.NDArray[np.integer]
    units: int


class Rarefied(NamedTuple):
    """Distinct items of two arms for equally many units.

    Attributes:
        places: pairs of unit and item of the arm with fewer units.
        first: distinct items that so many units of the first arm see.
        second: of the second arm.
        variance: of second - first.
    """

    places: int
    first: float
    second: float
    variance: float


def expected_items(seen: npt.ArrayLike, units: int, n: int) -> float:
    """Distinct items to expect among some of the units, drawn without return.

        S(n) = sum over items of 1 - C(U - u, n) / C(U, n),  u of U units saw an item

    Args:
        seen: `(items,)`, how many units saw each.
        units: how many there are.
        n: how many of them, at most all.

    Raises:
        DataError: more than there are.

    Example:
        >>> expected_items([5, 5], 10, 10), round(expected_items([5, 5], 10, 1), 3)
        (2.0, 1.0)
    """
    if not 0 <= n <= units:
        raise DataError(f"{n} of {units} units; items can only be thinned out")
    count = np.asarray(seen)
    return float(len(count) - _missing(units, count, n).sum())


def rarefy(found: Incidence, n: int) -> tuple[float, float]:
    """Distinct items to expect among some of the units, and the variance of that over samples of units.

    The variance is the jackknife's, which is too large rather than too small.

    Args:
        found: who saw what.
        n: how many of the units, at most all.

    Raises:
        DataError: more units than there are.

    Example:
        >>> rarefy(Incidence(np.array([0, 0, 1]), np.array([7, 8, 7]), 2), 2)  # without either unit: 2 - 0, 2 - 1
        (2.0, 0.25)
    """
    seen = np.bincount(found.item)
    items = expected_items(seen, found.units, n)
    if found.units < 2:
        return items, 0.0
    if n < found.units:  # what is missing more, for each item, when one of those units is left out who saw it
        lost = _missing(found.units - 1, seen - 1, n) - _missing(found.units - 1, seen, n)
    else:
        lost = (seen == 1).astype(np.float64)
    by_unit = np.bincount(found.unit, weights=lost[found.item], minlength=found.units)  # (units,)
    return items, float((found.units - 1) / found.units * np.sum((by_unit - by_unit.mean()) ** 2))


def rarefied_difference(first: Incidence, second: Incidence) -> Rarefied:
    """How many more distinct items the second arm shows than the first to equally many units.

    Args:
        first: who saw what in the first arm.
        second: in the second one; numbers need not mean the same units and items.

    Returns:
        Both numbers at the units of the arm with fewer, and the variance of their difference: the arms are independent.

    Example:
        >>> few, many = Incidence(np.zeros(2, int), np.arange(2), 1), Incidence(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 2]), 2)
        >>> rarefied_difference(many, few)  # of the two units either saw two items
        Rarefied(places=2, first=2.0, second=2.0, variance=0.0)
    """
    units = min(first.units, second.units)
    places = len((first if first.units <= second.units else second).unit)
    (one, of_one), (two, of_two) = rarefy(first, units), rarefy(second, units)
    return Rarefied(places, one, two, of_one + of_two)


def _missing(units: int, seen: npt.NDArray[np.integer], n: int) -> npt.NDArray[np.float64]:
    """`(items,)` probability that none of `n` units drawn without return saw an item: C(units - seen, n) / C(units, n)."""
    rest = np.maximum(units - seen, 0)
    possible = rest >= n
    rest = np.where(possible, rest, n)
    log = gammaln(rest + 1) - gammaln(rest - n + 1) - gammaln(units + 1) + gammaln(units - n + 1)
    return np.where(possible, np.exp(log), 0.0)
