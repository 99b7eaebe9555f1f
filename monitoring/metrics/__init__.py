"""Every exported series, declared once, and the class of each process that exports it."""

from monitoring.metrics.control import ControlMetrics
from monitoring.metrics.processes import (
    CuratorMetrics,
    EventMetrics,
    HttpMetrics,
    Metrics,
    ProcessMetrics,
    ShadowMetrics,
    SpoolMetrics,
    TallyMetrics,
)
from monitoring.metrics.series import OTHER, SERIES, SHOWN_CAUSES, SHOWN_COLUMNS, Series

__all__ = [
    "OTHER",
    "SERIES",
    "SHOWN_CAUSES",
    "SHOWN_COLUMNS",
    "ControlMetrics",
    "CuratorMetrics",
    "EventMetrics",
    "HttpMetrics",
    "Metrics",
    "ProcessMetrics",
    "Series",
    "ShadowMetrics",
    "SpoolMetrics",
    "TallyMetrics",
]
