"""The control plane's series are what the record says: what serves, canaries, runs, drift, incidents and notices."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitoring.metrics import SERIES, SHOWN_CAUSES, SHOWN_COLUMNS, ControlMetrics
from pipelines.events import StepRecord
from rankloop.canary import Policy, start
from rankloop.drift import Cause, ColumnDrift, DriftReport, Performance
from rankloop.errors import StackError
from services.control.controller import Status
from services.control.counting import Counting
from services.control.database import (
    Database,
    Desired,
    add_run,
    change_canary,
    change_desired,
    change_run,
    end_canary,
    new_canary,
)
from services.control.database.drift import add_drift_report
from services.control.database.incidents import change_incident, new_incident
from services.control.database.notices import add_notice, change_notice
from services.control.incident import Context

NOW = datetime(2026, 11, 17, 14, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BY = {"who": "ann", "why": "A test."}
STATUS = Status(leads=True, holder="here", last_tick=NOW, faults={}, waiting=None)


class Series:
    """A record, and what the series of one control plane say of it."""

    def __init__(self, database: Database, steps: Callable[[str], Sequence[StepRecord]] = lambda _: ()) -> None:
        self.metrics, self.database = ControlMetrics(process=False), database
        self.counting = Counting(database, self.metrics, steps)

    def of(self, name: str, status: Status = STATUS) -> dict[tuple[str, ...], float]:
        """The samples of one series after a round, by their labels in the order of the declaration."""
        self.counting.update(status)
        found = [one for own in text_string_to_metric_families(self.metrics.text().decode()) for one in own.samples]
        return {tuple(one.labels[key] for key in SERIES[name].labels): one.value for one in found if one.name == name}


@pytest.fixture
def series(database: Database) -> Series:
    return Series(database)


def put(database: Database, version: int, **wanted: Any) -> None:
    with database.begin() as session:
        change_desired(session, Desired(**wanted), expected_version=version, kind="test.put", at=NOW, **BY)


def ran(database: Database, state: str, *, began: int, ended: int | None = None, **given: Any) -> str:
    """A run that began and ended so many minutes after NOW."""
    verdict = {"verdict": given.pop("verdict")} if "verdict" in given else {}
    with database.begin() as session:
        told = {"surface": "job_feed", "order": {}, "trigger": "api", "at": NOW, **BY} | given
        name = add_run(session, **told).run_id
        change_run(session, name, from_states=("queued",), state="running", at=NOW + began * MINUTE, **BY)
        if ended is not None:
            change_run(session, name, from_states=("running",), state=state, at=NOW + ended * MINUTE, **verdict, **BY)
    return name


def report(name: str, minute: int = 0, **given: Any) -> DriftReport:
    at = NOW + minute * MINUTE
    told = {"surface": "job_feed", "release_id": "r1", "verdict": "stable"} | given
    return DriftReport(report_id=name, at=at, window_from=at, window_until=at, **told)


def reported(database: Database, *reports: DriftReport) -> None:
    with database.begin() as session:
        for one in reports:
            add_drift_report(session, one, **BY)


def test_every_slot_with_a_release_says_its_role(series: Series, database: Database, registered: Callable[..., None]) -> None:
    assert series.of("rankloop_serving_info") == {}
    registered(database, "r1", "r2")
    put(database, 0, stable="green", green="r1")
    assert series.of("rankloop_serving_info") == {("green", "stable", "r1"): 1}
    put(database, 1, stable="green", green="r1", blue="r2", canary_bp=500)
    assert series.of("rankloop_serving_info") == {("green", "stable", "r1"): 1, ("blue", "canary", "r2"): 1}
    put(database, 2, stable="blue", green="r1", blue="r2")
    assert series.of("rankloop_serving_info") == {("blue", "stable", "r2"): 1, ("green", "idle", "r1"): 1}


def test_a_canary_says_since_when_it_stands_at_its_step_and_nothing_once_it_ended(
    series: Series, database: Database, registered: Callable[..., None]
) -> None:
    registered(database, "r1", "r2")
    with database.begin() as session:
        made = new_canary(session, release_id="r2", against="r1", slot="green", policy={}, at=NOW, **BY)
    assert series.of("rankloop_canary_since_timestamp_seconds") == {("r2",): NOW.timestamp()}
    assert series.of("rankloop_canary_info") == {("r2", "warming"): 1}
    later = NOW + 7 * MINUTE
    with database.begin() as session:
        state = msgspec.to_builtins(start(Policy(), later.timestamp()))
        told = {"from_statuses": ("warming",), "kind": "canary.running", "status": "running", "state": state}
        change_canary(session, made.canary_id, at=later, **told, **BY)
    assert series.of("rankloop_canary_since_timestamp_seconds") == {("r2",): later.timestamp()}
    assert series.of("rankloop_canary_info") == {("r2", "running"): 1}
    with database.begin() as session:
        end_canary(session, made.canary_id, "aborted", at=later, **BY)
    assert series.of("rankloop_canary_since_timestamp_seconds") == series.of("rankloop_canary_info") == {}


def test_runs_are_counted_as_they_come_to_a_state_with_what_the_gate_said(series: Series, database: Database) -> None:
    ran(database, "succeeded", began=1, ended=9, verdict="pass")
    ran(database, "failed", began=10, ended=11, verdict="fail")
    ran(database, "succeeded", began=1, ended=2, pipeline="drift_watch")
    assert series.of("rankloop_runs_total") == {
        ("job_feed", pipeline, state): count
        for pipeline, states in (
            ("release", {"queued": 2, "running": 2, "succeeded": 1, "failed": 1}),
            ("drift_watch", {"queued": 1, "running": 1, "succeeded": 1}),
        )
        for state, count in states.items()
    }
    assert series.of("rankloop_gate_verdicts_total") == {("job_feed", "pass"): 1, ("job_feed", "fail"): 1}


def test_the_newest_success_and_the_run_under_way_say_when(series: Series, database: Database) -> None:
    ran(database, "succeeded", began=1, ended=9)
    ran(database, "failed", began=10, ended=30)
    assert series.of("rankloop_run_last_success_timestamp_seconds") == {("job_feed", "release"): (NOW + 9 * MINUTE).timestamp()}
    assert series.of("rankloop_run_running_since_timestamp_seconds") == {}
    ran(database, "", began=40, pipeline="drift_watch")
    since = (NOW + 40 * MINUTE).timestamp()
    assert series.of("rankloop_run_running_since_timestamp_seconds") == {("job_feed", "drift_watch"): since}


def test_steps_are_those_of_the_newest_success_and_each_run_is_asked_once(database: Database) -> None:
    asked = list[str]()

    def steps(run_id: str) -> list[StepRecord]:
        asked.append(run_id)
        return [StepRecord("ingest", "done", 2.0 + len(asked)), StepRecord("evaluate", "cached"), StepRecord("deploy", "skipped")]

    first = ran(database, "succeeded", began=1, ended=9)
    series = Series(database, steps)
    assert series.of("rankloop_run_step_duration_seconds") == {("job_feed", "release", "ingest"): 3}
    ran(database, "failed", began=10, ended=11)
    assert series.of("rankloop_run_step_duration_seconds") == {("job_feed", "release", "ingest"): 3}
    with database.begin() as session:
        later = {"surface": "job_feed", "order": {}, "trigger": "api", "at": NOW + 12 * MINUTE}
        second = add_run(session, **later, **BY).run_id
        for states in (("queued", "running"), ("running", "succeeded")):
            change_run(session, second, from_states=states[:1], state=states[1], at=NOW + 20 * MINUTE, **BY)
    assert series.of("rankloop_run_step_duration_seconds") == {("job_feed", "release", "ingest"): 4}
    assert asked == [first, second]


def test_a_cluster_that_cannot_tell_of_a_run_costs_its_steps_alone(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    def steps(run_id: str) -> list[StepRecord]:
        raise StackError("the cluster does not answer")

    series = Series(database, steps)
    name = ran(database, "succeeded", began=1, ended=9)
    assert series.of("rankloop_run_step_duration_seconds") == {}
    assert len(series.of("rankloop_run_last_success_timestamp_seconds")) == 1
    assert caplog.messages == [f"the steps of run {name} are in no series: the cluster does not answer"]


def test_the_newest_report_of_drift_is_shown_and_nothing_of_the_one_before(database: Database) -> None:
    broken = ColumnDrift(
        name="items.budget",
        kind="numeric",
        table="items",
        verdict="broken",
        measures={"psi": 2.5, "ks": 0.4},
        null_share=(0, 0.3),
    )
    cause = Cause(cause="unit-change", component="items.budget", impact=0.4)
    performance = (Performance(metric="ctr@10", kind="measured", ratio=0.9), Performance(metric="ctr@10", kind="estimated"))
    first = report("d1", verdict="broken", columns=(broken,), causes=(cause,), performance=performance)
    reported(database, first)
    series = Series(database)
    assert series.of("rankloop_drift_report_timestamp_seconds") == {("job_feed",): NOW.timestamp()}
    assert series.of("rankloop_drift_columns") == {("job_feed", name): count for name, count in first.counts.items()}
    assert series.of("rankloop_drift_score") == {("job_feed", "items.budget", "psi"): 2.5}
    assert series.of("rankloop_null_share_ratio") == {("job_feed", "items.budget"): 0.3}
    assert series.of("rankloop_drift_cause_impact_ratio") == {("job_feed", "unit-change", "items.budget", "r1"): 0.4}
    assert series.of("rankloop_performance_ratio") == {("job_feed", "ctr@10", "measured"): 0.9}
    reported(database, report("d2", 60), report("d3", surface="job_search"))
    assert series.of("rankloop_drift_report_timestamp_seconds") == {
        ("job_feed",): (NOW + 60 * MINUTE).timestamp(),
        ("job_search",): NOW.timestamp(),
    }
    for name in ("drift_score", "null_share_ratio", "drift_cause_impact_ratio", "performance_ratio"):
        assert series.of(f"rankloop_{name}") == {}


def test_of_a_wide_report_the_changed_columns_and_then_those_with_most_impact_are_shown(database: Database) -> None:
    wide = [ColumnDrift(name=f"f{n}", kind="numeric", table="features", verdict="stable", impact=n / 1e3) for n in range(200)]
    odd = ColumnDrift(name="odd", kind="numeric", table="features", verdict="drifted")
    causes = tuple(Cause(cause="taste-shift", component=f"c{n}", impact=n / 1e3) for n in range(2 * SHOWN_CAUSES))
    reported(database, report("d1", columns=(*wide, odd), causes=causes))
    series = Series(database)
    shown = {name for _, name in series.of("rankloop_null_share_ratio")}
    assert shown == {"odd", *(f"f{n}" for n in range(200 - SHOWN_COLUMNS + 1, 200))}
    impacts = sorted(series.of("rankloop_drift_cause_impact_ratio").values())
    assert impacts == [n / 1e3 for n in range(SHOWN_CAUSES, 2 * SHOWN_CAUSES)]


def test_open_incidents_stand_by_status_and_severity_and_notices_count_once(series: Series, database: Database) -> None:
    with database.begin() as session:
        named = {"fingerprint": "f", "cause": "replicas-down", "component": "replicas", "surface": "all"}
        rest = {"release_id": "r1", "owner": "platform", "severity": "page", "title": "No replica answers.", "since": NOW}
        rest |= {"alerts": [], "context": Context()}
        made = new_incident(session, at=NOW, status="firing", **named, **rest, **BY)
        add_notice(session, incident_id=made.incident_id, receiver="slack", kind="trigger", payload={}, at=NOW)
    assert series.of("rankloop_incidents") == {("firing", "page"): 1}
    assert series.of("rankloop_notices_total") == {}
    with database.begin() as session:
        change_notice(session, 1, state="sent", sent_at=NOW)
        change_incident(session, made, kind="resolved", at=NOW, status="resolved", open=None, **BY)
    assert series.of("rankloop_incidents") == {}
    assert series.of("rankloop_notices_total") == {("slack", "sent"): 1}
    assert series.of("rankloop_notices_total") == {("slack", "sent"): 1}
    assert Series(database).of("rankloop_notices_total") == {}


def test_a_fault_of_one_run_is_told_without_its_name(series: Series) -> None:
    names = ("edges", "run run-1", "run run-2", "the end of run run-3")
    status = msgspec.structs.replace(STATUS, faults=dict.fromkeys(names, "it is so"))
    assert series.of("rankloop_control_fault_info", status) == {("edges",): 1, ("a run",): 1, ("the end of a run",): 1}
    assert series.of("rankloop_control_fault_info") == {}
