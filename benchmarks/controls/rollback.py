"""How long a release answers after somebody asked to be rid of it, while people ask two hundred times a second."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.controls.plant import Plant
from benchmarks.controls.world import second_slot
from benchmarks.load.generator import Generator
from benchmarks.load.http import post
from benchmarks.load.timing import Sent, poisson
from rankloop.errors import RankloopError
from services.control.controller import Controller
from services.control.database import Database
from services.control.drivers import RayServer
from services.edge import Slots

__all__ = ["Rolled", "of_a_canary", "of_a_promoted_release", "of_a_reload", "on_trial", "stable_controller"]

PER_S: Final = 200
_FIRST, _SECOND = "r-first", "r-second"
_POLICY: Final = {"steps": [5000], "min_seconds": 10_000.0, "max_seconds": 100_000.0}
_WAIT_S: Final = 30.0


class Rolled(NamedTuple):
    """One rollback under load.

    Attributes:
        told_s: from the command to its answer.
        last_s: from the command to the last answer of the release that was rolled back; negative: there was none after it.
        failed: requests without an answer of 2xx.
        requests: how many were sent.
        before: answers of that release before the command.
    """

    told_s: float
    last_s: float
    failed: int
    requests: int
    before: int


def stable_controller(plant: Plant, database: Database) -> Controller:
    """A control plane with a release that serves; a slot is full once the edge sees it."""
    plant.register(database, _FIRST, _SECOND)
    controller = plant.controller(database, server=RayServer(plant.settings), keep_warm_seconds=1000.0)
    controller.serve_now(_FIRST, who="bench", why="the first one")
    _ticked(controller, lambda: controller.status().waiting is None)
    return controller


def on_trial(plant: Plant, controller: Controller) -> str:
    """Starts a canary that half of the units get, and returns its name."""
    canary_id = controller.start_canary(_SECOND, _POLICY, who="bench", why="to be rolled back")
    _ticked(controller, lambda: plant.edge().slots().canary_bp == 5000)
    return canary_id


def of_a_canary(plant: Plant, controller: Controller, generator: Generator, seconds: float, seed: int) -> Rolled:
    """A canary that half of the units get is rolled back."""
    on_trial(plant, controller)
    return _under_load(plant, generator, lambda: controller.rollback(who="bench", why="it is measured"), seconds, seed)


def of_a_promoted_release(plant: Plant, controller: Controller, generator: Generator, seconds: float, seed: int) -> Rolled:
    """A release that everybody gets is rolled back to the one before, whose slot is warm."""
    controller.promote(on_trial(plant, controller), who="bench", why="to be rolled back")
    return _under_load(plant, generator, lambda: controller.rollback(who="bench", why="it is measured"), seconds, seed)


def of_a_reload(plant: Plant, generator: Generator, seconds: float, seed: int) -> Rolled:
    """The weight is part of the configuration, which is written anew, checked and reloaded, as proxies without a socket need."""
    edge, half = plant.edge(), Slots(canary_bp=5000)
    edge.set_slots(half)

    def reload() -> None:
        replace(half, canary_bp=0).write(edge.slots_file)
        edge.reload()

    return _under_load(plant, generator, reload, seconds, seed)


def _ticked(controller: Controller, true: Callable[[], bool]) -> None:
    end = time.monotonic() + _WAIT_S
    while not true():
        controller.tick()
        if time.monotonic() > end:
            raise RankloopError(f"nothing came of it within {_WAIT_S:.0f} s: {controller.status()}")


def _under_load(plant: Plant, generator: Generator, act: Callable[[], Any], seconds: float, seed: int) -> Rolled:
    at = poisson(PER_S, seconds, rng=np.random.default_rng(seed))
    requests = [post("/v1/recommend", {"user_id": f"u{seed}-{number}"}) for number in range(1000)]
    generator.closed(
        ("127.0.0.1", plant.http_port), requests, clients=8, count=8, mark=second_slot
    )  # its process may have to be started
    coming = generator.fire(("127.0.0.1", plant.http_port), requests, at, mark=second_slot)
    time.sleep(seconds / 2)
    began = time.monotonic()
    act()
    told = time.monotonic() - began
    sent: Sent = coming.result()
    theirs = sent.done[sent.mark == 1]
    if not len(theirs):
        raise RankloopError(f"the release that is rolled back answered none of {len(at)} requests; {sent.failed} failed")
    return Rolled(told, float(theirs.max() - began), sent.failed, len(at), int((theirs < began).sum()))
