"""How many distinct items two slots show to equally many people: rarefaction by unit, with a variance over units.

A place is not what is drawn at random: a person who asks ten times sees much the same list. Thinned by places, a large
slot would show more items than a small one with the same ranking, because its places come from more people. So the
larger slot is thinned by units, and each pair of unit and item counts once.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from rankloop.canary import Coverage
from services.tally.table import Table

__all__ = ["PAIRS", "SHOWN", "Showings", "compare"]

PAIRS: Final = 1_000_000
"""Pairs of unit and item that are kept for each slot; with more, only units of the smaller hashes count, half of them."""

SHOWN: Final[dict[str, type[np.generic]]] = {"unit": np.uint64, "item": np.uint64}
_WORD: Final = 2**64 - 1
_ODD: Final = 0xC2B2AE3D27D4EB4F
_HALVES: Final = 64


class Showings:
    """Which units a slot showed which items.

    Args:
        table: the pairs there are already; None at the beginning.
        bits: units whose hash begins with so many zero bits count.
        limit: pairs that are kept.
    """

    def __init__(self, table: Table | None = None, bits: int = 0, limit: int = PAIRS) -> None:
        self.table, self.bits, self._limit = table or Table(SHOWN), bits, limit

    def add(self, unit: int, items: list[int]) -> None:
        """Sees one list."""
        if not self._counts(unit):
            return
        table = self.table
        for item in items:
            pairs = len(table)
            row = table.row(_pair(unit, item))
            if row == pairs:
                table.put("unit", row, unit)
                table.put("item", row, item)
        while len(self.table) > self._limit and self.bits < _HALVES:
            self.bits += 1
            self._thin()

    def forget(self, unit: int, other: int) -> None:
        """What a unit saw becomes what another one saw, whom nobody knows."""
        units = self.table["unit"]
        items = self.table["item"][units == unit].tolist()
        for item in items:
            self.table.rename(_pair(unit, item), _pair(other, item))
        units[units == unit] = other

    def _counts(self, unit: int) -> bool:
        return unit >> (_HALVES - self.bits) == 0 if self.bits else True

    def _thin(self) -> None:
        kept = (self.table["unit"] >> np.uint64(_HALVES - self.bits)) == 0
        self.table = Table(SHOWN, self.table.keys[kept], {name: self.table[name][kept] for name in SHOWN})


class _Incidence(NamedTuple):
    """Pairs of unit and item as small numbers.

    Attributes:
        unit: `(pairs,)` of which unit.
        item: `(pairs,)` of which item.
        units: how many units.
        seen: `(items,)` how many units saw each item.
    """

    unit: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    units: int
    seen: npt.NDArray[np.int64]


def compare(canary: Showings, stable: Showings) -> Coverage | None:
    """Distinct items of both slots, the one with more units thinned to as many as the other has.

        S(n) = sum over items of 1 - C(U - u, n) / C(U, n),  u of U units saw an item

    Its variance is the jackknife's over units, which is too large rather than too small (Efron, Stein 1981); the two
    slots are independent, so theirs add up.

    Returns:
        None where a slot showed nothing. `places` are the pairs of unit and item of the slot with fewer units.

    Source: S. Hurlbert, Ecology 1971; K. Heck, G. van Belle, D. Simberloff, Ecology 1975; by samples rather than
        individuals: N. Gotelli, R. Colwell, Ecology Letters 2001.

    Example:
        >>> canary, stable = Showings(), Showings()
        >>> canary.add(1, [10, 11]); stable.add(2, [10, 11]); stable.add(3, [10, 12])
        >>> compare(canary, stable)  # of the two stable units either saw two items
        Coverage(places=2, canary=2.0, stable=2.0, variance=0.0)
    """
    if not len(canary.table) or not len(stable.table):
        return None
    theirs, ours = _incidence(canary), _incidence(stable)
    units = min(theirs.units, ours.units)
    places = len((theirs if theirs.units <= ours.units else ours).unit)
    (found, found_variance), (base, base_variance) = _thinned(theirs, units), _thinned(ours, units)
    return Coverage(places, found, base, found_variance + base_variance)


def _incidence(showings: Showings) -> _Incidence:
    _, unit = np.unique(showings.table["unit"], return_inverse=True)
    _, item, seen = np.unique(showings.table["item"], return_inverse=True, return_counts=True)
    return _Incidence(unit, item, int(unit.max()) + 1, seen)


def _thinned(found: _Incidence, n: int) -> tuple[float, float]:
    """Distinct items among `n` of the units, and the variance of that."""
    missing = _missing(found.units, found.seen, n)
    items = float(len(found.seen) - missing.sum())
    if found.units == 1:
        return items, 0.0
    if n < found.units:  # what is missing more, for each item, when one of those units is left out who saw it
        lost = _missing(found.units - 1, found.seen - 1, n) - _missing(found.units - 1, found.seen, n)
    else:
        lost = (found.seen == 1).astype(np.float64)
    by_unit = np.bincount(found.unit, weights=lost[found.item], minlength=found.units)  # (units,)
    return items, float((found.units - 1) / found.units * np.sum((by_unit - by_unit.mean()) ** 2))


def _missing(units: int, seen: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.float64]:
    """`(items,)` probability that none of `n` units drawn without return saw an item: C(units - seen, n) / C(units, n)."""
    rest = np.maximum(units - seen, 0)
    possible = rest >= n
    rest = np.where(possible, rest, n)
    log = gammaln(rest + 1) - gammaln(rest - n + 1) - gammaln(units + 1) + gammaln(units - n + 1)
    return np.where(possible, np.exp(log), 0.0)


def _pair(unit: int, item: int) -> int:
    """One key of both; the unit is a keyed hash already."""
    mixed = ((unit ^ (item >> 31)) * _ODD + item * (2 * unit + 1)) & _WORD
    return mixed ^ (mixed >> 29)
