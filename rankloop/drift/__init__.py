"""How far what people and the catalogue do now is from what the models learnt from."""

from rankloop.drift.bins import Bins
from rankloop.drift.column import Column
from rankloop.drift.compare import Comparison, compare
from rankloop.drift.policy import DriftPolicy
from rankloop.drift.profile import ColumnProfile, Profile, profile
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
    "Bins",
    "Cause",
    "CauseName",
    "Change",
    "Column",
    "ColumnDrift",
    "ColumnProfile",
    "Comparison",
    "Day",
    "DriftPolicy",
    "DriftReport",
    "Moment",
    "Performance",
    "Profile",
    "Shares",
    "Verdict",
    "compare",
    "profile",
    "verdict_of",
]
