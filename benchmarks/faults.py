"""`kill -9` of one process after the other at half load: requests that fail, events that are lost, answers that are degraded."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from benchmarks.load import plot
from benchmarks.load.bundle import FULL, QUICK, Made, Size, made
from benchmarks.load.child import short_folder
from benchmarks.load.compared import KINDS, bodies_of, full_per_s, requests_of
from benchmarks.load.counted import SEAL_S, Counted, accepted, acknowledged, read_back
from benchmarks.load.generator import Generator
from benchmarks.load.http import post
from benchmarks.load.missing import RANKING, STATE, degraded
from benchmarks.load.ours import Ours, deployed, ours
from benchmarks.load.people import acted, batches
from benchmarks.load.redis_server import RedisServer
from benchmarks.load.telling import teller
from benchmarks.load.timing import Sent, evenly, poisson
from benchmarks.result import Bar, Result
from rankloop.contracts import Columns

__all__ = ["run"]

_REPLICAS: Final = 2
_BATCH: Final = 50
_BATCHES_PER_S: Final = 10
_STORE_DOWN_S: Final = 5.0
_LIMIT_MS: Final = 50.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How long: of each fault's load, and until its kill, seconds."""

    size: Size
    seconds: float
    kill_after: float


_FULL: Final = Effort(FULL, 60.0, 15.0)
_QUICK: Final = Effort(QUICK, 9.0, 1.5)


class Fault(NamedTuple):
    """What one kill did.

    Attributes:
        asked: requests for lists.
        events: batches of events sent beside them.
        first: the number of their first event.
        start: the moment that is 0 in the schedule.
        killed: when, seconds from `start`.
        back: seconds from the kill until its successor was there.
    """

    asked: Sent
    events: Sent
    first: int
    start: float
    killed: float
    back: float

    def figures(self) -> dict[str, Any]:
        """Failures, latency, and how long answers said that something was missing."""
        answered = self.asked.answered()
        after = self.asked.where(self.asked.intended >= self.start + self.killed)
        return {
            "requests": len(self.asked.status),
            "failed": self.asked.failed,
            "failed_with": self.asked.statuses or "nothing",
            "event_batches": len(self.events.status),
            "event_batches_failed": self.events.failed,
            "event_batches_failed_with": self.events.statuses or "nothing",
            "without_state": int((answered.mark & STATE > 0).sum()),
            "without_state_for_s": _span(answered, STATE),
            "without_ranking": int((answered.mark & RANKING > 0).sum()),
            "without_ranking_for_s": _span(answered, RANKING),
            "p99_ms": self.asked.at_ms(0.99),
            "slowest_after_kill_ms": float(after.answered().ms.max(initial=0.0)),
            "events_p99_ms": self.events.at_ms(0.99),
            "back_after_s": self.back,
        }


def _span(answered: Sent, flag: int) -> float:
    """Seconds from the first to the last answer that says that something was missing."""
    moments = answered.intended[answered.mark & flag > 0]
    return float(np.ptp(moments)) if len(moments) else 0.0


def run(quick: bool) -> Result:
    """One stack with its online store in a redis-server of ours; one kill after the other, each under load."""
    effort, say = _QUICK if quick else _FULL, teller()
    release = made(effort.size, say)
    with (
        short_folder() as home,
        RedisServer(home / "redis", fsync="everysec") as store,
        Generator() as one,
        Generator() as two,
    ):
        chosen = {"replicas": _REPLICAS, "object_store_mb": 100, "segment_seconds": SEAL_S, "state_url": store.url}
        with ours(home, say, **chosen) as stack:
            deployed(stack, release, say)
            acted(stack, release, say)
            rate = _capacity(stack, one, release, 3.0 if quick else 15.0) / 2
            say(f"half of the capacity is {rate:.0f} requests a second")
            faults: dict[str, Fault] = {}
            for name, hurt in _kills(stack, store).items():
                say(f"killing {name}")
                first = len(faults) * 1_000_000
                faults[name] = _under_load(stack, (one, two), release, effort, hurt, rate=rate, first=first, name=name)
            say("waiting until ingest can read everything")
            kept = [number for own in faults.values() for number in acknowledged(own.events, _BATCH, first=own.first)]
            shown, done = read_back(stack, rows=len(kept))
    counted = Counted.of(kept, done[Columns.VALUE].drop_nulls())
    return _result(faults, counted, _not_logged(faults, shown), rate)


def _kills(stack: Ours, store: RedisServer) -> dict[str, Callable[[], Callable[[], bool]]]:
    return {
        "a replica": lambda: _of_role(stack, "replica", _REPLICAS),
        "an event collector": lambda: _of_role(stack, "collector", stack.settings.collectors),
        "the online store": lambda: _of_store(store),
        "the curator": lambda: _of_role(stack, "curator", 1),
    }


def _of_role(stack: Ours, role: str, whole: int) -> Callable[[], bool]:
    before = stack.pids(role)
    os.kill(before[0], signal.SIGKILL)

    def back() -> bool:
        now = stack.pids(role)
        return before[0] not in now and len(now) >= whole

    return back


def _of_store(store: RedisServer) -> Callable[[], bool]:
    store.kill()
    time.sleep(_STORE_DOWN_S)  # as long as whoever runs it takes to start it again
    store.start()
    return lambda: True


def _capacity(stack: Ours, generator: Generator, release: Made, seconds: float) -> float:
    asked = [request for pair in zip(*(requests_of(release, kind) for kind in KINDS), strict=True) for request in pair]
    generator.closed(stack.address, asked, clients=4, count=200)
    return max(full_per_s(generator.closed(stack.address, asked, clients=n, seconds=seconds, mark=degraded)) for n in (2, 4))


def _under_load(
    stack: Ours,
    generators: tuple[Generator, Generator],
    release: Made,
    effort: Effort,
    hurt: Callable[[], Callable[[], bool]],
    *,
    rate: float,
    first: int,
    name: str,
) -> Fault:
    at = poisson(rate, effort.seconds, rng=np.random.default_rng(first))
    often = evenly(_BATCHES_PER_S, effort.seconds)
    named = _named(release, len(at), name)
    sent = batches(release, len(often), _BATCH, first=first, prefix=f"f{first}-")
    lists, feed = generators
    asked: Future[Sent] = lists.fire(stack.address, named, at, mark=degraded)
    events: Future[Sent] = feed.fire(stack.address, sent, often, mark=accepted, give_up=30.0)
    time.sleep(effort.kill_after)
    killed = time.monotonic()
    stack.eventually(hurt(), f"the return of {name}")
    back = time.monotonic() - killed
    rows = asked.result()
    start = rows.intended[0] - at[0]
    return Fault(rows, events.result(), first, start, killed - start, back)


def _named(release: Made, count: int, name: str) -> list[bytes]:
    """Requests of both kinds in turn, each with an id by which the log can be asked for it."""
    pairs = zip(*(bodies_of(release, kind) for kind in KINDS), strict=True)
    bodies = [one for pair in pairs for one in zip(KINDS, pair, strict=True)]
    chosen = (bodies[number % len(bodies)] for number in range(count))
    return [post(f"/v1/{kind}", body, X_Request_Id=_id(name, number)) for number, (kind, body) in enumerate(chosen)]


def _id(name: str, number: int) -> str:
    return f"{name.replace(' ', '-')}-{number}"


def _not_logged(faults: Mapping[str, Fault], shown: pl.DataFrame) -> int:
    """Answers the client has whose list is not in the impression log."""
    answered = {_id(name, number) for name, own in faults.items() for number in own.asked.answered().number.tolist()}
    return len(answered - set(shown[Columns.REQUEST_ID].to_list()))


def _result(faults: Mapping[str, Fault], counted: Counted, not_logged: int, rate: float) -> Result:
    by_fault = {name: own.figures() for name, own in faults.items()}
    figures: dict[str, Any] = {"requests_per_s": rate, **by_fault, **counted._asdict(), "answers_not_in_the_log": not_logged}
    bars = [Bar.at_most(f"kill -9 of {name}: failed requests", own["failed"], 0) for name, own in by_fault.items()]
    bars += [
        Bar.at_most(f"kill -9 of {name}: failed batches of events", own["event_batches_failed"], 0)
        for name, own in by_fault.items()
    ]
    bars += [
        Bar.at_most("acknowledged events that ingest does not read", counted.lost, 0),
        Bar.at_most("events that ingest reads twice", counted.twice, 0),
    ]
    return Result("faults", figures, {}, bars, _plot(faults))


def _plot(faults: Mapping[str, Fault]) -> str:
    def panel(name: str, own: Fault) -> Callable[[Any], None]:
        marks = {"kill -9": own.killed, "back": own.killed + own.back}
        return lambda axes: plot.seconds_of(axes, name, own.asked, own.start, marks=marks, limit_ms=_LIMIT_MS)

    return plot.drawn("Half load, one process killed", [panel(name, own) for name, own in faults.items()], width=14)
