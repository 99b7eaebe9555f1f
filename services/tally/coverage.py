"""Which items each slot showed to whom, and how much of the catalogue that is for equally many people."""

from typing import Final

import numpy as np

from rankloop.canary import Coverage
from rankloop.experiment import Incidence, rarefied_difference
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


def compare(canary: Showings, stable: Showings) -> Coverage | None:
    """Distinct items of both slots, the one with more units thinned to as many as the other has.

    Returns:
        None where a slot showed nothing. `places` are the pairs of unit and item of the slot with fewer units.

    Example:
        >>> canary, stable = Showings(), Showings()
        >>> canary.add(1, [10, 11]); stable.add(2, [10, 11]); stable.add(3, [10, 12])
        >>> compare(canary, stable)  # of the two stable units either saw two items
        Coverage(places=2, canary=2.0, stable=2.0, variance=0.0)
    """
    if not len(canary.table) or not len(stable.table):
        return None
    found = rarefied_difference(_incidence(stable), _incidence(canary))
    return Coverage(found.places, found.second, found.first, found.variance)


def _incidence(showings: Showings) -> Incidence:
    _, unit = np.unique(showings.table["unit"], return_inverse=True)
    _, item = np.unique(showings.table["item"], return_inverse=True)
    return Incidence(unit, item, int(unit.max()) + 1)


def _pair(unit: int, item: int) -> int:
    """One key of both; the unit is a keyed hash already."""
    mixed = ((unit ^ (item >> 31)) * _ODD + item * (2 * unit + 1)) & _WORD
    return mixed ^ (mixed >> 29)
