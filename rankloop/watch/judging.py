"""The verdict on each column of one relation, as a report has it."""

from typing import Final

import msgspec

from rankloop.drift import DriftPolicy, Profile, compare
from rankloop.drift.report import ColumnDrift

__all__ = ["judged"]

_ALIVE: Final = 0.05
"""Share of the rows that are expected, below which a table is dead; weekends and nights are above it."""

_EXPECTED: Final = 50.0
"""Rows that must be expected for their absence to say something; by chance none of 50 come once in 10^21 times."""


def judged(
    reference: Profile, window: Profile, before: Profile | None, expected: float | None, policy: DriftPolicy
) -> tuple[ColumnDrift, ...]:
    """Every column of a relation, or of a table that nobody writes any more, all of them at once.

    Args:
        reference: what the release learned from.
        window: what is looked at, in the reference's bins.
        before: the same weekday a week ago; None: it is not looked at.
        expected: rows that should have come in the window; None: not known.
        policy: how large a difference is one that matters.
    """
    columns = compare(reference, window, policy, before=before if before and before.rows else None).columns
    if expected is None or expected < _EXPECTED or window.rows >= _ALIVE * expected:
        return columns
    if before is not None and before.rows < _ALIVE * expected:  # it was as silent a week ago: that is its rhythm
        return columns
    says = f"{window.rows:,} rows came where some {expected:,.0f} were expected"
    return tuple(msgspec.structs.replace(own, verdict="broken", change="dead table", says=says) for own in columns)
