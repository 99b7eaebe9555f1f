"""Which charts an incident may have, and what they ask Prometheus."""

import json
from typing import Final, NamedTuple

from monitoring.charts import Unit
from rankloop.drift.report import CAUSES

__all__ = ["WANTED", "Query", "Wanted"]


class Query(NamedTuple):
    """One query of a chart.

    Attributes:
        expr: PromQL, in which `SURFACE` stands for a selector of the incident's surface, `WINDOW` for the span of a rate, and
            `LONG` for one of half an hour at least.
        label: of its series, with their labels in braces.
    """

    expr: str
    label: str


class Wanted(NamedTuple):
    """A chart that an incident may have.

    Attributes:
        name: of letters and hyphens.
        title: what it shows.
        unit: of its values.
        queries: its series.
        about: causes and components of the incidents that it comes first for; empty: any incident may have it.
        limit: what the objective allows; None: there is none.
    """

    name: str
    title: str
    unit: Unit
    queries: tuple[Query, ...]
    about: tuple[str, ...] = ()
    limit: float | None = None


def _rate(series: str, more: str = "") -> str:
    chosen = ",".join(part for part in ("SURFACE", more) if part)
    return f"rate({series}{{{chosen}}}[WINDOW])"


def _quantiles(by: str, label: str) -> tuple[Query, ...]:
    buckets = f"sum by ({by}) ({_rate('rankloop_answer_duration_seconds_bucket')})"
    return tuple(
        Query(f"histogram_quantile({share}, {buckets})", label.format(name))
        for share, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    )


def _share(outcome: str) -> str:
    return f"sum({_rate('rankloop_answers_total', f'outcome={json.dumps(outcome)}')}) / sum({_rate('rankloop_answers_total')})"


def _by_release(kind: str) -> str:
    chosen = f"kind={json.dumps(kind)}"
    done = f"sum by (release_id) (rate(rankloop_release_outcomes_total{{SURFACE,{chosen}}}[LONG]))"
    return f"{done} / sum by (release_id) (rate(rankloop_release_lists_total{{SURFACE}}[LONG]))"


WANTED: Final = (
    Wanted(
        "replicas",
        "Time of an answer by replica, 95th percentile",
        "seconds",
        (
            Query(
                f"histogram_quantile(0.95, sum by (le, slot, replica) ({_rate('rankloop_answer_duration_seconds_bucket')}))",
                "{slot} {replica}",
            ),
        ),
        ("replicas", "slow-replica"),
    ),
    Wanted(
        "up",
        "Programs that Prometheus can read",
        "number",
        (Query("sum by (job) (up)", "{job}"),),
        ("edge-down", "control-down", "collectors-down", "worker-down", "no-replica"),
    ),
    Wanted(
        "behind",
        "How far behind the readers of the spools are",
        "seconds",
        (
            Query("max(rankloop_fold_lag_seconds)", "fold"),
            Query("max(rankloop_roll_lag_seconds)", "roll"),
            Query("max(rankloop_tally_lag_seconds)", "tally"),
        ),
        ("curator", "tally", "spool", "online-store", "event-log"),
    ),
    Wanted(
        "events",
        "Events taken in",
        "per second",
        (Query("sum by (outcome) (rate(rankloop_events_total[WINDOW]))", "{outcome}"),),
        ("collectors", "clicks-vanished", "bot-spike"),
    ),
    Wanted(
        "fallbacks",
        "Fallbacks by reason",
        "per second",
        (Query(f"sum by (reason) ({_rate('rankloop_fallbacks_total')})", "{reason}"),),
        ("online-store", "ranker", "retrievers", "no-time", "other-slot-failed"),
    ),
    Wanted(
        "share",
        "The canary's share",
        "share",
        (Query("max(rankloop_canary_weight_ratio)", "record"), Query("max(rankloop_tally_canary_ratio)", "tally")),
        ("canary",),
    ),
    Wanted(
        "scores",
        "Mean score of a list",
        "number",
        tuple(
            Query(f"histogram_quantile({share}, sum by (le) ({_rate('rankloop_scores_bucket')}))", name)
            for share, name in ((0.1, "p10"), (0.5, "p50"), (0.9, "p90"))
        ),
        ("scores", "score-shift"),
    ),
    Wanted(
        "succeeded",
        "Time since a run last succeeded",
        "seconds",
        (
            Query(
                "time() - max by (pipeline, surface) (rankloop_run_last_success_timestamp_seconds{SURFACE})",
                "{pipeline}, {surface}",
            ),
        ),
        ("pipeline-failed", "pipeline-late", "drift-not-watched", "stale-release"),
    ),
    Wanted(
        "impact",
        "Causes of drift, by impact",
        "share",
        (Query("max by (cause, component) (rankloop_drift_cause_impact_ratio{SURFACE})", "{cause}: {component}"),),
        (*CAUSES, "drift-not-watched"),
    ),
    Wanted(
        "performance",
        "Ranking beside its reference, 1 is as before",
        "number",
        (Query("max by (metric, kind) (rankloop_performance_ratio{SURFACE})", "{metric} {kind}"),),
        ("performance", "taste-shift", "score-shift"),
    ),
    Wanted(
        "requests",
        "Answers by outcome",
        "per second",
        (Query(f"sum by (outcome) ({_rate('rankloop_answers_total')})", "{outcome}"),),
    ),
    Wanted(
        "failed",
        "Share of requests that failed; 0.1 % may",
        "share",
        (
            Query(
                'sum(rate(haproxy_frontend_http_responses_total{proxy="public",code="5xx"}[WINDOW]))'
                ' / sum(rate(haproxy_frontend_http_responses_total{proxy="public"}[WINDOW]))',
                "5xx at the edge",
            ),
            Query(_share("failed"), "failed in a replica"),
        ),
        limit=0.001,
    ),
    Wanted("latency", "How long an answer takes; 99 % are to be within 50 ms", "seconds", _quantiles("le", "{}"), limit=0.05),
    Wanted(
        "whole",
        "Share of answers that are not whole",
        "share",
        (Query(_share("fallback"), "fallback"), Query(_share("empty"), "empty")),
    ),
    Wanted(
        "people",
        "Clicks by list shown, by release",
        "number",
        (Query(_by_release("click"), "{release_id}"),),
    ),
)
"""Every chart, in the order in which they are wanted."""
