"""Runs and schedules in the record."""

from datetime import UTC, datetime, timedelta

import pytest

from rankloop.errors import Conflict, ControlError, Missing
from services.control.database import (
    Database,
    Run,
    Schedule,
    add_run,
    change_run,
    due_schedules,
    events,
    next_queued,
    put_schedule,
    remove_schedule,
    run,
    runs,
    schedule,
    schedules,
    set_schedule_times,
)
from services.control.database.runs import FINISHED

NOW = datetime(2026, 11, 17, 14, 5, tzinfo=UTC)
BY = {"who": "ann", "why": "A test."}
MINUTE = timedelta(minutes=1)


def queued(database: Database, minute: int = 0, surface: str = "job_feed", **given: object) -> Run:
    """A run, asked for some minutes after NOW."""
    with database.begin() as session:
        told = {"surface": surface, "order": {"trials": 3}, "trigger": "api", "at": NOW + minute * MINUTE, **BY}
        return add_run(session, **(told | given))


def moved(database: Database, name: str, state: str, *from_states: str, minute: int = 0, **given: object) -> Run:
    with database.begin() as session:
        told = {"from_states": from_states, "at": NOW + minute * MINUTE, "state": state, **BY}
        return change_run(session, name, **(told | given))


def test_a_run_is_found_again_as_it_was_asked_for(any_database: Database) -> None:
    made = queued(any_database, trigger="new data", where="kfp")
    assert (made.state, made.order, made.trigger, made.where) == ("queued", {"trials": 3}, "new data", "kfp")
    assert (made.created_at, made.started_at, made.ended_at, made.pid) == (NOW, None, None, None)
    with any_database.read() as session:
        assert run(session, made.run_id) == made
        assert [event.kind for event in events(session, subject=made.run_id)] == ["run.queued"]


def test_a_run_goes_its_way_with_the_moments_of_each_state(any_database: Database) -> None:
    name = queued(any_database).run_id
    moved(any_database, name, "running", "queued", minute=1, pid=4242, folder="/runs/1")
    done = moved(any_database, name, "succeeded", "running", minute=9, release_id="r1", verdict="pass", pid=None)
    assert (done.started_at, done.ended_at) == (NOW + MINUTE, NOW + 9 * MINUTE)
    assert (done.release_id, done.verdict, done.pid, done.folder) == ("r1", "pass", None, "/runs/1")
    with any_database.read() as session:
        told = events(session, subject=name, after=0)
    assert [event.kind for event in told] == ["run.queued", "run.running", "run.succeeded"]
    assert told[1].facts == {"pid": 4242, "folder": "/runs/1"}


def test_a_change_that_is_no_state_is_told_as_such(database: Database) -> None:
    name = queued(database).run_id
    with database.begin() as session:
        changed = change_run(session, name, from_states=["queued"], at=NOW, external_id="kfp-7", **BY)
    assert (changed.state, changed.external_id) == ("queued", "kfp-7")
    with database.read() as session:
        assert events(session, subject=name)[0].kind == "run.changed"


@pytest.mark.parametrize("end", FINISHED)
def test_a_run_that_moved_on_is_not_changed(any_database: Database, end: str) -> None:
    name = queued(any_database).run_id
    moved(any_database, name, end, "queued")
    with pytest.raises(Conflict, match=f"run {name} is {end}; this takes one that is queued or running"):
        moved(any_database, name, "cancelled", "running", "queued")
    with any_database.read() as session:
        assert run(session, name).state == end


def test_one_run_of_a_surface_is_under_way_at_a_time(any_database: Database) -> None:
    first, second = queued(any_database).run_id, queued(any_database, 1).run_id
    other = queued(any_database, 2, surface="job_search").run_id
    moved(any_database, first, "running", "queued")
    moved(any_database, other, "running", "queued")
    with pytest.raises(Conflict, match=f"another run of job_feed is under way; run {second} waits until it has ended"):
        moved(any_database, second, "running", "queued")
    moved(any_database, first, "failed", "running", error="It broke.")
    assert moved(any_database, second, "running", "queued").state == "running"


def test_the_run_that_waits_longest_is_next_once_none_is_under_way(any_database: Database) -> None:
    later, earlier = queued(any_database, 5).run_id, queued(any_database, 1).run_id
    queued(any_database, 0, surface="job_search")

    def next_of(surface: str) -> str | None:
        with any_database.read() as session:
            found = next_queued(session, surface)
        return found.run_id if found else None

    assert next_of("job_feed") == earlier
    moved(any_database, earlier, "running", "queued")
    assert next_of("job_feed") is None
    moved(any_database, earlier, "lost", "running")
    assert next_of("job_feed") == later
    assert next_of("talent_search") is None


def test_a_retry_names_the_run_it_goes_on_from(any_database: Database) -> None:
    first = queued(any_database).run_id
    assert queued(any_database, 1, retry_of=first).retry_of == first
    with pytest.raises(Missing, match="there is no run 'run-9'; see rankloop runs list"):
        queued(any_database, retry_of="run-9")


def test_runs_are_listed_the_last_first_by_surface_and_state(any_database: Database) -> None:
    names = [queued(any_database, minute, surface=("job_feed", "job_search")[minute % 2]).run_id for minute in range(4)]
    moved(any_database, names[0], "running", "queued")
    with any_database.read() as session:
        assert [one.run_id for one in runs(session)] == names[::-1]
        assert [one.run_id for one in runs(session, surface="job_feed")] == [names[2], names[0]]
        assert [one.run_id for one in runs(session, state="running")] == [names[0]]
        first = runs(session, limit=2)
        assert [one.run_id for one in runs(session, before=first[-1].created_at)] == [names[1], names[0]]


def test_a_schedule_is_kept_replaced_and_removed(any_database: Database) -> None:
    told = {"name": "nightly", "surface": "job_feed", "order": {"trials": 3}, "at": NOW, **BY}
    with any_database.begin() as session:
        made = put_schedule(session, cron="0 3 * * *", next_at=NOW + MINUTE, **told)
        set_schedule_times(session, made.schedule_id, next_at=NOW + 2 * MINUTE, last_at=NOW + MINUTE)
        changed = put_schedule(session, watch="/lake/log", watched_version="v1", enabled=False, **told)
    assert (made.cron, made.watch, made.enabled, made.next_at) == ("0 3 * * *", None, True, NOW + MINUTE)
    assert changed == Schedule(
        schedule_id=made.schedule_id,
        name="nightly",
        surface="job_feed",
        cron=None,
        watch="/lake/log",
        watched_version="v1",
        order={"trials": 3},
        enabled=False,
        next_at=None,
        last_at=NOW + MINUTE,
    )
    with any_database.begin() as session:
        assert schedules(session) == [changed]
        remove_schedule(session, "nightly", at=NOW, **BY)
        assert schedules(session) == []
        kinds = [event.kind for event in events(session, subject="nightly", after=0)]
        assert kinds == ["schedule.added", "schedule.changed", "schedule.removed"]
        for refused in (schedule, lambda session, name: remove_schedule(session, name, at=NOW, **BY)):
            with pytest.raises(Missing, match="there is no schedule 'nightly'"):
                refused(session, "nightly")
        with pytest.raises(Missing, match="any more; nothing is due"):
            set_schedule_times(session, made.schedule_id, next_at=None, last_at=None)


def test_a_schedule_that_says_neither_when_nor_what_to_watch_is_refused(database: Database) -> None:
    with pytest.raises(ControlError, match="says neither cron nor watch"), database.begin() as session:
        put_schedule(session, name="never", surface="job_feed", order={}, at=NOW, **BY)


def test_due_schedules_are_enabled_and_their_time_has_come(any_database: Database) -> None:
    with any_database.begin() as session:
        for name, minute, enabled in [("b", 1, True), ("a", 2, True), ("off", 0, False), ("later", 9, True)]:
            told = {"name": name, "surface": "job_feed", "order": {}, "cron": "* * * * *", "at": NOW, **BY}
            put_schedule(session, next_at=NOW + minute * MINUTE, enabled=enabled, **told)
        put_schedule(session, name="watching", surface="job_feed", order={}, watch="/lake", at=NOW, **BY)
    with any_database.begin() as session:
        due = due_schedules(session, NOW + 2 * MINUTE)
        assert [one.name for one in due] == ["b", "a"]
        set_schedule_times(session, due[0].schedule_id, next_at=NOW + 5 * MINUTE, last_at=NOW + MINUTE, watched_version="v2")
        assert [one.name for one in due_schedules(session, NOW + 2 * MINUTE)] == ["a"]
        assert schedule(session, "b").watched_version == "v2"
