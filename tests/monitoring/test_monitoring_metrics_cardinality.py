"""However odd its labels, no process exports more samples than are declared; and what is plausible has room."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, get_args

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from monitoring.metrics import OTHER, SERIES, SHOWN_CAUSES, SHOWN_COLUMNS, ProcessMetrics
from monitoring.metrics.listing import PROCESSES, exported
from monitoring.metrics.series import STAGES
from pipelines.events import PIPELINES
from rankloop.canary import LATENCY_EDGES, METRICS
from rankloop.canary.state import Action
from rankloop.contracts import KINDS, SURFACES
from rankloop.drift.report import VERDICTS
from rankloop.gate.verdict import Outcome
from services.control.database.notices import NoticeState
from services.control.database.runs import RunState
from services.control.incident import IncidentStatus, Severity
from services.control.openapi import OPERATIONS as CONTROL
from services.events.openapi import OPERATIONS as EVENTS
from services.ranking import fallbacks
from services.ranking.openapi import OPERATIONS as RANKING
from services.tally.tally import SURFACES as TALLIED

SAMPLES = 6_000
"""The most that one process may export: a hundred processes are then no burden to one Prometheus."""

STATUSES = 8
MOMENTS = 6

PLAUSIBLE: dict[str, int] = {
    "rankloop_http_requests_total": STATUSES * max(map(len, (CONTROL, EVENTS, RANKING))),
    "rankloop_http_request_duration_seconds": max(len({own.path for own in all_}) for all_ in (CONTROL, EVENTS, RANKING)),
    "rankloop_stage_duration_seconds": len(STAGES) * len(SURFACES),
    "rankloop_fallbacks_total": len(fallbacks.__all__) * (len(SURFACES) + 1),
    "rankloop_events_total": 3 * (len(KINDS) + 1),
    "rankloop_outcomes_total": 2 * (TALLIED + 1) * len(KINDS),
    "rankloop_release_outcomes_total": 2 * (TALLIED + 1) * len(KINDS),
    "rankloop_lists_total": 2 * (TALLIED + 1),
    "rankloop_release_lists_total": 2 * (TALLIED + 1),
    "rankloop_tally_moments": 2 * len(METRICS) * MOMENTS,
    "rankloop_tally_latency_lists": 2 * (len(LATENCY_EDGES) + 1),
    "rankloop_canary_decisions_total": len(get_args(Action)),
    "rankloop_runs_total": len(SURFACES) * len(PIPELINES) * len(get_args(RunState)),
    "rankloop_run_step_duration_seconds": len(SURFACES) * sum(map(len, PIPELINES.values())),
    "rankloop_gate_verdicts_total": len(SURFACES) * len(get_args(Outcome)),
    "rankloop_drift_columns": len(SURFACES) * len(VERDICTS),
    "rankloop_drift_score": len(SURFACES) * SHOWN_COLUMNS * 2,
    "rankloop_null_share_ratio": len(SURFACES) * SHOWN_COLUMNS,
    "rankloop_drift_cause_impact_ratio": len(SURFACES) * SHOWN_CAUSES,
    "rankloop_performance_ratio": len(SURFACES) * 2 * len(METRICS),
    "rankloop_incidents": len(get_args(IncidentStatus)) * len(get_args(Severity)),
    "rankloop_notices_total": 4 * len(get_args(NoticeState)),
}
"""Series to combinations of labels that the code can come to, from its own vocabularies."""


def families(metrics: ProcessMetrics) -> Mapping[str, Any]:
    """The families of a process by name."""
    own: Iterable[Any] = (value for value in vars(metrics).values() if isinstance(value, Counter | Gauge | Histogram))
    return {family._name + "_total" * isinstance(family, Counter): family for family in own}


def touched(family: Any) -> None:
    """One more of it, whatever it is."""
    getattr(family, "observe", getattr(family, "set", getattr(family, "inc", None)))(1)


@pytest.mark.parametrize("heading", PROCESSES)
def test_no_process_exports_more_samples_than_are_declared(heading: str) -> None:
    metrics = PROCESSES[heading](process=False)
    own = families(metrics)
    assert {*own, "rankloop_surplus_labels_total"} == set(exported(PROCESSES[heading]))
    for name, family in own.items():
        for number in range(3 * SERIES[name].most if SERIES[name].labels else 1):
            labels = [f"{label}-{number}" for label in SERIES[name].labels]
            touched(family.labels(*labels) if labels else family)
    found = list(text_string_to_metric_families(metrics.text().decode()))
    samples = {family.name + "_total" * (family.type == "counter"): len(family.samples) for family in found}
    below_zero = {name for name, series in SERIES.items() if series.buckets and series.buckets[0] < 0}  # these have no sum
    for name in own:
        parts = SERIES[name].most + 1 if SERIES[name].labels else 1
        assert samples[name] == SERIES[name].samples - parts * (name in below_zero)
    assert sum(samples.values()) <= sum(SERIES[name].samples for name in exported(PROCESSES[heading])) <= SAMPLES


def test_what_comes_too_late_is_counted_as_other_and_told() -> None:
    metrics = PROCESSES["Replicas"](process=False)
    shown, most = families(metrics)["rankloop_impressions_total"], SERIES["rankloop_impressions_total"].most
    for number in range(most + 3):
        shown.labels(f"outcome-{number}").inc()
    text = metrics.text().decode()
    assert f'rankloop_impressions_total{{outcome="{OTHER}"}} 3.0' in text
    assert 'rankloop_surplus_labels_total{series="rankloop_impressions_total"} 3.0' in text
    assert f"outcome-{most}" not in text


@pytest.mark.parametrize("name", PLAUSIBLE)
def test_what_the_code_can_come_to_has_room(name: str) -> None:
    assert PLAUSIBLE[name] <= SERIES[name].most


def test_labels_are_found_by_name_and_by_place_alike() -> None:
    family = families(PROCESSES["Replicas"](process=False))["rankloop_fallbacks_total"]
    for surface, reason in product(("a", "b"), repeat=2):
        assert family.labels(surface, reason) is family.labels(reason=reason, surface=surface)


def test_a_bucket_holds_what_is_at_most_its_bound() -> None:
    metrics = PROCESSES["Replicas"](process=False)
    seconds, bounds = families(metrics)["rankloop_answer_duration_seconds"], SERIES["rankloop_answer_duration_seconds"].buckets
    for bound in bounds:
        seconds.labels("job_feed").observe(bound)
    (family,) = (own for own in text_string_to_metric_families(metrics.text().decode()) if own.name == seconds._name)
    below = [sample.value for sample in family.samples if sample.name.endswith("_bucket")]
    assert below == [*range(1, len(bounds) + 1), len(bounds)]
