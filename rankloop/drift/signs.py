"""What a column or a metric says by itself of what went wrong."""

from collections.abc import Sequence
from typing import Final

import msgspec

from rankloop.drift.report import CauseName, Change, ColumnDrift, Performance

__all__ = ["ACTS", "FAULTS", "TABLES", "at_last", "at_most", "did"]

FAULTS: Final[dict[Change, CauseName]] = {
    "dead table": "dead-table",
    "unit": "unit-change",
    "nulls": "nulls",
    "vanished categories": "vanished-category",
    "new categories": "new-categories",
    "constant": "constant",
}
"""Changes that are faults of the data, and what they are called as a cause; the first explain the others."""

ACTS: Final = ("outcomes", "impressions")
"""Tables of behaviour."""

TABLES: Final = ("items", "users", *ACTS)
"""The contract's, those that others depend on first."""

_SURE: Final = 3.3
"""Standard errors to be sure of a loss: three metrics are looked at every day, and 1.96 would be wrong of one in a fortnight."""


def at_last(column: ColumnDrift, newest: Sequence[ColumnDrift]) -> ColumnDrift:
    """A column with the fault that the newest part of the window shows, where the whole, half good, shows only a drift.

    Where the whole of a raw column shows nothing yet, the two newest parts must agree.
    """
    faults = {part.change if part.verdict == "broken" else "" for part in newest[-1 if column.verdict == "drifted" else -2 :]}
    agree = len(faults) == 1 and faults <= {*FAULTS, "skew"}
    early = column.verdict == "stable" and column.table in TABLES and len(newest) == 2
    if not agree or not (early or column.verdict == "drifted"):
        return column
    fields = {name: getattr(newest[-1], name) for name in ("verdict", "change", "factor", "null_share", "says")}
    return msgspec.structs.replace(column, **fields)


def did(column: ColumnDrift) -> str:
    """What a column at fault did, as the end of a sentence."""
    before, now = column.null_share
    match column.change:
        case "unit":
            return f"changed unit: {column.factor:.4g} times what it was" if column.factor else "changed unit"
        case "nulls":
            return f"went from {before:.0%} to {now:.0%} missing"
        case "vanished categories" | "new categories":
            which = column.says.partition(": ")[2].rstrip(".")
            return f"has {column.change}" + (f": {which}" if which else "")
        case "skew":
            return column.says.partition(": ")[2].rstrip(".") or "lies elsewhere than the reference"
        case "constant":
            return "holds one value only"
    return "has no new rows"


def at_most(own: Performance) -> float:
    """What a metric's ratio surely is at most; infinity where nothing can be said."""
    if not own.ratio or not own.upper:
        return float("inf")
    return float(own.ratio * (own.upper / own.ratio) ** (_SURE / 1.96))
