"""The verdict on each column of one relation."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import polars as pl

from rankloop.contracts import Columns
from rankloop.drift import DriftPolicy, Profile, compare, profile
from rankloop.drift.report import ColumnDrift

__all__ = ["Usual", "judged", "usual_of"]

Usual = Mapping[str, float]
"""How far parts of a reference lie from the whole: `js`, `wasserstein`, and `nulls`, the change of the share of nulls."""

_ALIVE: Final = 0.05
"""Share of the rows that are expected, below which a table is dead; weekends and nights are above it."""

_EXPECTED: Final = 50.0
"""Rows that must be expected for their absence to say something; by chance none of 50 come once in 10^21 times."""

_PARTS: Final = 3
_ANY: Final = DriftPolicy.of({"min_rows": 50})


def judged(
    reference: Profile,
    window: Profile,
    before: Profile | None,
    expected: float | None,
    usual: Mapping[str, Usual],
    policy: DriftPolicy,
) -> tuple[ColumnDrift, ...]:
    """Every column of a relation, or of a table that nobody writes any more, all of them at once.

    A column that moves from week to week, such as a count of the last days, is not drifted until it lies `policy.known` times as
    far from the reference as the reference's own parts do.

    Args:
        reference: what the release learned from.
        window: what is looked at, in the reference's bins.
        before: the same weekday a week ago; None: it is not looked at.
        expected: rows that should have come in the window; None: not known.
        usual: by column, how far the reference's own parts lie from it.
        policy: how large a difference is one that matters.
    """
    found = compare(reference, window, policy, before=before if before and before.rows else None).columns
    columns = tuple(_excused(own, usual[own.name], policy) if own.name in usual else own for own in found)
    if expected is None or expected < _EXPECTED or window.rows >= _ALIVE * expected:
        return columns
    if before is not None and before.rows < _ALIVE * expected:  # it was as silent a week ago: that is its rhythm
        return columns
    says = f"{window.rows:,} rows came where some {expected:,.0f} were expected"
    return tuple(msgspec.structs.replace(own, verdict="broken", change="dead table", says=says) for own in columns)


def usual_of(reference: Profile, rows: pl.DataFrame, unit: str | None) -> dict[str, Usual]:
    """How far thirds of a reference's rows, cut by time, lie from the whole at most.

    Args:
        reference: of all the rows.
        rows: with their moments in `ts`.
        unit: the column of who made a row.

    Returns:
        By column; without those of which a third has too few rows.
    """
    ordered, size = rows.sort(Columns.TS, maintain_order=True), rows.height // _PARTS
    found: dict[str, dict[str, float]] = {}
    for part in range(_PARTS if size else 0):
        own = profile(ordered[part * size : (part + 1) * size], bins=reference.bins, unit=unit)
        for column in compare(reference, own, _ANY).columns:
            moved = {name: column.measures.get(name, 0.0) for name in ("js", "wasserstein")}
            moved["nulls"] = abs(column.null_share[1] - column.null_share[0])
            known = found.setdefault(column.name, moved)
            found[column.name] = {name: max(known[name], value) for name, value in moved.items()}
    return dict(found)


def _excused(own: ColumnDrift, usual: Usual, policy: DriftPolicy) -> ColumnDrift:
    """A column that differs no more than its own past does is stable."""
    moved = {name: own.measures.get(name, 0.0) for name in ("js", "wasserstein")}
    if own.change == "nulls":
        moved = {"nulls": abs(own.null_share[1] - own.null_share[0])}
    elif own.verdict != "drifted":
        return own
    if any(value > policy.known * usual.get(name, 0.0) for name, value in moved.items()):
        return own
    changes: dict[str, Any] = {"verdict": "stable", "change": "", "says": f"{own.says} It moved as far in the reference itself."}
    return msgspec.structs.replace(own, **changes)
