"""Several processes and threads change the record at once: nothing is lost, nothing is done twice."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier, Event

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from rankloop.errors import Conflict, ControlError
from services.control.database import (
    Database,
    Desired,
    add_run,
    change_desired,
    change_run,
    desired,
    events,
    new_canary,
    open_database,
    record,
    release,
    runs,
)

NOW = datetime(2026, 11, 17, 14, 5, tzinfo=UTC)
BY = {"who": "ann", "why": "A test."}
EACH = 12
"""Changes of each process."""

CHANGER = f"""
import sys
from datetime import UTC, datetime
from msgspec.structs import replace
from rankloop.errors import Conflict
from services.control.database import change_desired, desired, open_database
database, who, done = open_database(sys.argv[1]), sys.argv[2], 0
while done < {EACH}:
    with database.read() as session:
        now = desired(session)
    try:
        with database.begin() as session:
            change_desired(session, replace(now, split_seed=now.split_seed + 1), expected_version=now.version, who=who,
                           why="Count.", kind="test.counted", at=datetime.now(UTC))
        done += 1
    except Conflict:
        pass
"""


@pytest.mark.slow
def test_of_changes_made_at_once_by_processes_none_is_lost(any_database: Database, any_url: str) -> None:
    changers = [subprocess.Popen([sys.executable, "-c", CHANGER, any_url, f"p{number}"]) for number in range(2)]
    assert [process.wait() for process in changers] == [0, 0]
    with any_database.read() as session:
        now, told = desired(session), events(session, kind="test.counted", after=0, limit=1000)
    total = EACH * len(changers)
    assert (now.version, now.split_seed) == (total, Desired().split_seed + total)
    assert [event.version for event in told] == list(range(1, total + 1))
    assert [event.facts["desired"]["split_seed"] for event in told] == list(range(2, total + 2))
    moments = [event.at for event in told]
    assert moments == sorted(moments)


def at_once(any_url: str, act, count: int = 6) -> list[object]:
    """What each of several threads got, each with a connection of its own: an answer, or the refusal."""
    ready = Barrier(count)

    def one(number: int) -> object:
        with open_database(any_url) as database:
            ready.wait()
            try:
                with database.begin() as session:
                    return act(session, number)
            except ControlError as refusal:
                return refusal

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_of_changes_from_one_version_one_is_made(any_database: Database, any_url: str) -> None:
    def act(session, number: int) -> Desired:
        wanted = Desired(split_seed=number)
        return change_desired(session, wanted, expected_version=0, kind="test.changed", at=NOW, **BY)

    answers = at_once(any_url, act)
    made = [answer for answer in answers if isinstance(answer, Desired)]
    assert len(made) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == len(answers) - 1
    with any_database.read() as session:
        assert desired(session) == made[0]
        assert len(events(session)) == 1


def test_of_canaries_asked_for_at_once_one_is_made(any_database: Database, any_url: str, registered) -> None:
    registered(any_database, "r1", "r2")

    def act(session, number: int) -> str:
        told = {"release_id": "r2", "against": "r1", "slot": "green", "policy": {}, "at": NOW, **BY}
        return new_canary(session, **told).canary_id

    answers = at_once(any_url, act)
    assert sum(isinstance(answer, str) for answer in answers) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == len(answers) - 1


def test_a_queued_run_is_started_once(any_database: Database, any_url: str) -> None:
    with any_database.begin() as session:
        name = add_run(session, surface="job_feed", order={}, trigger="api", at=NOW, **BY).run_id

    def act(session, number: int) -> int:
        change_run(session, name, from_states=["queued"], state="running", pid=number, at=NOW, **BY)
        return number

    answers = at_once(any_url, act)
    started = [answer for answer in answers if isinstance(answer, int)]
    assert len(started) == 1
    with any_database.read() as session:
        assert [one.pid for one in runs(session)] == started


def test_who_reads_waits_for_no_writer_and_sees_no_half_of_a_change(any_database: Database, registered) -> None:
    registered(any_database, "r1")
    with any_database.begin() as writing:
        change_desired(writing, Desired(blue="r1"), expected_version=0, kind="test.changed", at=NOW, **BY)
        with any_database.read() as reading:
            assert desired(reading) == Desired()
            assert events(reading, kind="test.changed") == []
    with any_database.read() as reading:
        assert desired(reading).version == 1


def test_one_look_sees_one_moment(any_database: Database, registered) -> None:
    registered(any_database, "r1")
    with any_database.read() as reading:
        before = desired(reading)
        with any_database.begin() as writing:
            change_desired(writing, Desired(blue="r1"), expected_version=0, kind="test.changed", at=NOW, **BY)
        assert desired(reading) == before
        assert events(reading, kind="test.changed") == []


def test_a_writer_killed_within_its_change_leaves_nothing_and_holds_nobody_up(any_database: Database, any_url: str) -> None:
    script = (
        "import os, sys; from datetime import UTC, datetime; from services.control.database import *\n"
        "with open_database(sys.argv[1]).begin() as session:\n"
        "    change_desired(session, Desired(), expected_version=0, who='x', why='y', kind='a.b', at=datetime.now(UTC))\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, any_url]).returncode == -9
    with any_database.begin() as session:
        assert (desired(session), events(session)) == (Desired(), [])
        made = change_desired(session, Desired(), expected_version=0, kind="test.changed", at=NOW, **BY)
    assert made.version == 1


def test_events_are_numbered_in_the_order_in_which_they_are_seen(any_database: Database, any_url: str) -> None:
    stop, seen = Event(), []

    def follow() -> None:
        with open_database(any_url) as database:
            last = 0
            while not (stop.is_set() and last == total):
                with database.read() as session:
                    page = events(session, after=last)
                seen.extend(event.id for event in page)
                last = max([last, *seen])

    total = 60
    with ThreadPoolExecutor(4) as pool:
        follower = pool.submit(follow)
        for writer in [pool.submit(write, any_url, total // 3) for _ in range(3)]:
            writer.result()
        stop.set()
        follower.result()
    assert seen == sorted(seen)
    assert len(seen) == total


def write(url: str, count: int) -> None:
    with open_database(url) as database:
        for _ in range(count):
            with database.begin() as session:
                record(session, kind="test.noted", subject="x", at=NOW, **BY)


def test_a_postgresql_that_dropped_every_connection_is_asked_again(postgres_database: Database) -> None:
    drop = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with postgres_database.begin() as idle:
        record(idle, kind="test.noted", subject="x", at=NOW, **BY)
    with open_database(postgres_database._engine.url.render_as_string(hide_password=False)) as other, other.begin() as session:
        session.execute(drop)
    with postgres_database.read() as session:
        assert len(events(session)) == 1


def test_a_connection_that_breaks_within_a_change_is_told_and_leaves_nothing(postgres_database: Database) -> None:
    with pytest.raises(ControlError, match="refuses, or does not answer"), postgres_database.begin() as session:
        break_off(session)
    with postgres_database.read() as session:
        assert events(session) == []


def break_off(session) -> None:
    record(session, kind="test.noted", subject="x", at=NOW, **BY)
    session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


@pytest.mark.slow
def test_a_writer_that_stops_within_its_change_is_put_out_and_the_others_go_on(any_database: Database, any_url: str) -> None:
    """SQLite cannot put it out: the others are told that the record is busy, until it goes on or dies."""
    script = (
        "import os, sys; from services.control.database import *\n"
        "with open_database(sys.argv[1]).begin():\n"
        "    print('within', flush=True); os.kill(os.getpid(), 19)\n"
    )
    stopped = subprocess.Popen([sys.executable, "-c", script, any_url], stdout=subprocess.PIPE)
    try:
        assert stopped.stdout is not None
        assert stopped.stdout.readline() == b"within\n"
        if any_database.dialect == "sqlite":
            with pytest.raises(ControlError, match="locked"), any_database.begin():
                pass
            stopped.kill()
        write(any_url, 1)
    finally:
        stopped.kill()
        stopped.wait()


def test_a_release_cannot_leave_while_a_slot_wants_it(any_database: Database, registered) -> None:
    registered(any_database, "r1")
    with any_database.begin() as session:
        now = change_desired(session, Desired(blue="r1"), expected_version=0, kind="test.changed", at=NOW, **BY)
        change_desired(session, replace(now, green="r1"), expected_version=1, kind="test.changed", at=NOW, **BY)
    with pytest.raises(ControlError, match=r"(?i)foreign key"), any_database.begin() as session:
        session.execute(text("DELETE FROM releases"))
    with any_database.read() as session:
        assert release(session, "r1").release_id == "r1"
