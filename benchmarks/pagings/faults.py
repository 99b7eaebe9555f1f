"""What goes wrong in service, one at a time: begun, and mended."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.load.generator import Generator
from benchmarks.load.http import post
from benchmarks.load.ours import Ours
from benchmarks.load.timing import poisson
from benchmarks.pagings.releases import Variant, put_into_service, variant
from services.control.client import ControlClient

__all__ = ["Fault", "serving_faults"]

_STOPPED_S: Final = 0.12
_RUNS_S: Final = 0.03
_BOTS_PER_S: Final = 120.0
_BOTS_S: Final = 150.0
_STALE: Final = timedelta(days=5)


def _nothing() -> None:
    """Nothing takes time before."""


class Fault(NamedTuple):
    """One thing that goes wrong.

    Attributes:
        name: in words.
        cause: what a page must say.
        component: where, likewise.
        hurt: makes it wrong until the block ends.
        prepare: what takes time before, such as loading a release.
    """

    name: str
    cause: str
    component: str
    hurt: Callable[[], AbstractContextManager[None]]
    prepare: Callable[[], None] = _nothing


def serving_faults(stack: Ours, bundle: Path, generator: Generator, people: Sequence[str]) -> list[Fault]:
    """Every fault of serving.

    Args:
        stack: what is hurt.
        bundle: of the release that serves.
        generator: sends what bots ask.
        people: whom bots pretend to be.
    """
    home, made = stack.settings.home, dict[str, Variant]()
    word = home / "broken"

    def new(name: str, as_of: datetime, breaks_on: Path | None = None) -> None:
        made[name] = variant(bundle, stack.settings, as_of=as_of, breaks_on=breaks_on)

    def broken() -> None:
        new("broken", datetime.now(UTC), word)
        _serves(stack, made["broken"])

    return [
        Fault("slow replica", "slow-replica", "replicas", lambda: _slow(stack.pids("replica")[0])),
        Fault("dead collectors", "collectors-down", "collectors", lambda: _stopped(stack.pids("collector"))),
        Fault("error burst", "errors", "edge", lambda: _there(word), broken),
        Fault("spike of bots", "bot-spike", "edge", lambda: _bots(stack, generator, people)),
        Fault(
            "stale index",
            "stale-release",
            "index",
            lambda: _serving(stack, made["stale"]),
            lambda: new("stale", datetime.now(UTC) - _STALE),
        ),
    ]


@contextmanager
def _slow(pid: int) -> Iterator[None]:
    """Stops a process most of the time, as a core that others take would."""
    over = threading.Event()

    def stutter() -> None:
        while not over.is_set():
            os.kill(pid, signal.SIGSTOP)
            time.sleep(_STOPPED_S)
            os.kill(pid, signal.SIGCONT)
            time.sleep(_RUNS_S)

    thread = threading.Thread(target=stutter)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _stopped(pids: Sequence[int]) -> Iterator[None]:
    """Stops processes so that nobody starts others in their place: they hang."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def _there(file: Path) -> Iterator[None]:
    """The word on which a release's code breaks; a rollback mends it, the word stays until the end."""
    file.touch()
    try:
        yield
    finally:
        file.unlink()


@contextmanager
def _bots(stack: Ours, generator: Generator, people: Sequence[str]) -> Iterator[None]:
    """Programs ask for lists and click nothing; they give up by themselves after a while."""
    at = poisson(_BOTS_PER_S, _BOTS_S, rng=np.random.default_rng(5))
    asked = [post("/v1/recommend", {"user_id": user, "k": 10}) for user in people]
    sent = generator.fire(stack.address, asked, at)
    try:
        yield
    finally:
        sent.result()


@contextmanager
def _serving(stack: Ours, release: Variant) -> Iterator[None]:
    """A release serves; the one before it comes back at the end."""
    _serves(stack, release)
    try:
        yield
    finally:
        with ControlClient.of(stack.settings) as control:
            control.rollback(why="the end of the fault")


def _serves(stack: Ours, release: Variant) -> None:
    put_into_service(stack.settings, release, "a fault on purpose")
    stack.eventually(lambda: stack.status().release_id == release.release_id, f"the start of {release.release_id}")
