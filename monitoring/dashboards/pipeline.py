"""What runs, what failed, and what came of it."""

from typing import Final

from monitoring.dashboards.parts import SURFACE, Dashboard, Panel, Row, Step, Target
from monitoring.dashboards.shared import HERE, LAST_SUCCESS

__all__ = ["PIPELINE"]

_RUNS: Final = Row(
    "Runs",
    (
        Panel(
            "How did runs end?",
            "Runs of six hours, by pipeline and by the state they came to.",
            (
                Target(
                    f"sum by (pipeline, state) (increase(rankloop_runs_total{{{HERE}}}[6h]))",
                    "{{pipeline}} {{state}}",
                ),
            ),
            width=12,
            minimum=0,
            alert="PipelineFailed",
        ),
        LAST_SUCCESS,
        Panel(
            "What runs now, and since when?",
            "Time since a run that is under way began; nothing where none is.",
            (
                Target(
                    f"time() - max by (pipeline, surface) (rankloop_run_running_since_timestamp_seconds{{{HERE}}})",
                    "{{pipeline}}, {{surface}}",
                ),
            ),
            unit="s",
            kind="bargauge",
            width=6,
            steps=(Step("green"), Step("orange", 2 * 3600), Step("red", 6 * 3600)),
            alert="PipelineLate",
        ),
    ),
)

_STEPS: Final = Row(
    "Steps",
    (
        Panel(
            "Which step takes the time?",
            "Seconds of each step of the newest run that succeeded.",
            (
                Target(
                    "sort_desc(max by (pipeline, step) (rankloop_run_step_duration_seconds))",
                    "{{pipeline}}: {{step}}",
                ),
            ),
            unit="s",
            kind="bargauge",
            width=12,
            height=11,
            steps=(Step("blue"),),
            minimum=0,
        ),
        Panel(
            "Have steps become slower?",
            "Seconds of each step of the newest run that succeeded, over time.",
            (Target("max by (pipeline, step) (rankloop_run_step_duration_seconds)", "{{pipeline}}: {{step}}"),),
            unit="s",
            width=12,
            height=11,
            minimum=0,
        ),
    ),
)

_GATE: Final = Row(
    "What comes of it",
    (
        Panel(
            "What does the gate say?",
            "Verdicts of seven days: pass, fail, not enough evidence.",
            (
                Target(
                    f"sum by (surface, verdict) (increase(rankloop_gate_verdicts_total{{{HERE}}}[7d]))",
                    "{{surface}}: {{verdict}}",
                ),
            ),
            minimum=0,
        ),
        Panel(
            "Does the log come in?",
            "Age of the oldest sealed segment outside the log, and tasks of the curator that failed in an hour.",
            (
                Target("max(rankloop_roll_lag_seconds)", "oldest segment, s"),
                Target("sum by (task) (increase(rankloop_curator_failures_total[1h]))", "failed: {{task}}"),
            ),
            minimum=0,
            alert="SpoolLag",
        ),
        Panel(
            "Who leads, and is its loop alive?",
            "Time since the control plane's loop ended a round; it starts runs by schedule.",
            (Target("time() - max(rankloop_control_tick_timestamp_seconds)", "since the last round"),),
            unit="s",
            kind="stat",
            steps=(Step("green"), Step("orange", 15), Step("red", 60)),
            alert="ControlDown",
        ),
    ),
)

PIPELINE: Final = Dashboard(
    "pipeline",
    "pipelines",
    "What runs, what failed, and what came of it.",
    (_RUNS, _STEPS, _GATE),
    (SURFACE,),
    since="now-7d",
)
