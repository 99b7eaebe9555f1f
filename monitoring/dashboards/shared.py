"""Panels of more than one dashboard, and what they choose by."""

from typing import Final

from monitoring.dashboards.parts import Panel, Step, Target

__all__ = ["CAUSES", "HERE", "LAST_SUCCESS", "SERVING"]

HERE: Final = 'surface=~"$surface"'
"""What is chosen above the panels, as a query has it."""

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
            f"time() - max by (pipeline, surface) (rankloop_run_last_success_timestamp_seconds{{{HERE}}})",
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
            f"sort_desc(max by (surface, cause, component) (rankloop_drift_cause_impact_ratio{{{HERE}}}))",
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
