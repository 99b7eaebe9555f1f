"""`rankloop drift` on the real control plane, and on its record while nobody answers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

import pipelines.watch
from pipelines.events import StepRecord
from pipelines.watch import WatchOrder, WatchResult
from rankloop.drift import DriftReport, Verdict
from services.control.client import ControlClient
from services.control.wire_drift import DriftShown
from tests.services.control.test_control_drift import report
from tests.services.control.toy_runs import Served

Rankloop = Callable[..., Result]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    one = Served(tmp_path)
    monkeypatch.setenv("RANKLOOP_CONTROL_PORT", str(one.settings.control_port))
    yield one
    one.stop()
    one.database.close()


def kept(place: Served, own: DriftReport) -> None:
    with ControlClient.of(place.settings) as client:
        client.send("POST", "/v1/drift", own, DriftShown)


def test_reports_are_listed_with_their_causes(place: Served, rankloop: Rankloop) -> None:
    assert "there is no such report" in rankloop("drift").output
    kept(place, report())
    done = rankloop("drift", "list")
    assert done.exit_code == 0, done.output
    assert "unit-change items.budget" in " ".join(done.output.split())
    assert json.loads(rankloop("drift", "list", "--json").output)["reports"][0]["report_id"] == "drift-1"


def test_a_report_shows_its_causes_before_its_columns(place: Served, rankloop: Rankloop) -> None:
    kept(place, report())
    done = rankloop("drift", "show", "drift-1")
    assert done.exit_code == 0, done.output
    assert done.output.index("unit-change") < done.output.index("columns: 1 broken")
    assert DriftReport.from_json(rankloop("drift", "show", "drift-1", "--json").output) == report()


def test_a_report_that_is_not_there_is_one_sentence(place: Served, rankloop: Rankloop) -> None:
    done = rankloop("drift", "show", "drift-9")
    assert done.exit_code == 1
    assert "there is no drift report 'drift-9'" in done.output


@pytest.mark.parametrize(("verdict", "code"), [("stable", 0), ("not enough rows", 0), ("drifted", 3), ("broken", 3)])
def test_the_exit_code_says_whether_something_drifted(
    place: Served, rankloop: Rankloop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, code: int
) -> None:
    asked: list[WatchOrder] = []

    def run_watch(order: WatchOrder, home: Path, on_event: object) -> WatchResult:
        asked.append(order)
        return WatchResult("run-1", home, (StepRecord("ingest"),), verdict, report(verdict=verdict), home / "report.html", 1.0)

    monkeypatch.setattr(pipelines.watch, "run_watch", run_watch)
    (tmp_path / "bundle").mkdir()
    given = ("drift", "run", place.data, "--source", "contract", "--bundle", tmp_path / "bundle")
    done = rankloop(*given, "--hours", "6", "--until", "2026-11-17 14:05")
    assert done.exit_code == code, done.output
    (order,) = asked
    assert (order.hours, order.until, order.bundle) == (6.0, "2026-11-17T14:05:00Z", str(tmp_path / "bundle"))
    assert order.control_api == place.settings.control_url
    assert json.loads(rankloop(*given, "--json").output)["verdict"] == verdict


def test_without_a_release_that_serves_a_bundle_must_be_named(place: Served, rankloop: Rankloop) -> None:
    done = rankloop("drift", "run", place.data, "--source", "contract")
    assert done.exit_code == 1
    assert "--bundle" in done.output


def test_a_watch_is_scheduled_by_cron_with_a_policy_of_its_own(place: Served, rankloop: Rankloop, tmp_path: Path) -> None:
    (tmp_path / "drift.yaml").write_text("min_rows: 60")
    hourly = ("--pipeline", "drift_watch", "--hours", "6", "--cron", "0 * * * *", "--policy", tmp_path / "drift.yaml")
    done = rankloop("runs", "schedule", "drift", place.data, "--source", "contract", *hourly)
    assert done.exit_code == 0, done.output
    (schedule,) = place.triggers.schedules()
    assert (schedule.order["pipeline"], schedule.order["hours"], schedule.cron) == ("drift_watch", 6.0, "0 * * * *")
    assert schedule.order["policy"] == {"min_rows": 60}
    refused = rankloop("runs", "start", place.data, "--source", "contract", "--pipeline", "other")
    assert refused.exit_code == 1
    assert "there is no pipeline 'other'" in refused.output
