"""One surface in depth: by slot and by stage."""

from typing import Final

from monitoring.dashboards.parts import RELEASE, SLOT, SURFACE, Dashboard, Panel, Row, Step, Target

__all__ = ["SURFACE_IN_DEPTH"]

_HERE: Final = 'surface=~"$surface",slot=~"$slot"'
_RATE: Final = "[$__rate_interval]"

_ANSWERS: Final = Row(
    "Answers",
    (
        Panel(
            "How many answers, by slot and outcome?",
            "Whole: made with the whole release. Fallback: with less. Empty: without an item. Failed: an error.",
            (Target(f"sum by (slot, outcome) (rate(rankloop_answers_total{{{_HERE}}}{_RATE}))", "{{slot}} {{outcome}}"),),
            unit="reqps",
            minimum=0,
            stacked=True,
        ),
        Panel(
            "Why were fallbacks used?",
            "Answers made with less than the whole release, by reason.",
            (Target(f"sum by (slot, reason) (rate(rankloop_fallbacks_total{{{_HERE}}}{_RATE}))", "{{slot}}: {{reason}}"),),
            unit="reqps",
            minimum=0,
            alert="FallbackShare",
        ),
        Panel(
            "What share of the answers is empty?",
            "Answers without a single item; near 0 where the surface has anything to show.",
            (
                Target(
                    f"sum by (slot) (rate(rankloop_empty_answers_total{{{_HERE}}}{_RATE}))"
                    f" / sum by (slot) (rate(rankloop_answers_total{{{_HERE}}}{_RATE}))",
                    "{{slot}}",
                ),
            ),
            unit="percentunit",
            minimum=0,
            steps=(Step("green"), Step("red", 0.02)),
            alert="EmptyLists",
        ),
    ),
)

_TIME: Final = Row(
    "Time",
    (
        Panel(
            "How long does an answer take, by slot?",
            "From arrival at the edge until the answer was made, waiting included.",
            tuple(
                Target(
                    f"histogram_quantile({quantile}, sum by (le, slot)"
                    f" (rate(rankloop_answer_duration_seconds_bucket{{{_HERE}}}{_RATE})))",
                    f"{{{{slot}}}} {name}",
                )
                for quantile, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
            ),
            unit="s",
            minimum=0,
            alert="SlowAnswers",
        ),
        Panel(
            "Which stage takes the time?",
            "95th percentile of each stage: state, retrieve, rank, explain, log.",
            (
                Target(
                    f"histogram_quantile(0.95, sum by (le, stage)"
                    f" (rate(rankloop_stage_duration_seconds_bucket{{{_HERE}}}{_RATE})))",
                    "{{stage}}",
                ),
            ),
            unit="s",
            minimum=0,
        ),
        Panel(
            "Which replica is slow?",
            "Mean time of an answer by replica; one that stands out is slow by itself.",
            (
                Target(
                    f"sum by (slot, replica) (rate(rankloop_answer_duration_seconds_sum{{{_HERE}}}{_RATE}))"
                    f" / sum by (slot, replica) (rate(rankloop_answer_duration_seconds_count{{{_HERE}}}{_RATE}))",
                    "{{slot}} {{replica}}",
                ),
            ),
            unit="s",
            minimum=0,
            alert="SlowReplica",
        ),
    ),
)

_LISTS: Final = Row(
    "Lists, and what came of them",
    (
        Panel(
            "How are lists scored?",
            "Quantiles of the mean score of a list. A step without a new release is drift or a broken feature.",
            tuple(
                Target(
                    f"histogram_quantile({quantile}, sum by (le, slot) (rate(rankloop_scores_bucket{{{_HERE}}}{_RATE})))",
                    f"{{{{slot}}}} {name}",
                )
                for quantile, name in ((0.1, "p10"), (0.5, "p50"), (0.9, "p90"))
            ),
            alert="ScoresShifted",
        ),
        Panel(
            "Which retriever do items come from?",
            "Share of the items in answers, by the retriever that proposed them highest.",
            (
                Target(
                    f"sum by (source) (rate(rankloop_answered_items_total{{{_HERE}}}{_RATE}))"
                    f" / ignoring(source) group_left () sum(rate(rankloop_answered_items_total{{{_HERE}}}{_RATE}))",
                    "{{source}}",
                ),
            ),
            unit="percentunit",
            minimum=0,
            stacked=True,
        ),
        Panel(
            "What do people do with a list, by release?",
            "First outcomes of each kind by list shown, in the last half hour.",
            (
                Target(
                    "sum by (release_id, kind)"
                    ' (rate(rankloop_release_outcomes_total{surface=~"$surface",release_id=~"$release"}[30m]))'
                    " / ignoring(kind) group_left () sum by (release_id)"
                    ' (rate(rankloop_release_lists_total{surface=~"$surface",release_id=~"$release"}[30m]))',
                    "{{release_id}} {{kind}}",
                ),
            ),
            minimum=0,
            alert="ClicksVanished",
        ),
    ),
)

SURFACE_IN_DEPTH: Final = Dashboard(
    "surface",
    "one surface",
    "One surface in depth: answers, times and lists, by slot and by stage.",
    (_ANSWERS, _TIME, _LISTS),
    (SURFACE, SLOT, RELEASE),
)
