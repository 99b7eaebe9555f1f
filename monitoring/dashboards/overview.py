"""Is everything well, and if not, where to look."""

from typing import Final

from monitoring.dashboards.parts import RELEASE, SLOT, SURFACE, Dashboard, Panel, Row, Step, Target
from monitoring.dashboards.shared import CAUSES, LAST_SUCCESS, SERVING

__all__ = ["OVERVIEW"]

_ANSWERS: Final = 'rankloop_answers_total{surface=~"$surface",slot=~"$slot"}'
_SECONDS: Final = 'rankloop_answer_duration_seconds_bucket{surface=~"$surface",slot=~"$slot"}'
_LISTS: Final = 'rankloop_release_lists_total{surface=~"$surface",release_id=~"$release"}'
_OUTCOMES: Final = 'rankloop_release_outcomes_total{surface=~"$surface",release_id=~"$release",kind="%s"}'

_WELL: Final = Row(
    "Is it well?",
    (
        Panel(
            "Are people answered?",
            "Share of the edge's answers of the last hour that are not 5xx, refusals among them; the objective is 99.9 %.",
            (Target("1 - rankloop:edge_errors:ratio1h", "answered"),),
            unit="percentunit",
            kind="stat",
            width=4,
            height=5,
            steps=(Step("red"), Step("orange", 0.995), Step("green", 0.999)),
            alert="ErrorBudgetBurning",
        ),
        Panel(
            "How much error budget is left?",
            "Of the failures that 99.9 % allows in 30 days, or as long as Prometheus keeps, the share left. Below 0: broken.",
            (Target("1 - avg_over_time(rankloop:edge_errors:ratio1h[30d]) / 0.001", "left of 30 days"),),
            unit="percentunit",
            kind="stat",
            width=4,
            height=5,
            steps=(Step("red"), Step("orange", 0.1), Step("green", 0.5)),
            alert="ErrorBudgetLeaking",
        ),
        Panel(
            "How many incidents are open?",
            "Open incidents of the pager by severity; one for each cause.",
            (Target('sum by (severity) (max by (severity, status) (rankloop_incidents{status!="resolved"}))', "{{severity}}"),),
            kind="stat",
            width=4,
            height=5,
            steps=(Step("green"), Step("red", 1)),
        ),
        SERVING,
        Panel(
            "What does not answer?",
            "Programs that Prometheus could not read at its last attempt.",
            (Target("sum(up == bool 0)", "unread"),),
            kind="stat",
            width=4,
            height=5,
            steps=(Step("green"), Step("red", 1)),
            alert="WorkerDown",
        ),
    ),
)

_REQUESTS: Final = Row(
    "Requests",
    (
        Panel(
            "How many answers a second, by surface?",
            "Answers made by replicas. A fall to nothing with people about is an edge or a caller that is away.",
            (Target(f"sum by (surface) (rate({_ANSWERS}[$__rate_interval]))", "{{surface}}"),),
            unit="reqps",
            minimum=0,
            alert="BotSpike",
        ),
        Panel(
            "How many requests fail at the edge?",
            "Share of the edge's answers with 5xx, refusals with 503 among them, and with 429.",
            (
                Target(
                    'sum(rate(haproxy_frontend_http_responses_total{proxy="public",code="5xx"}[$__rate_interval]))'
                    ' / sum(rate(haproxy_frontend_http_responses_total{proxy="public"}[$__rate_interval]))',
                    "5xx",
                ),
                Target(
                    'sum(rate(haproxy_frontend_http_responses_total{proxy="public",code="4xx"}[$__rate_interval]))'
                    ' / sum(rate(haproxy_frontend_http_responses_total{proxy="public"}[$__rate_interval]))',
                    "4xx",
                ),
            ),
            unit="percentunit",
            steps=(Step("green"), Step("red", 0.001)),
            minimum=0,
            alert="ErrorBurst",
        ),
        Panel(
            "How long does an answer take?",
            "From arrival at the edge until the list was made, waiting included; the objective is 99 % within 50 ms.",
            tuple(
                Target(
                    f"histogram_quantile({quantile}, sum by (le, surface) (rate({_SECONDS}[$__rate_interval])))",
                    f"{{{{surface}}}} {name}",
                )
                for quantile, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
            ),
            unit="s",
            minimum=0,
            alert="SlowAnswers",
        ),
    ),
)

_RANKING: Final = Row(
    "Ranking",
    (
        Panel(
            "How many answers are not whole?",
            "Share of answers made with less than the whole release, without an item, or failed.",
            (
                Target(
                    'sum by (outcome) (rate(rankloop_answers_total{surface=~"$surface",slot=~"$slot",outcome!="whole"}'
                    f"[$__rate_interval])) / ignoring(outcome) group_left () sum(rate({_ANSWERS}[$__rate_interval]))",
                    "{{outcome}}",
                ),
            ),
            unit="percentunit",
            minimum=0,
            alert="FallbackShare",
        ),
        Panel(
            "How often are lists clicked, by release?",
            "First clicks by list shown, in the last half hour. Compare releases at the same hour, not hours with one another.",
            (
                Target(
                    f"sum by (release_id) (rate({_OUTCOMES % 'click'}[30m])) / sum by (release_id) (rate({_LISTS}[30m]))",
                    "{{release_id}}",
                ),
            ),
            minimum=0,
            alert="ClicksVanished",
        ),
        Panel(
            "How often do people apply, by release?",
            "First applications by list shown, in the last half hour.",
            (
                Target(
                    f"sum by (release_id) (rate({_OUTCOMES % 'apply'}[30m])) / sum by (release_id) (rate({_LISTS}[30m]))",
                    "{{release_id}}",
                ),
            ),
            minimum=0,
        ),
    ),
)

_BEHIND: Final = Row(
    "What works behind it",
    (
        Panel(
            "How far behind is what reads the spools?",
            "Fold: what people did until the online store has it. Roll: the oldest segment outside the log. Tally: the counts.",
            (
                Target("max(rankloop_fold_lag_seconds)", "fold"),
                Target("max(rankloop_roll_lag_seconds)", "roll"),
                Target("max(rankloop_tally_lag_seconds)", "tally"),
            ),
            unit="s",
            width=6,
            minimum=0,
            alert="SpoolLag",
        ),
        Panel(
            "How old is what the release knows?",
            "Time since the newest moment the release in each slot has seen.",
            (Target('time() - max by (slot) (rankloop_release_as_of_timestamp_seconds{slot=~"$slot"})', "{{slot}}"),),
            unit="s",
            width=6,
            minimum=0,
            alert="StaleRelease",
        ),
        LAST_SUCCESS._replace(title="When did a pipeline last succeed?"),
        CAUSES._replace(
            title="What has drifted, by how much it matters?",
            says="Causes in the newest report of drift; impact is the share of the ranker's importance that they touch, 0 to 1.",
            width=6,
        ),
    ),
)

OVERVIEW: Final = Dashboard(
    "overview",
    "overview",
    "Is everything well, and if not, where to look next.",
    (_WELL, _REQUESTS, _RANKING, _BEHIND),
    (SURFACE, SLOT, RELEASE),
)
