"""Reports of drift in the record, and over the API."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.watch import WatchOrder
from rankloop.drift import Cause, ColumnDrift, DriftReport
from rankloop.errors import Conflict, ControlError, Missing
from services.control.database import Database, add_run, change_run, events, next_queued
from services.control.database.drift import add_drift_report, drift_report, drift_reports, newest_drift_reports
from services.control.drifting import Drift
from services.control.runs import RunOrder
from services.settings import Settings
from tests.services.control.toy_runs import Served

NOW = datetime(2026, 11, 17, 14, tzinfo=UTC)
WHO = {"who": "ada", "why": "a test"}


def report(name: str = "drift-1", surface: str = "job_feed", hours: int = 0, **more: Any) -> DriftReport:
    at = NOW + timedelta(hours=hours)
    fields: dict[str, Any] = {
        "report_id": name,
        "surface": surface,
        "release_id": "r1",
        "at": at,
        "window_from": at - timedelta(days=1),
        "window_until": at,
        "verdict": "broken",
        "columns": (ColumnDrift(name="items.budget", kind="numeric", table="items", verdict="broken", change="unit"),),
        "causes": (Cause(cause="unit-change", component="items.budget", impact=0.4, since=at),),
        "says": "items.budget is 100 times what it was",
    }
    return DriftReport(**fields | more)


def kept(database: Database, own: DriftReport) -> None:
    with database.begin() as session:
        add_drift_report(session, own, **WHO)


def test_a_report_is_kept_whole_once_with_an_event(any_database: Database) -> None:
    for _ in range(2):
        kept(any_database, report())
    with any_database.read() as session:
        assert drift_report(session, "drift-1").whole() == report()
        (told,) = events(session, subject="drift-1")
    assert (told.kind, told.facts["causes"]) == ("drift.reported", ["unit-change items.budget"])


def test_another_report_of_the_same_name_is_refused(any_database: Database) -> None:
    kept(any_database, report())
    with pytest.raises(Conflict, match="give this one a name of its own"):
        kept(any_database, report(says="something else"))


def test_reports_are_listed_newest_first_and_chosen(any_database: Database) -> None:
    for hours, (surface, verdict) in enumerate([("job_feed", "stable"), ("job_search", "broken"), ("job_feed", "broken")]):
        kept(any_database, report(f"drift-{hours}", surface, hours, verdict=verdict))
    with any_database.read() as session:
        assert [own.report_id for own in drift_reports(session)] == ["drift-2", "drift-1", "drift-0"]
        assert [own.report_id for own in drift_reports(session, surface="job_feed", verdict="stable")] == ["drift-0"]
        assert [own.report_id for own in drift_reports(session, before=NOW + timedelta(hours=2))] == ["drift-1", "drift-0"]
        assert {name: own.report_id for name, own in newest_drift_reports(session).items()} == {
            "job_feed": "drift-2",
            "job_search": "drift-1",
        }
        with pytest.raises(Missing, match="rankloop drift list"):
            drift_report(session, "drift-9")


def test_a_watch_starts_beside_a_release_of_its_surface_and_not_beside_a_watch(any_database: Database) -> None:
    named = {}
    for number, pipeline in enumerate(("release", "drift_watch", "drift_watch")):
        order = {"source": "contract", "path": "/data", "pipeline": pipeline}
        with any_database.begin() as session:
            at = NOW + timedelta(seconds=number)
            named[number] = add_run(session, surface="job_feed", order=order, pipeline=pipeline, trigger="api", at=at, **WHO)
    with any_database.begin() as session:
        for number in (0, 1):
            change_run(session, named[number].run_id, from_states=["queued"], at=NOW, state="running", **WHO)
        assert next_queued(session, "job_feed", "drift_watch") is None
    with pytest.raises(Conflict, match="waits until it has ended"), any_database.begin() as session:
        change_run(session, named[2].run_id, from_states=["queued"], at=NOW, state="running", **WHO)


def test_a_watch_takes_no_recipe() -> None:
    order = {"source": "contract", "path": "/data", "pipeline": "drift_watch", "recipe": {"trials": 4}}
    with pytest.raises(Exception, match="a drift watch makes no release, and has recipe"):
        RunOrder.of(order)


def test_a_watch_carries_the_drift_policy_and_a_release_the_canarys() -> None:
    order = {"source": "contract", "path": "/data", "policy": {"min_rows": 60}, "pipeline": "drift_watch"}
    sent = RunOrder.of(order).at(Settings(), "job_feed")
    assert isinstance(sent, WatchOrder)
    assert sent.policy == {"min_rows": 60}
    with pytest.raises(ControlError, match="min_rows"):
        RunOrder.of(order | {"pipeline": "release"})
    with pytest.raises(ControlError, match="steps"):
        RunOrder.of(order | {"policy": {"steps": [100]}})


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path)
    yield one
    one.stop()
    one.database.close()


@pytest.fixture
def page(tmp_path: Path, database: Database) -> tuple[Drift, Path]:
    settings = Settings(home=tmp_path)
    folder = tmp_path / "drift" / "drift-1"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<p>budget</p>")
    return Drift(database, settings), folder


def test_a_page_is_shown_where_it_is_kept(page: tuple[Drift, Path]) -> None:
    drift, folder = page
    assert drift.add(report(), who="ada").page == "/v1/drift/drift-1/report"
    assert drift.page("drift-1").read_text() == "<p>budget</p>"
    (folder / "report.html").unlink()
    with pytest.raises(Missing, match="is not kept here"):
        drift.page("drift-1")


def test_a_link_out_of_the_shelf_is_not_followed(page: tuple[Drift, Path], tmp_path_factory: pytest.TempPathFactory) -> None:
    drift, folder = page
    drift.add(report(), who="ada")
    secret = tmp_path_factory.mktemp("secret") / "token"
    secret.write_text("secret")
    (folder / "report.html").unlink()
    (folder / "report.html").symlink_to(secret)
    with pytest.raises(Missing):
        drift.page("drift-1")


def test_reports_come_and_go_over_http(place: Served) -> None:
    import httpx

    with httpx.Client(base_url=place.settings.control_url) as client:
        sent = client.post("/v1/drift?run_id=run-1", content=report().to_json(), headers={"Content-Type": "application/json"})
        assert sent.status_code == 200, sent.text
        assert (sent.json()["causes"], sent.json()["run_id"], sent.json()["page"]) == (
            ["unit-change items.budget"],
            "run-1",
            None,
        )
        assert [own["report_id"] for own in client.get("/v1/drift").json()["reports"]] == ["drift-1"]
        assert DriftReport.from_json(client.get("/v1/drift/drift-1").content) == report()
        assert client.get("/v1/drift/drift-1/report").status_code == 404
        shelf = place.settings.home / "drift" / "drift-1"
        shelf.mkdir(parents=True)
        (shelf / "report.html").write_text("<p>budget</p>")
        shown = client.get("/v1/drift/drift-1/report")
        assert (shown.text, shown.headers["content-type"]) == ("<p>budget</p>", "text/html; charset=utf-8")
        assert "sandbox" in shown.headers["content-security-policy"]
        wrong = json.loads(report("../x").to_json())
        assert client.post("/v1/drift", json=wrong).status_code == 422
        assert client.get("/v1/drift/..%2Fx/report").status_code in (404, 422)
