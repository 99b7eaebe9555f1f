"""Since when something is wrong, and in which part of the rows it is worst."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from rankloop.drift.report import ColumnDrift

__all__ = ["Parts", "Slices", "change_point", "gone", "name_of", "onset", "size", "worst_slice"]

Parts = Sequence[tuple[datetime, Sequence[ColumnDrift]]]
"""Hours or days, in order: when each begins, and its columns held against the reference."""

Slices = Mapping[str, Sequence[ColumnDrift]]
"""Parts of the window's rows, named as `country=IN`, and their columns held against the reference's same rows."""

_RAW: Final = ("items", "users", "impressions", "outcomes")
_GONE: Final = 0.1
"""A value has vanished where less than this part of it is left."""

_WORSE: Final = 1.25
"""How many times the size in all rows makes a slice the worst one and not one like the others."""


def name_of(column: ColumnDrift) -> str:
    """The name by which a column is spoken of: `table.column` for one of a contract table, a feature's own name else.

    Example:
        >>> name_of(ColumnDrift(name="budget", kind="numeric", table="items", verdict="stable"))
        'items.budget'
    """
    if column.table in _RAW and not column.name.startswith(f"{column.table}."):
        return f"{column.table}.{column.name}"
    return column.name


def size(column: ColumnDrift) -> float:
    """How large a column's drift is, 0 to 1; 0 where it was not judged.

        max(Jensen-Shannon distance, |change of null share|, 1 - min(factor, 1 / factor)); 1 for a dead table or a constant

    Example:
        >>> size(ColumnDrift(name="budget", kind="numeric", table="items", verdict="broken", change="unit", factor=100.0))
        0.99
    """
    if column.verdict == "not enough rows":
        return 0.0
    if column.change in ("dead table", "constant"):
        return 1.0
    moved = [column.measures.get("js", 0.0), abs(column.null_share[1] - column.null_share[0])]
    if column.change == "unit" and column.factor and column.factor > 0:
        moved.append(1 - min(column.factor, 1 / column.factor))
    return float(min(max(moved), 1.0))


def gone(column: ColumnDrift) -> float:
    """The share of the reference's rows whose values have vanished; 0 of a column that lost none.

    Example:
        >>> from rankloop.drift import Shares
        >>> shown = Shares(labels=("Design", "Writing"), reference=(0.1, 0.9), window=(0.0, 1.0))
        >>> lost = {"verdict": "broken", "change": "vanished categories", "bins": shown}
        >>> gone(ColumnDrift(name="category", kind="category", table="items", **lost))
        0.1
    """
    if column.change != "vanished categories":
        return 0.0
    both = zip(column.bins.reference, column.bins.window, strict=True)
    return float(sum(before for before, now in both if now < _GONE * before))


def worst_slice(slices: Slices, names: Collection[str], whole: Sequence[ColumnDrift]) -> str:
    """Where columns drift most.

    Args:
        slices: a slice with too few rows has the verdict `not enough rows` on its columns, and does not count.
        names: of the columns, as `name_of` gives them.
        whole: all rows.

    Returns:
        A slice's name; `all` where none drifts clearly more (1.25 times) than all rows do, by the columns that it has.
    """
    found = {}
    for name, columns in slices.items():
        judged = {name_of(column) for column in columns if column.verdict != "not enough rows"} & {*names}
        found[name] = _mean(columns, judged) - _WORSE * _mean(whole, judged)
    worst = max(found, key=lambda name: (found[name], name), default="all")
    return worst if found.get(worst, 0.0) > 0 else "all"


def onset(parts: Parts, names: Collection[str]) -> datetime | None:
    """The beginning of the first bad hour or day: where the mean size of the columns' drift steps up.

    Args:
        parts: see `Parts`.
        names: of the columns, as `name_of` gives them.

    Returns:
        The first part's beginning where all are bad, so it began then or before; None without parts or where none is bad.
    """
    judged = [
        (at, columns)
        for at, columns in parts
        if any(name_of(column) in names and column.verdict != "not enough rows" for column in columns)
    ]
    if not judged:
        return None
    series = np.array([_mean(columns, names) for _, columns in judged])
    bad = [any(name_of(c) in names and c.verdict in ("broken", "drifted") for c in columns) for _, columns in judged]
    if not any(bad):
        return None
    if all(bad):
        return judged[0][0]
    return judged[change_point(series)][0]


def change_point(series: npt.NDArray[np.float64]) -> int:
    """Where a series steps up: the split into two levels that leaves the least squared error, the second level the higher.

    Args:
        series: `(n,)`, at least one value.

    Returns:
        The index of the second level's first value; 0 where no split has a higher second level.

    Source: D. Hinkley, "Inference about the change-point in a sequence of random variables", Biometrika 1970.

    Example:
        >>> change_point(np.array([0.1, 0.0, 0.1, 0.8, 0.9]))
        3
    """
    n = len(series)
    sums = np.cumsum(series)
    left = np.arange(1, n)
    before, after = sums[:-1] / left, (sums[-1] - sums[:-1]) / (n - left)
    gain = np.where(after > before, left * (n - left) * (after - before) ** 2, 0.0)
    return int(np.argmax(gain)) + 1 if len(gain) and gain.max() > 0 else 0


def _mean(columns: Sequence[ColumnDrift], names: Collection[str]) -> float:
    sizes = [size(column) for column in columns if name_of(column) in names and column.verdict != "not enough rows"]
    return float(np.mean(sizes)) if sizes else 0.0
