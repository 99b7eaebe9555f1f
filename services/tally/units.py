"""What each unit saw and did, and the moments of it over all units, which grow with every list and outcome."""

from typing import Final

import numpy as np

from rankloop.canary import METRICS, Ratio
from services.tally.table import Table

__all__ = ["COLUMNS", "FINE", "SCALE", "Units"]

COLUMNS: Final[dict[str, type[np.generic]]] = {
    "lists": np.uint32,
    "clicks": np.uint32,
    "applies": np.uint32,
    "judged": np.uint32,
    "ndcg": np.int64,
    "empty": np.uint32,
    "fallback": np.uint32,
    "scored": np.uint32,
    "score": np.int64,
}
"""Of each unit: 44 bytes, and 8 of its key, and 8 of the index, in arrays that are at least half full."""

FINE: Final = 10**9
"""Scores and nDCG are kept as whole billionths, so that no order of additions changes a sum."""

SCALE: Final = {"ndcg": FINE, "score": FINE}
_RATIOS: Final = {
    "ctr@10": ("clicks", "lists"),
    "apply_rate": ("applies", "lists"),
    "ndcg@10": ("ndcg", "judged"),
    "empty": ("empty", "lists"),
    "fallback": ("fallback", "lists"),
    "score": ("score", "scored"),
}
assert _RATIOS.keys() == METRICS.keys()

Moments = list[int]


class Units:
    """The units of one slot.

    The moments are whole numbers of any size, so they are exact: what they are after many small steps is what they are
    from scratch.

    Args:
        table: the units there are already; None at the beginning.
        moments: by metric: units, x, y, xx, yy, xy, in whole numbers; those of `table`.

    Example:
        >>> units = Units()
        >>> units.add(1, lists=1); units.add(1, lists=1, clicks=1); units.add(2, lists=1)
        >>> units.ratio("ctr@10")
        Ratio(units=2, x=1.0, y=3.0, xx=1.0, yy=5.0, xy=2.0)
    """

    def __init__(self, table: Table | None = None, moments: dict[str, Moments] | None = None) -> None:
        self.table = table or Table(COLUMNS)
        self.moments = moments or {metric: [0] * 6 for metric in METRICS}

    def __len__(self) -> int:
        return len(self.table)

    def add(self, unit: int, **more: int) -> None:
        """Adds to the columns of a unit."""
        table = self.table
        row = table.row(unit)
        before = {name: table.number(name, row) for name in COLUMNS}
        after = before | {name: before[name] + count for name, count in more.items()}
        for metric, (x, y) in _RATIOS.items():
            if x in more or y in more:
                _move(self.moments[metric], (before[x], before[y]), (after[x], after[y]))
        for name in more:
            table.put(name, row, after[name])

    def ratio(self, metric: str) -> Ratio:
        """The moments of a metric, in its own unit."""
        units, x, y, xx, yy, xy = self.moments[metric]
        fine = SCALE.get(_RATIOS[metric][0], 1)
        return Ratio(units, x / fine, float(y), xx / fine**2, float(yy), xy / fine)

    def from_scratch(self) -> dict[str, Moments]:
        """The same moments, of the columns as they are."""
        found = {}
        for metric, (x, y) in _RATIOS.items():
            found[metric] = moments = [0] * 6
            for after in zip(self.table[x].tolist(), self.table[y].tolist(), strict=True):
                _move(moments, (0, 0), after)
        return found


def _move(moments: Moments, before: tuple[int, int], after: tuple[int, int]) -> None:
    (x0, y0), (x1, y1) = before, after
    moments[0] += (y1 > 0) - (y0 > 0)
    moments[1] += x1 - x0
    moments[2] += y1 - y0
    moments[3] += x1 * x1 - x0 * x0
    moments[4] += y1 * y1 - y0 * y0
    moments[5] += x1 * y1 - x0 * y0
