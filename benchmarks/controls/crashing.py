"""One story that a control plane carries through, whoever kills it, and the processes that carry it."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks.controls.plant import Plant
from rankloop.errors import RankloopError
from services.control import database as db
from services.control.changes import BACK, WANTED
from services.control.controller import Controller
from services.control.database import Database, Session

__all__ = ["POLICY", "RELEASES", "Ended", "Killed", "carried_through", "carry", "ended", "fresh", "ruling"]

RELEASES: Final = ("r-first", "r-good", "r-bad")
"""The first serves at once; the second is promoted; the third is rolled back; then somebody rolls the second back too."""

POLICY: Final[dict[str, Any]] = {
    "steps": [1000, 5000],
    "min_seconds": 0.0,
    "interval_seconds": 0.001,
    "min_units": 2,
    "keep_warm_seconds": 0.05,
    "guards": dict.fromkeys(
        ("latency_p95", "latency_p99", "empty", "fallback", "ctr@10", "ndcg@10", "coverage", "overlap", "score")
    ),
}
"""A canary that is promoted after two steps where nothing is wrong with it."""

_WHO: Final = "story"
_PASSING: Final = ("fault.begun", "fault.over", "edges.corrected")
_LONGEST_S: Final = 60.0
_PROCESSES: Final = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["benchmarks.controls.crashing", "services.control.database.migrating"])


class Ended(NamedTuple):
    """Where a story ended: equal for two of them when nothing was lost and nothing was done twice.

    Attributes:
        desired: what should be.
        edge: what the edge does.
        slots: by slot, the release that Serve was told of.
        releases: by name, where each stands.
        canaries: by release, how each canary ended.
        events: in order, kind and subject of each, less faults and corrections; a canary is named by its release.
    """

    desired: dict[str, Any]
    edge: tuple[str, int, int]
    slots: dict[str, str]
    releases: dict[str, str]
    canaries: dict[str, str]
    events: tuple[tuple[str, str], ...]


class Killed(NamedTuple):
    """A story that was carried through.

    Attributes:
        at: the transitions at which its process was killed.
        passed: how many transitions the processes passed.
        ended: where it ended.
    """

    at: tuple[str, ...]
    passed: int
    ended: Ended


def carry(plant: Plant, controller: Controller, database: Database) -> None:
    """Carries the story on from wherever it is, to its end.

    Raises:
        RankloopError: it does not end.
    """
    until = time.monotonic() + _LONGEST_S
    while not (_next(controller, database) and list(plant.declared()) == [_stable(database)]):
        controller.tick()
        if time.monotonic() > until:
            raise RankloopError(f"the story does not end: {controller.status()}")
        time.sleep(0.005)


def _next(controller: Controller, database: Database) -> bool:
    """Gives the next command where the last one is carried out; whether the story has ended."""
    with database.read() as session:
        state = {own.release_id: own.state for own in db.releases(session)}
        canaries = {own.release_id: own.status for own in db.canaries(session)}
        wanted = {own.subject for kind in (WANTED, BACK) for own in db.events(session, kind=kind)}
        back, idle = bool(db.events(session, kind=BACK)), db.active_canary(session) is None
        kept = db.desired(session).kept_until
    first, good, bad = RELEASES
    if first not in wanted:
        controller.serve_now(first, who=_WHO, why="the first one")
    elif state[first] == "serving" and good not in canaries:
        controller.start_canary(good, POLICY, who=_WHO, why="it is better")
    elif canaries.get(good) == "promoted" and bad not in canaries:
        controller.start_canary(bad, POLICY, who=_WHO, why="it seems better")
    elif canaries.get(bad) == "rolled back" and idle and not back:
        controller.rollback(who=_WHO, why="the second one was not better either")
    return back and state[first] == "serving" and kept is None


def _stable(database: Database) -> str:
    with database.read() as session:
        return db.desired(session).stable


def carried_through(plant: Plant, kill: Callable[[int, str], bool]) -> Killed:
    """Carries a story through with processes that are killed, one after the other, until one comes to the end.

    Args:
        plant: with an empty record and empty slots.
        kill: whether to kill at a transition, given how many were passed before and its name.

    Raises:
        RankloopError: a process ended by itself, or the story does not end.
    """
    with plant.database() as database:
        plant.register(database, *RELEASES)
    passed, killed = 0, list[str]()
    while True:
        ours, theirs = _PROCESSES.Pipe()
        child = _PROCESSES.Process(target=_child, args=(plant, theirs), daemon=True)
        child.start()
        theirs.close()
        while (name := _said(ours)) is not None:
            if kill(passed, name):
                assert child.pid is not None
                os.kill(child.pid, signal.SIGKILL)
                killed.append(name)
            else:
                ours.send(None)
            passed += 1
        child.join()
        if child.exitcode == 0:
            return Killed(tuple(killed), passed, ended(plant))
        if child.exitcode != -signal.SIGKILL:
            raise RankloopError(f"a control plane ended with {child.exitcode} after {passed} transitions")


def _said(pipe: Any) -> str | None:
    try:
        said: str = pipe.recv()
        return said
    except (EOFError, ConnectionResetError):
        return None


def _child(plant: Plant, pipe: Any) -> None:
    """One control plane: at each transition it waits for leave to go on."""

    def passed(name: str) -> None:
        pipe.send(name)
        pipe.recv()

    with plant.database() as database:
        carry(plant, plant.controller(database, passed=passed, lease_seconds=0.2), database)


def ended(plant: Plant) -> Ended:
    """Where everything is now."""
    edge = plant.edge().slots()
    with plant.database() as database, database.read() as session:
        desired = msgspec.to_builtins(db.desired(session))
        releases = {own.release_id: own.state for own in db.releases(session)}
        canaries = {own.release_id: own.status for own in db.canaries(session)}
        return Ended(
            {name: value for name, value in desired.items() if name != "changed_at"},
            (edge.stable, edge.canary_bp, edge.interleave_bp),
            plant.declared(),
            dict(sorted(releases.items())),
            dict(sorted(canaries.items())),
            _events(session),
        )


def _events(session: Session) -> tuple[tuple[str, str], ...]:
    named = {own.canary_id: own.release_id for own in db.canaries(session)}
    found = db.events(session, after=0, limit=10_000)
    return tuple((own.kind, named.get(own.subject, own.subject)) for own in found if own.kind not in _PASSING)


def ruling(plant: Plant, holder: str, *, lease_seconds: float) -> Any:
    """A process that leads or follows until it is killed, ticking as the service does."""
    process = _PROCESSES.Process(target=_rule, args=(plant, holder, lease_seconds), daemon=True)
    process.start()
    return process


def _rule(plant: Plant, holder: str, lease_seconds: float) -> None:
    with plant.database() as database:
        controller = plant.controller(database, holder=holder, lease_seconds=lease_seconds, beside=True)
        controller.run(threading.Event(), seconds=min(1.0, lease_seconds / 3))


def fresh(home: Path, number: int) -> str:
    """The URL of a record that nobody has written to."""
    return f"sqlite:///{home / f'record-{number}.db'}"
