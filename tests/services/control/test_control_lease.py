"""One leader among several processes, in both databases; whoever was replaced can write nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from rankloop.errors import Conflict
from services.control.database import (
    Database,
    Lease,
    database_now,
    events,
    leader,
    record,
    release_lease,
    take_or_renew,
)

NOW = datetime(2026, 11, 17, 14, 5, tzinfo=UTC)
SECONDS = 2.0
"""How long a lease holds in these tests."""

CANDIDATE = f"""
import os, sys, time
from datetime import UTC, datetime
from rankloop.errors import ControlError
from services.control.database import open_database, record, take_or_renew
database, holder = open_database(sys.argv[1]), f"process-{{os.getpid()}}"
while True:
    try:  # as the loop does: another leads, or the database put out who slept within its turn
        lease = take_or_renew(database, "control", holder, seconds={SECONDS})
        if lease is not None:
            with database.begin(lease) as session:
                record(session, kind="test.led", subject=holder, who=holder, why="It leads.",
                       at=datetime.now(UTC), facts={{"epoch": lease.epoch}})
    except ControlError:
        pass
    time.sleep(0.05)
"""


def take(database: Database, holder: str, after: float = 0.0, seconds: float = 15.0) -> Lease | None:
    """By a clock of the test's own, some seconds after NOW."""
    return take_or_renew(database, "control", holder, seconds=seconds, now=NOW + timedelta(seconds=after))


def test_the_first_who_asks_leads_and_the_others_do_not(any_database: Database) -> None:
    assert take(any_database, "ann") == Lease("control", "ann", 1, NOW + timedelta(seconds=15))
    assert take(any_database, "bob") is None
    assert take(any_database, "bob", after=14.9) is None


def test_a_renewed_lease_keeps_its_epoch_and_holds_longer(any_database: Database) -> None:
    take(any_database, "ann")
    assert take(any_database, "ann", after=10) == Lease("control", "ann", 1, NOW + timedelta(seconds=25))
    assert take(any_database, "bob", after=20) is None


def test_an_expired_lease_is_taken_with_the_next_epoch(any_database: Database) -> None:
    take(any_database, "ann")
    taken = take(any_database, "bob", after=15)
    assert taken is not None
    assert (taken.holder, taken.epoch) == ("bob", 2)
    assert take(any_database, "ann", after=16) is None


def test_a_holder_that_comes_back_too_late_leads_anew(any_database: Database) -> None:
    take(any_database, "ann")
    again = take(any_database, "ann", after=100)
    assert again is not None
    assert again.epoch == 2


def test_a_lease_that_is_given_back_is_free_at_once_and_its_epoch_is_never_used_again(any_database: Database) -> None:
    lease = take_or_renew(any_database, "control", "ann", seconds=60)
    assert lease is not None
    assert release_lease(any_database, lease)
    assert not release_lease(any_database, lease)
    with any_database.read() as session:
        assert leader(session, "control") is None
    taken = take_or_renew(any_database, "control", "ann", seconds=60)
    assert taken is not None
    assert taken.epoch == 2


def test_leases_of_other_names_are_independent(database: Database) -> None:
    take(database, "ann")
    other = take_or_renew(database, "runs", "bob", seconds=15, now=NOW)
    assert other is not None
    assert (other.holder, other.epoch) == ("bob", 1)


def test_whoever_was_replaced_writes_nothing(any_database: Database) -> None:
    old = take(any_database, "ann")
    take(any_database, "bob", after=15)
    with pytest.raises(Conflict, match=r"ann is no longer leader of control \(epoch 1\): bob has it, epoch 2; stop leading"):
        note(any_database, old)
    with any_database.read() as session:
        assert events(session) == []


def test_a_leader_that_lost_and_regained_the_lease_cannot_use_the_old_one(any_database: Database) -> None:
    old = take(any_database, "ann")
    take(any_database, "bob", after=15)
    new = take(any_database, "ann", after=30)
    with pytest.raises(Conflict):
        note(any_database, old)
    note(any_database, new)


def test_a_lease_that_expired_and_nobody_took_is_still_good(any_database: Database) -> None:
    note(any_database, take(any_database, "ann"))
    with any_database.read() as session:
        assert leader(session, "control") is None
        assert len(events(session)) == 1


def test_who_leads_is_told(any_database: Database) -> None:
    lease = take_or_renew(any_database, "control", "ann", seconds=60)
    with any_database.read() as session:
        assert leader(session, "control") == lease
        assert leader(session, "other") is None


def test_the_databases_own_clock_decides(any_database: Database) -> None:
    before = datetime.now(UTC)
    with any_database.read() as session:
        now = database_now(session)
    assert before - timedelta(milliseconds=2) <= now <= datetime.now(UTC)
    lease = take_or_renew(any_database, "control", "ann", seconds=60)
    assert lease is not None
    assert lease.expires_at >= now + timedelta(seconds=60)


@pytest.fixture
def candidates(any_database: Database, any_url: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two processes that both want to lead."""
    started = [subprocess.Popen([sys.executable, "-c", CANDIDATE, any_url]) for _ in range(2)]
    yield started
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


@pytest.mark.slow
def test_of_two_processes_one_leads_until_it_is_killed_and_the_other_takes_over(
    any_database: Database, candidates: list[subprocess.Popen[bytes]]
) -> None:
    first = wait_for_leader(any_database, epoch=1)
    killed = next(process for process in candidates if first.holder == f"process-{process.pid}")
    killed.kill()
    second = wait_for_leader(any_database, epoch=2)
    assert second.holder != first.holder
    assert_one_at_a_time(any_database)


@pytest.mark.slow
def test_a_leader_that_slept_through_its_lease_finds_itself_replaced(
    any_database: Database, candidates: list[subprocess.Popen[bytes]]
) -> None:
    first = wait_for_leader(any_database, epoch=1)
    frozen = next(process for process in candidates if first.holder == f"process-{process.pid}")
    freeze_outside_a_transaction(any_database, frozen)
    wait_for_leader(any_database, epoch=2)
    os.kill(frozen.pid, signal.SIGCONT)
    for process in candidates:
        if process is not frozen:
            process.kill()
    wait_for_leader(any_database, epoch=3)
    assert_one_at_a_time(any_database)


def note(database: Database, lease: Lease | None) -> None:
    assert lease is not None
    with database.begin(lease) as session:
        record(session, kind="test.led", subject=lease.holder, who=lease.holder, why="It leads.", at=NOW)


def wait_for_leader(database: Database, epoch: int) -> Lease:
    """Until somebody leads with that epoch, and wrote so; the suite's timeout ends a wait in vain."""
    while True:
        with database.read() as session:
            found, written = leader(session, "control"), events(session, limit=1)
        if found and found.epoch >= epoch and written and written[0].facts["epoch"] == found.epoch:
            return found
        time.sleep(0.05)


def freeze_outside_a_transaction(database: Database, process: subprocess.Popen[bytes]) -> None:
    """Stops it while it holds no lock: our own transaction is under way at that moment, and writers take turns."""
    with database.begin():
        os.kill(process.pid, signal.SIGSTOP)


def assert_one_at_a_time(database: Database) -> None:
    """In the order of the history epochs never fall, and each has one holder."""
    with database.read() as session:
        led = [(event.facts["epoch"], event.who) for event in events(session, after=0, limit=100_000)]
    assert all(earlier <= later for (earlier, _), (later, _) in pairwise(led))
    assert len({epoch for epoch, _ in led}) == len(set(led))
