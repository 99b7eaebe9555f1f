"""Several control planes on one record: one leads, all take commands, and a leader that is gone is replaced."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from benchmarks.controls.crashing import POLICY, ruling
from benchmarks.controls.plant import Plant, plant
from benchmarks.load.child import short_folder
from services.control import database as db
from services.control.controller import Controller
from services.control.database import Database, tables
from services.control.leading import LEASE
from services.edge import Slots

FIRST, SECOND = "r-first", "r-second"


@pytest.fixture(scope="module")
def shared_plant() -> Iterator[Plant]:
    with short_folder() as home, plant(home) as made:
        yield made


@pytest.fixture
def made(shared_plant: Plant, any_url: str) -> Iterator[tuple[Plant, Database]]:
    reset = shared_plant.reset(any_url)
    with reset.database() as database:
        reset.register(database, FIRST, SECOND)
        yield reset, database


def expire(database: Database) -> None:
    """As if the leader had not renewed its lease for too long."""
    with database.begin() as session:
        past = db.database_now(session) - timedelta(seconds=1)
        session.execute(update(tables.leases).values(expires_at=past))


def holder(database: Database) -> str | None:
    with database.read() as session:
        found = db.leader(session, LEASE)
    return found.holder if found else None


def serving(controller: Controller) -> None:
    controller.serve_now(FIRST, who="ada", why="the first one")
    controller.tick()


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_one_leads_and_the_other_follows_until_the_lease_ends(made: tuple[Plant, Database]) -> None:
    reset, database = made
    one, two = (reset.controller(database, holder=name) for name in ("one", "two"))
    assert (one.tick(), two.tick(), one.tick()) == (True, False, True)
    assert (one.status().leads, two.status().leads, two.status().holder) == (True, False, "one")
    expire(database)
    assert (two.tick(), one.tick()) == (True, False)


def test_a_follower_changes_nothing_by_itself_and_takes_commands(made: tuple[Plant, Database]) -> None:
    reset, database = made
    one, two = (reset.controller(database, holder=name) for name in ("one", "two"))
    serving(one)
    one.start_canary(SECOND, POLICY | {"interval_seconds": 1000.0}, who="ada")
    two.tick()
    assert reset.edge().slots() == Slots()
    one.tick()
    assert reset.edge().slots().canary_bp == 1000
    reset.edge().set_slots(replace(Slots(), canary_bp=77))
    two.tick()
    assert reset.edge().slots().canary_bp == 77
    two.rollback(who="bob", why="complaints")
    assert reset.edge().slots() == Slots()


def test_a_leader_that_was_replaced_while_it_decided_writes_nothing(made: tuple[Plant, Database]) -> None:
    reset, database = made
    two = reset.controller(database, holder="two")
    replaced = []

    def passed(name: str) -> None:
        if name == "before advance" and not replaced:
            expire(database)
            replaced.append(two.tick())

    one = reset.controller(database, holder="one", passed=passed)
    serving(one)
    canary_id = one.start_canary(SECOND, POLICY, who="ada")
    one.tick()
    one.tick()
    assert replaced == [True]
    with database.read() as session:
        steps = db.steps(session, canary_id)
    assert [own.decision["action"] for own in steps] == ["advance"]  # the one of its successor
    assert reset.edge().slots().canary_bp == 5000
    assert one.tick() is False


def test_a_killed_leader_is_replaced_and_its_canary_goes_on(made: tuple[Plant, Database]) -> None:
    reset, database = made
    processes = {name: ruling(reset, name, lease_seconds=1.0) for name in ("one", "two")}
    try:
        until(lambda: holder(database) is not None)
        here = reset.controller(database, holder="here")
        here.serve_now(FIRST, who="ada", why="the first one")
        until(lambda: here.status().waiting is None)
        canary_id = here.start_canary(SECOND, POLICY | {"interval_seconds": 0.2, "min_seconds": 3.0}, who="ada")
        until(lambda: reset.edge().slots().canary_bp == 1000)
        first = holder(database)
        assert first is not None
        os.kill(processes[first].pid, signal.SIGKILL)
        until(lambda: holder(database) not in (None, first))
        until(lambda: reset.edge().slots().stable == "green")
        with database.read() as session:
            assert db.canary(session, canary_id).status == "promoted"
            told = [own.kind for own in db.events(session, subject=canary_id, after=0)]
        assert told == [
            "canary.created",
            "canary.running",
            "canary.weighted",
            "canary.advanced",
            "canary.promoted",
            "slots.swapped",
        ]
    finally:
        for process in processes.values():
            process.kill()
            process.join()
