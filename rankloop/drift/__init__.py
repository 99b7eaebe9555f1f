"""How far what people and the catalogue do now is from what the models learnt from."""

from rankloop.drift.bins import Bins
from rankloop.drift.causes import Context, causes, ranked
from rankloop.drift.column import Column
from rankloop.drift.compare import Comparison, compare
from rankloop.drift.performance import Period, estimated, measured
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
from rankloop.drift.sources import Sources
from rankloop.drift.stream import Alarm, ErrorWatch, Promise

__all__ = [
    "CAUSES",
    "CHANGES",
    "VERDICTS",
    "Alarm",
    "Bins",
    "Cause",
    "CauseName",
    "Change",
    "Column",
    "ColumnDrift",
    "ColumnProfile",
    "Comparison",
    "Context",
    "Day",
    "DriftPolicy",
    "DriftReport",
    "ErrorWatch",
    "Moment",
    "Performance",
    "Period",
    "Profile",
    "Promise",
    "Shares",
    "Sources",
    "Verdict",
    "causes",
    "compare",
    "estimated",
    "measured",
    "profile",
    "ranked",
    "verdict_of",
]
