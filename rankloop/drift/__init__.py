"""Drift: what changed between the reference a release was trained on and what it serves now, and why."""

from rankloop.drift.report import (
    CAUSES,
    CHANGES,
    VERDICTS,
    Cause,
    CauseName,
    Change,
    ColumnDrift,
    Day,
    DriftReport,
    Moment,
    Performance,
    Shares,
    Verdict,
    verdict_of,
)

__all__ = [
    "CAUSES",
    "CHANGES",
    "VERDICTS",
    "Cause",
    "CauseName",
    "Change",
    "ColumnDrift",
    "Day",
    "DriftReport",
    "Moment",
    "Performance",
    "Shares",
    "Verdict",
    "verdict_of",
]
