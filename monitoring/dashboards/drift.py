"""What has changed in the data, and how much it matters."""

from typing import Final

from monitoring.dashboards.parts import SURFACE, Dashboard, Panel, Row, Step, Target
from monitoring.dashboards.shared import CAUSES, HERE

__all__ = ["DRIFT"]

_CAUSES: Final = Row(
    "What drifted, and does it matter?",
    (
        CAUSES,
        Panel(
            "How many columns, by verdict?",
            "Columns of the newest report: stable, drifted, broken, or with too few rows to tell.",
            (Target(f"sum by (verdict) (max by (surface, verdict) (rankloop_drift_columns{{{HERE}}}))", "{{verdict}}"),),
            width=6,
            minimum=0,
            stacked=True,
        ),
        Panel(
            "How old is the newest report?",
            "Time since the last report of drift; the watch runs by schedule, and one that does not run sees nothing.",
            (Target(f"time() - max by (surface) (rankloop_drift_report_timestamp_seconds{{{HERE}}})", "{{surface}}"),),
            unit="s",
            kind="stat",
            width=6,
            steps=(Step("green"), Step("orange", 36 * 3600), Step("red", 72 * 3600)),
            alert="DriftNotWatched",
        ),
        Panel(
            "How have the causes grown?",
            "Impact of each cause over time.",
            (
                Target(
                    f"max by (surface, cause, component) (rankloop_drift_cause_impact_ratio{{{HERE}}})",
                    "{{cause}}: {{component}} ({{surface}})",
                ),
            ),
            unit="percentunit",
            width=24,
            minimum=0,
        ),
    ),
)

_COLUMNS: Final = Row(
    "Columns",
    (
        Panel(
            "Which columns moved most?",
            "Population stability index of the ten columns that moved most: below 0.1 little, above 0.25 much.",
            (
                Target(
                    f'topk(10, max by (surface, column) (rankloop_drift_score{{{HERE},measure="psi"}}))',
                    "{{column}} ({{surface}})",
                ),
            ),
            width=12,
            height=9,
            steps=(Step("green"), Step("orange", 0.1), Step("red", 0.25)),
            minimum=0,
        ),
        Panel(
            "Which columns lack values?",
            "Share of nulls of the ten columns with most of them. A step is an upstream table or job, not taste.",
            (
                Target(
                    f"topk(10, max by (surface, column) (rankloop_null_share_ratio{{{HERE}}}))",
                    "{{column}} ({{surface}})",
                ),
            ),
            unit="percentunit",
            width=12,
            height=9,
            minimum=0,
            maximum=1,
        ),
    ),
)

_PERFORMANCE: Final = Row(
    "Does the ranking suffer?",
    (
        Panel(
            "How good is it, measured and estimated?",
            "Relative to the reference, 1 is as before. Measured once outcomes are ripe; estimated until then.",
            (
                Target(
                    f"max by (surface, metric, kind) (rankloop_performance_ratio{{{HERE}}})",
                    "{{metric}} {{kind}} ({{surface}})",
                ),
            ),
            width=12,
            steps=(Step("red"), Step("green", 0.9)),
            alert="PerformanceLost",
        ),
        Panel(
            "How old is what the release knows?",
            "Time since the newest moment that the release in each slot has seen.",
            (Target("time() - max by (slot) (rankloop_release_as_of_timestamp_seconds)", "{{slot}}"),),
            unit="s",
            width=12,
            minimum=0,
            alert="StaleRelease",
        ),
    ),
)

DRIFT: Final = Dashboard(
    "drift",
    "drift",
    "What has changed in the data since training, and how much it matters.",
    (_CAUSES, _COLUMNS, _PERFORMANCE),
    (SURFACE,),
    since="now-14d",
)
