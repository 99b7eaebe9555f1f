"""The release on trial beside the one that serves."""

from typing import Final

from monitoring.dashboards.parts import SURFACE, Dashboard, Panel, Row, Step, Target
from monitoring.dashboards.shared import SERVING

__all__ = ["CANARY"]

_RATE: Final = "[$__rate_interval]"


def _mean(metric: str) -> str:
    """A tally's metric by slot, since its phase began: sum of the numerators over sum of the denominators."""
    x, y = (f'sum by (slot) (rankloop_tally_moments{{metric="{metric}",moment="{moment}"}})' for moment in "xy")
    return f"{x} / {y}"


_STATE: Final = Row(
    "Where the canary stands",
    (
        Panel(
            "Is a canary under way?",
            "The release on trial and where it stands; nothing where there is none.",
            (Target("rankloop_canary_info == 1"),),
            kind="table",
            height=6,
            alert="CanaryStuck",
        ),
        SERVING._replace(title="Which releases are compared?", says="What the record gives each slot.", height=6),
        Panel(
            "How long has it been at this step?",
            "Time since the canary began its present step. Hours without a decision: too few people, or nobody tells.",
            (Target("time() - max(rankloop_canary_since_timestamp_seconds)", "since"),),
            unit="s",
            kind="stat",
            width=4,
            height=6,
            steps=(Step("green"), Step("orange", 6 * 3600), Step("red", 24 * 3600)),
            alert="CanaryStuck",
        ),
        Panel(
            "How many people have seen it?",
            "Distinct people by slot since this step began.",
            (Target("sum by (slot) (rankloop_tally_units)", "{{slot}}"),),
            kind="stat",
            width=4,
            height=6,
            alert="CanaryNotObserved",
        ),
        Panel(
            "What share of the people has it?",
            "What the record says, and what the tally counts by. They differ for seconds, or an edge was not told.",
            (
                Target("max(rankloop_canary_weight_ratio)", "record"),
                Target("max(rankloop_tally_canary_ratio)", "tally"),
            ),
            unit="percentunit",
            width=12,
            minimum=0,
        ),
        Panel(
            "What was decided?",
            "Decisions on canaries in ten minutes: continue, advance, hold, pause, promote, roll back.",
            (Target("sum by (action) (increase(rankloop_canary_decisions_total[10m]))", "{{action}}"),),
            width=12,
            minimum=0,
            stacked=True,
        ),
    ),
)

_GUARDRAILS: Final = Row(
    "Guardrails: both slots side by side",
    (
        Panel(
            "Which slot fails more?",
            "Share of a slot's answers with 5xx, at the edge.",
            (
                Target(
                    f'sum by (proxy) (rate(haproxy_backend_http_responses_total{{proxy=~"blue|green",code="5xx"}}{_RATE}))'
                    f' / sum by (proxy) (rate(haproxy_backend_http_responses_total{{proxy=~"blue|green"}}{_RATE}))',
                    "{{proxy}}",
                ),
            ),
            unit="percentunit",
            minimum=0,
            alert="ErrorBurst",
        ),
        Panel(
            "Which slot is slower?",
            "95th and 99th percentile of an answer, waiting included.",
            tuple(
                Target(
                    f"histogram_quantile({quantile}, sum by (le, slot)"
                    f' (rate(rankloop_answer_duration_seconds_bucket{{surface=~"$surface"}}{_RATE})))',
                    f"{{{{slot}}}} {name}",
                )
                for quantile, name in ((0.95, "p95"), (0.99, "p99"))
            ),
            unit="s",
            minimum=0,
            alert="SlowReplica",
        ),
        Panel(
            "Which slot falls back or answers nothing more often?",
            "Share of lists since this step began.",
            (Target(_mean("fallback"), "{{slot}} fallback"), Target(_mean("empty"), "{{slot}} empty")),
            unit="percentunit",
            minimum=0,
        ),
    ),
)

_PEOPLE: Final = Row(
    "What people do with both",
    (
        Panel(
            "Which slot is clicked more?",
            "Clicks among the first ten places by list, since this step began. The decision counts by people, with intervals.",
            (Target(_mean("ctr@10"), "{{slot}}"),),
            minimum=0,
        ),
        Panel(
            "Which slot brings more applications?",
            "Applications by list, since this step began.",
            (Target(_mean("apply_rate"), "{{slot}}"),),
            minimum=0,
        ),
        Panel(
            "Which slot puts what people chose higher?",
            "nDCG at 10 of lists with an outcome, since this step began.",
            (Target(_mean("ndcg@10"), "{{slot}}"),),
            minimum=0,
            maximum=1,
        ),
    ),
)

_ALIKE: Final = Row(
    "How alike the lists are",
    (
        Panel(
            "How much do both lists have in common?",
            "Of requests asked again in the shadow: mean share of the first ten items in both, and rank-biased overlap.",
            (
                Target(
                    f'sum(rate(rankloop_shadow_overlap_ratio_sum{{cut="10"}}{_RATE}))'
                    f' / sum(rate(rankloop_shadow_overlap_ratio_count{{cut="10"}}{_RATE}))',
                    "overlap of the first 10",
                ),
                Target(
                    f"sum(rate(rankloop_shadow_rbo_ratio_sum{_RATE})) / sum(rate(rankloop_shadow_rbo_ratio_count{_RATE}))",
                    "rank-biased overlap",
                ),
            ),
            unit="percentunit",
            minimum=0,
            maximum=1,
        ),
        Panel(
            "Is as much of the catalogue shown?",
            "Distinct items that equally many people saw, by slot.",
            (Target('max by (of) (rankloop_tally_coverage_items{of=~"canary|stable"})', "{{of}}"),),
            minimum=0,
        ),
        Panel(
            "What becomes of requests in the shadow?",
            "Compared, failed, late, degraded or old.",
            (Target(f"sum by (outcome) (rate(rankloop_shadow_requests_total{_RATE}))", "{{outcome}}"),),
            unit="reqps",
            minimum=0,
            stacked=True,
        ),
    ),
)

CANARY: Final = Dashboard(
    "canary",
    "canary",
    "The release on trial beside the one that serves: shares, decisions, guardrails.",
    (_STATE, _GUARDRAILS, _PEOPLE, _ALIKE),
    (SURFACE,),
    since="now-24h",
)
