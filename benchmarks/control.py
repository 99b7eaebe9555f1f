"""The control plane: rollbacks under load, kills at its transitions, who gets the canary, a killed leader's successor."""

import os
import random
import signal
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from benchmarks.controls.crashing import carried_through, fresh, ruling
from benchmarks.controls.plant import Plant, plant
from benchmarks.controls.rollback import (
    PER_S,
    Rolled,
    of_a_canary,
    of_a_promoted_release,
    of_a_reload,
    on_trial,
    stable_controller,
)
from benchmarks.controls.sticky import Share, shares
from benchmarks.load.child import short_folder
from benchmarks.load.generator import Generator
from benchmarks.load.telling import teller
from benchmarks.result import Bar, Result
from rankloop.errors import RankloopError
from services.control.database import leader
from services.control.leading import LEASE

__all__ = ["run"]

_KILLS_A_STORY: Final = 5
_LEASE_S: Final = 10.0
_LONGEST_S: Final = 60.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How much: rollbacks of each kind, seconds of load for each, stories of five kills, units, leaders that are killed."""

    rollbacks: int
    seconds: float
    stories: int
    units: int
    leaders: int


_FULL: Final = Effort(10, 4.0, 20, 20_000, 5)
_QUICK: Final = Effort(2, 2.0, 1, 1_000, 1)


class Kills(NamedTuple):
    """What came of stories whose control planes were killed.

    Attributes:
        stories: carried through.
        kills: SIGKILLs, all stories together.
        transitions: passed in an undisturbed story.
        otherwise: stories that did not end as the undisturbed one.
        astray: stories after which the edge's weights are not the record's.
        at: how many different transitions were hit.
    """

    stories: int
    kills: int
    transitions: int
    otherwise: int
    astray: int
    at: int


def run(quick: bool) -> Result:
    """A real HAProxy and a stand-in for Ray Serve, controlled by real processes on a real record."""
    effort, say = _QUICK if quick else _FULL, teller()
    with short_folder() as home, plant(home) as made, Generator() as generator:
        rolled, units = _under_people(made, generator, effort, say)
        kills = _killed(made, effort.stories, say)
        replaced = _replaced(made.reset(fresh(home, 10_000)), effort.leaders, say)
    ours = [*rolled["of a canary"], *rolled["of a promoted release"]]
    figures = {
        "requests_per_s": PER_S,
        "rollback": {name: _figures(own) for name, own in rolled.items() if name != "reload"},
        "kills": kills._asdict(),
        "share": {f"{weight / 100:g} %": own._asdict() for weight, own in units.items()},
        "leader_replaced_s": {"kills": len(replaced), "mean": sum(replaced) / len(replaced), "longest": max(replaced)},
    }
    versus = {"configuration written anew and HAProxy reloaded (no socket)": _figures(rolled["reload"])}
    return Result("control", figures, versus, _bars(ours, kills, units, replaced))


def _bars(rolled: Sequence[Rolled], kills: Kills, units: dict[int, Share], replaced: Sequence[float]) -> list[Bar]:
    shown = units.values()
    return [
        Bar.at_most("seconds from a rollback to the last answer of the release", max(own.last_s for own in rolled), 1),
        Bar.at_most("failed requests around rollbacks", sum(own.failed for own in rolled), 0),
        Bar.at_most(f"stories of {kills.kills} kills that end otherwise than undisturbed", kills.otherwise, 0),
        Bar.at_most("edges whose weights are not the record's after kills", kills.astray, 0),
        Bar.at_most("units that leave the canary as it grows", sum(own.left for own in shown), 0),
        Bar.at_most("units whose slot Python computes otherwise", sum(own.otherwise for own in shown), 0),
        Bar.at_most("standard deviations between a weight and its share", max(own.sigmas for own in shown), 3),
        Bar.at_most("seconds until a killed leader is replaced", max(replaced), 15),
    ]


def _figures(rolled: Sequence[Rolled]) -> dict[str, Any]:
    return {
        "rollbacks": len(rolled),
        "requests": sum(own.requests for own in rolled),
        "failed": sum(own.failed for own in rolled),
        "told_ms": 1e3 * sum(own.told_s for own in rolled) / len(rolled),
        "last_answer_ms": 1e3 * sum(max(own.last_s, 0.0) for own in rolled) / len(rolled),
        "slowest_last_answer_ms": 1e3 * max(own.last_s for own in rolled),
    }


def _under_people(
    made: Plant, generator: Generator, effort: Effort, say: Say
) -> tuple[dict[str, list[Rolled]], dict[int, Share]]:
    """Rollbacks in our way and by a reload, then the shares; the slots hold a release each."""
    reset = made.reset(fresh(made.home, 0))
    with reset.database() as database:
        controller = stable_controller(reset, database)
        kinds = {"of a canary": of_a_canary, "of a promoted release": of_a_promoted_release}
        rolled: dict[str, list[Rolled]] = {}
        for name, act in kinds.items():
            say(f"rollbacks {name}, at {PER_S} requests a second")
            rolled[name] = [act(reset, controller, generator, effort.seconds, seed) for seed in range(effort.rollbacks)]
        on_trial(reset, controller)
        say("rollbacks by a reload")
        rolled["reload"] = [of_a_reload(reset, generator, effort.seconds, seed) for seed in range(effort.rollbacks)]
        say(f"asking for {effort.units:,} units at each weight")
        return rolled, shares(reset, generator, effort.units, seed=1)


def _killed(made: Plant, stories: int, say: Say) -> Kills:
    say("a story that nobody disturbs")
    quiet = carried_through(made.reset(fresh(made.home, 1)), lambda *_: False)
    kills, otherwise, astray, at = 0, 0, 0, set[str]()
    for number in range(stories):
        say(f"story {number + 1} of {stories}, with {_KILLS_A_STORY} kills")
        chosen = set(random.Random(number).sample(range(quiet.passed), _KILLS_A_STORY))
        story = carried_through(made.reset(fresh(made.home, 2 + number)), _at(chosen))
        desired = story.ended.desired
        otherwise += story.ended != quiet.ended
        astray += story.ended.edge != (desired["stable"], desired["canary_bp"], desired["interleave_bp"])
        kills += len(story.at)
        at |= set(story.at)
    return Kills(stories, kills, quiet.passed, otherwise, astray, len(at))


def _at(chosen: Collection[int]) -> Callable[[int, str], bool]:
    return lambda passed, _: passed in chosen


def _replaced(made: Plant, times: int, say: Say) -> list[float]:
    """Seconds from the kill of a leader until another one leads."""
    names = [f"plane-{number}" for number in range(2 + times)]
    with made.database() as database:

        def holder() -> str | None:
            with database.read() as session:
                found = leader(session, LEASE)
            return found.holder if found else None

        running = {name: ruling(made, name, lease_seconds=_LEASE_S) for name in names[:2]}
        took: list[float] = []
        try:
            for new in names[2:]:
                say(f"killing leader {len(took) + 1} of {times}")
                _until(lambda: holder() in running)
                first = holder()
                assert first is not None
                began = time.monotonic()
                os.kill(running.pop(first).pid, signal.SIGKILL)
                _until(lambda: holder() in running)
                took.append(time.monotonic() - began)
                running[new] = ruling(made, new, lease_seconds=_LEASE_S)
        finally:
            for process in running.values():
                process.kill()
                process.join()
    return took


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + _LONGEST_S
    while not true():
        if time.monotonic() > end:
            raise RankloopError(f"no control plane leads after {_LONGEST_S:.0f} s")
        time.sleep(0.02)
