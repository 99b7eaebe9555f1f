"""Panels of more than one dashboard."""

from typing import Final

from monitoring.dashboards.parts import Panel, Step, Target

__all__ = ["CAUSES", "LAST_SUCCESS", "SERVING"]

_HERE: Final = 'surface=~"$surface"'

SERVING: Final = Panel(
    "What serves?",
    "The release that the record gives each slot, and its role.",
    (Target("rankloop_serving_info == 1"),),
    kind="table",
    height=5,
)

LAST_SUCCESS: Final = Panel(
    "When did each last succeed?",
    "Time since the last run that ended well.",
    (
        Target(
            f"time() - max by (pipeline, surface) (rankloop_run_last_success_timestamp_seconds{{{_HERE}}})",
            "{{pipeline}}, {{surface}}",
        ),
    ),
    unit="s",
    kind="bargauge",
    width=6,
    steps=(Step("green"), Step("orange", 36 * 3600), Step("red", 72 * 3600)),
    alert="PipelineLate",
)

CAUSES: Final = Panel(
    "Which causes, by impact?",
    "Causes in the newest report. Impact: of the ranker's importance, the share that the cause touches, 0 to 1.",
    (
        Target(
            f"sort_desc(max by (surface, cause, component) (rankloop_drift_cause_impact_ratio{{{_HERE}}}))",
            "{{cause}}: {{component}} ({{surface}})",
        ),
    ),
    unit="percentunit",
    kind="bargauge",
    width=12,
    steps=(Step("green"), Step("orange", 0.05), Step("red", 0.2)),
    minimum=0,
    maximum=1,
    alert="DriftWithImpact",
)
