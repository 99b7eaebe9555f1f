"""What is found out about an incident, what is done about it, and how it is read: page text, PagerDuty, Slack."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert

from rankloop.drift.report import Cause, DriftReport
from services.control.database import Database, change_desired, desired, events, move_release, record, register, tables
from services.control.pager.examples import look_up
from services.control.pager.writing import message, plain
from services.control.runs import AlertPolicy
from services.events.records import ImpressionRecord, encode
from services.events.segments import framed, segment_name
from tests.services.control.conftest import NOW, release_facts
from tests.services.control.pager_world import Listener, PagerWorld, listening

ORDER = {"source": "contract", "path": "/data/log"}


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as own:
        yield own


@pytest.fixture
def place(database: Database, tmp_path: Path, listener: Listener) -> PagerWorld:
    return PagerWorld(database, tmp_path, listener)


def served(place: PagerWorld, release_id: str, minutes: float) -> None:
    """A release began to serve so many minutes before."""
    at = NOW - timedelta(minutes=minutes)
    with place.database.begin() as session:
        register(session, release_facts(release_id), who="ada", why="the nightly run", at=at)
        now = desired(session)
        new = msgspec.structs.replace(now, stable="blue", blue=release_id)
        change_desired(
            session,
            new,
            expected_version=now.version,
            who="ada",
            why="the nightly run",
            kind="release.served",
            at=at,
            subject=release_id,
        )
        move_release(session, release_id, "warming", who="ada", why="it is loaded", at=at)
        move_release(session, release_id, "serving", who="ada", why="the nightly run", at=at)


def test_a_release_that_began_to_serve_shortly_before_is_named_and_taken_back_first(place: PagerWorld) -> None:
    served(place, "r-old", 3000)
    served(place, "r-new", 4)
    (own,) = place.hear(place.alert(component="replicas", release="r-new"))
    found = place.shown.incident(own).context
    assert found is not None
    assert (found.serving, found.serving_since) == ("r-new", NOW - timedelta(minutes=4))
    assert found.released == "release r-new began to serve 4 min before (ada: the nightly run)"
    assert found.command == 'rankloop rollback --why "error-burst since 14:05 UTC"'
    assert found.because == f"{found.released}; to look further: rankloop status"
    assert [one.kind for one in found.changes] == ["release.served", "release.registered"]


@pytest.mark.parametrize(("minutes", "component"), [(300, "replicas"), (4, "collectors")])
def test_a_release_of_long_ago_or_of_no_concern_is_not_taken_back(place: PagerWorld, minutes: float, component: str) -> None:
    served(place, "r-old", 3000)
    served(place, "r-new", minutes)
    (own,) = place.hear(place.alert(component=component))
    found = place.shown.incident(own).context
    assert found is not None
    assert (found.command, found.because) == ("rankloop status", "")


def test_changes_are_those_of_the_hours_before_without_noise(place: PagerWorld) -> None:
    with place.database.begin() as session:
        for minutes, kind in ((400, "schedule.removed"), (90, "run.succeeded"), (60, "fault.begun"), (30, "edges.corrected")):
            record(session, kind=kind, subject="it", who="ada", why="a test", at=NOW - timedelta(minutes=minutes))
        at, facts = NOW - timedelta(minutes=10), {"trigger": "new data"}
        record(session, kind="run.queued", subject="run-2", who="rankloop", why="new data at /log", at=at, facts=facts)
        record(session, kind="run.queued", subject="run-3", who="ada", why="again", at=at, facts={"trigger": "cli"})
    (own,) = place.hear(place.alert())
    found = place.shown.incident(own).context
    assert found is not None
    assert [(one.kind, one.subject) for one in found.changes] == [
        ("run.queued", "run-2"),
        ("fault.begun", "it"),
        ("run.succeeded", "it"),
    ]


def drifted(place: PagerWorld, report: Any) -> None:
    with place.database.begin() as session:
        moments = dict.fromkeys(("at", "window_from", "window_until"), NOW - timedelta(minutes=20))
        values = {"report_id": "drift-1", "surface": "job_feed", "release_id": "r-1", "verdict": "broken", "folder": ""}
        session.execute(insert(tables.drift_reports).values(**values, **moments, report=report))


def test_the_drift_reports_cause_names_slice_and_raw_column(place: PagerWorld) -> None:
    causes = (
        Cause(cause="taste-shift", component="country_match", impact=0.9, says="people want otherwise"),
        Cause(cause="unit-change", component="items.budget", impact=0.4, slice="country=IN", says="budget is 100 times as large"),
    )
    moments = dict.fromkeys(("at", "window_from", "window_until"), NOW)
    report = DriftReport(
        report_id="drift-1", surface="job_feed", release_id="r-1", verdict="broken", rows=9, causes=causes, **moments
    )
    drifted(place, msgspec.to_builtins(report))
    (own,) = place.hear(place.alert("FeatureDrift", cause="unit-change", component="items.budget"))
    found = place.shown.incident(own).context
    assert found is not None
    assert (found.slice, found.upstream, found.drift_report) == ("country=IN", ["items.budget"], "drift-1")
    assert found.drift == "budget is 100 times as large (impact 0.40)"
    (other,) = place.hear(place.alert("QueueFull", cause="spool-lag", component="curator"))
    assert (place.shown.incident(other).context or found).drift == ""


def test_what_cannot_be_looked_up_is_said_and_the_page_goes_out(place: PagerWorld) -> None:
    drifted(place, {"what": "is this"})
    (own,) = place.hear(place.alert())
    place.tick()
    found = place.shown.incident(own).context
    assert found is not None
    assert [said.partition(":")[0] for said in found.missing] == ["the drift report could not be looked up"]
    (page,) = place.pages()
    assert any("could not be looked up" in said for said in page["payload"]["custom_details"].values())


def impression(name: str, *, micros: int, items: int = 3, fallback: str | None = None, minutes: float = 1.0) -> ImpressionRecord:
    ts = int((NOW + timedelta(minutes=minutes)).timestamp() * 1e6)
    many = [f"i{n}" for n in range(items)]
    told: dict[str, Any] = {"user_id": "u-secret", "query": "typed by somebody", "feature_names": "f", "features": b""}
    return ImpressionRecord(
        request_id=name,
        ts=ts,
        as_of=ts,
        surface="job_feed",
        release_id="r-1",
        items=many,
        scores=[0.5] * items,
        sources=["popular"] * items,
        teams=None,
        micros=micros,
        fallback=fallback,
        **told,
    )


def spooled(home: Path, *records: ImpressionRecord) -> None:
    folder = home / "spool" / "impressions" / "replica-1"
    folder.mkdir(parents=True)
    (folder / segment_name(1)).write_bytes(framed(encode(records)))


def test_examples_are_the_failed_and_the_slow_of_the_surface_and_name_nobody(place: PagerWorld) -> None:
    (own,) = place.hear(place.alert())
    log = place.home / "stack" / "logs" / "edge.log"
    log.parent.mkdir(parents=True)
    refused = "127.0.0.1 public blue/<NOSRV> 0/-1/-1/-1/0 503 351 LR 0 POST /v1/recommend q-503"
    log.write_text(f"{refused.replace('503 351', '200 351').replace('q-503', 'q-200')}\n{refused}\n")
    old, slow, fast, without = (
        impression("old", micros=9_000_000, minutes=-30),
        impression("slow", micros=90_000),
        impression("fast", micros=900),
        impression("without", micros=800, fallback="late"),
    )
    spooled(place.home, old, slow, fast, without, impression("empty", micros=700, items=0))
    found = look_up(place.shown.whole(own)[0], place.home)
    place.tick()
    assert [one.request_id for one in found.examples] == ["q-503", "without", "empty", "slow", "fast"]
    assert found.missing == []
    context = place.shown.incident(own).context
    assert context is not None
    assert context.examples == found.examples
    assert "secret" not in repr(found)
    assert "typed" not in repr(found)


def test_a_policy_rolls_back_once_for_a_cause_and_the_notice_says_so(place: PagerWorld, listener: Listener) -> None:
    served(place, "r-new", 4)
    place.policy = AlertPolicy.of({"rules": [{"alerts": ["EdgeErrors"], "act": "roll back"}]})
    (own,) = place.hear(place.alert(release="r-new"), place.alert(release="r-new", key="other"))
    place.hear(place.alert(release="r-new", key="third"))
    place.tick()
    assert place.commands.done == ["alert EdgeErrors fires: job_feed answers 14 % with errors"]
    assert place.kinds(own).count("acted") == 1
    (page,) = place.pages()
    told = " ".join(page["payload"]["custom_details"].values())
    assert "r-old serves everybody again" in told
    assert "rankloop rollback" not in told
    assert len(listener.bodies("/slack")) == 1


def test_after_a_rollback_nobody_is_advised_to_do_it_again(place: PagerWorld) -> None:
    served(place, "r-old", 3000)
    served(place, "r-new", 4)
    (own,) = place.hear(place.alert(component="replicas", release="r-new"))
    place.tick()
    assert (place.shown.incident(own).context or pytest.fail("no context")).command.startswith("rankloop rollback")
    with place.database.begin() as session:
        record(session, kind="rollback", subject="r-new", who="ada", why="errors", at=place.now)
    place.tick()
    found = place.shown.incident(own).context
    assert found is not None
    assert (found.command, "do not do it twice" in found.because) == ("rankloop status", True)


def test_two_causes_of_one_bad_release_take_back_one_release(place: PagerWorld) -> None:
    served(place, "r-new", 4)
    place.policy = AlertPolicy.of({"rules": [{"alerts": ["EdgeErrors"], "act": "roll back"}]})
    place.hear(place.alert())
    with place.database.begin() as session:
        record(session, kind="rollback", subject="r-new", who="alertmanager", why="errors", at=place.now)
    place.hear(place.alert(cause="slow-answers"))
    assert len(place.commands.done) == 1


def test_what_a_policy_could_not_do_is_in_the_timeline_and_pages_all_the_same(place: PagerWorld) -> None:
    served(place, "r-new", 4)
    place.commands.refuses = "nothing served before"
    place.policy = AlertPolicy.of({"rules": [{"alerts": ["EdgeErrors"], "act": "roll back"}]})
    (own,) = place.hear(place.alert())
    place.tick()
    assert len(place.pages()) == 1
    (act,) = (place.shown.incident(own).context or pytest.fail("no context")).acts
    assert act.said == "could not be done: nothing served before"


def test_a_policy_starts_one_run_for_a_cause_within_its_window(place: PagerWorld) -> None:
    rule = {"alerts": ["EdgeErrors"], "order": ORDER, "window_seconds": 3600}
    place.policy = AlertPolicy.of({"rules": [rule]})
    (own,) = place.hear(place.alert(key="a"), place.alert(key="b"))
    place.hear(place.alert(key="c"))
    with place.database.read() as session:
        assert len(events(session, kind="run.queued")) == 1
    assert place.kinds(own).count("acted") == 1
    place.now += timedelta(seconds=3601)
    place.hear(place.alert(key="d"))
    with place.database.read() as session:
        assert len(events(session, kind="alert.answered")) == 2


def test_a_page_can_be_read_at_night(place: PagerWorld) -> None:
    served(place, "r-old", 3000)
    served(place, "r-new", 4)
    (own,) = place.hear(place.alert(component="replicas", release="r-new"))
    text = plain(message(place.shown.whole(own)[0], "trigger", place.settings, NOW + timedelta(minutes=1)))
    lines = text.splitlines()
    assert lines[0] == "job_feed answers 14 % with errors (release r-new)"
    assert lines[2] == "firing: 1 alert fires"
    assert "since: 17 Nov 14:05 UTC, 60 s ago" in [" ".join(line.split()) for line in lines]
    assert "changed: release r-new began to serve 4 min before (ada: the nightly run)" in [
        " ".join(line.split()) for line in lines
    ]
    assert 'run: rankloop rollback --why "error-burst since 14:05 UTC"' in lines
    assert f"incident: {place.settings.control_url}/v1/incidents/{own}/page" in lines
    assert "runbook: docs/runbook.md#edgeerrors" in lines


def test_links_begin_where_the_settings_say(place: PagerWorld) -> None:
    addresses = {"docs_url": "https://wiki/r/", "grafana_url": "https://g", "pager_url": "https://p/"}
    place.settings = place.settings.model_copy(update=addresses)
    place.restart()
    (own,) = place.hear(place.alert())
    place.tick()
    (page,) = place.pages()
    assert {one["text"]: one["href"] for one in page["links"]} == {
        "incident": f"https://p/v1/incidents/{own}/page",
        "runbook": "https://wiki/r/docs/runbook.md#edgeerrors",
        "dashboard": "https://g/d/rankloop-overview?var-surface=job_feed",
    }
