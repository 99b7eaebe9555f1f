"""Answers through the edge: latency, what HTTP costs, throughput against alternatives with the same engine, overload, memory."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.load import plot
from benchmarks.load.bare import alone, loops
from benchmarks.load.bundle import FULL, QUICK, Made, Size, made
from benchmarks.load.child import short_folder
from benchmarks.load.compared import ALONE, KINDS, Measured, bodies_of, full_per_s, measured, requests_of
from benchmarks.load.counted import SEAL_S, engine_ms
from benchmarks.load.generator import Generator
from benchmarks.load.hops import hops
from benchmarks.load.memory import Memory
from benchmarks.load.missing import degraded
from benchmarks.load.ours import Ours, deployed, ours
from benchmarks.load.people import acted
from benchmarks.load.ramp import Ramp, ramp, shares
from benchmarks.load.systems import bento_api, fastapi_on_serve
from benchmarks.load.telling import teller
from benchmarks.load.timing import Sent, joined
from benchmarks.result import Bar, Result

__all__ = ["run"]

_REPLICAS: Final = 2
_OURS: Final = "Rankloop"
_LIMIT_MS: Final = 50.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How long is measured.

    Attributes:
        size: of the release.
        count: requests of each kind by one client.
        seconds: of each number of clients.
        clients: numbers of clients to try.
        step: seconds of each rate of the ramp.
        quiet: seconds behind it.
    """

    size: Size
    count: int
    seconds: float
    clients: tuple[int, ...]
    step: float
    quiet: float


_FULL: Final = Effort(FULL, 600, 8.0, (2, 3, 4, 6), 10.0, 12.0)
_QUICK: Final = Effort(QUICK, 60, 2.0, (4,), 2.0, 6.0)


@dataclass(frozen=True)
class Overload:
    """A ramp that was run: its rows, and the moment that is 0 in its schedule."""

    ramp: Ramp
    rows: Sent
    start: float

    @property
    def lateness_ms(self) -> float:
        """How late the generator itself was at half the capacity, when it always had a connection: p99, milliseconds."""
        early = self.rows.where(self.rows.intended - self.start < self.ramp.seconds)
        return float(np.nanquantile(early.sent - early.intended, 0.99)) * 1e3

    @property
    def above(self) -> Sent:
        """What was asked above the capacity."""
        offset = self.rows.intended - self.start
        return self.rows.where((offset >= 2 * self.ramp.seconds) & (offset < self.ramp.loud))


class Own(NamedTuple):
    """What was measured of ours alone.

    Attributes:
        measured: as of every system.
        engine: by kind, milliseconds the engine took of the one client's requests by its own clock, from the log.
        hops: where a request's time goes.
        overload: the ramp.
        memories: of the replicas, after all of it.
    """

    measured: Measured
    engine: dict[str, list[float]]
    hops: dict[str, dict[str, float]]
    overload: Overload
    memories: list[Memory]


def run(quick: bool) -> Result:
    """Every system in turn, each started for it and gone after it; the bare engine first and last."""
    effort, say = _QUICK if quick else _FULL, teller()
    release = made(effort.size, say)
    with short_folder() as home, Generator() as generator:
        with ours(home, say, replicas=_REPLICAS, object_store_mb=100, segment_seconds=SEAL_S) as stack:
            deployed(stack, release, say)
            acted(stack, release, say)
            own = _ours(stack, generator, release, effort, say)
        bare = [_bare(release, home, effort, say)]
        others: dict[str, Measured] = {}
        for start in (fastapi_on_serve, bento_api):
            with start(release, home, replicas=_REPLICAS) as system:
                say(f"asking {system.name}")
                others[system.name] = _asked(generator, system.address, release, effort)
        bare.append(_bare(release, home, effort, say))
    in_process = {kind: joined([one[0][kind] for one in bare]) for kind in KINDS}
    rates = {name: max(one[1][name] for one in bare) for name in bare[0][1]}
    return _result(release, own, others, in_process, rates)


def _ours(stack: Ours, generator: Generator, release: Made, effort: Effort, say: Say) -> Own:
    say(f"asking {_OURS}")
    own = _asked(generator, stack.address, release, effort)
    logged = engine_ms(stack, [f"{ALONE}-{kind}-{number}" for kind in KINDS for number in range(effort.count)])
    engine = {kind: [ms for name, ms in logged.items() if name.startswith(f"{ALONE}-{kind}-")] for kind in KINDS}
    way = hops(stack, generator, release, count=effort.count)
    say(f"{own.busy.full_per_s:.0f} full answers a second with {own.clients} clients; on to twice that")
    planned = ramp(own.busy.full_per_s, seconds=effort.step, quiet_seconds=effort.quiet)
    at = planned.at(rng=np.random.default_rng(1))
    asked = [request for pair in zip(*(requests_of(release, kind) for kind in KINDS), strict=True) for request in pair]
    rows = generator.fire(stack.address, asked, at, mark=degraded).result()
    memories = [Memory.of(pid) for pid in stack.pids("replica")]
    return Own(own, engine, way, Overload(planned, rows, rows.intended[0] - at[0]), memories)


def _asked(generator: Generator, address: tuple[str, int], release: Made, effort: Effort) -> Measured:
    return measured(generator, address, release, count=effort.count, seconds=effort.seconds, clients=effort.clients)


def _bare(release: Made, home: Path, effort: Effort, say: Say) -> tuple[dict[str, Sent], dict[str, float]]:
    """One process's requests by kind, and full answers a second of one process and of as many as there are replicas."""
    say("asking the bare engine")
    one = alone(release.folder, home, {kind: bodies_of(release, kind) for kind in KINDS}, count=effort.count)
    mixed = [body for pair in zip(*(bodies_of(release, kind) for kind in KINDS), strict=True) for body in pair]
    rates = {
        f"{n} process{'es' * (n > 1)}, full_per_s": full_per_s(
            loops(release.folder, home, mixed, processes=n, seconds=effort.seconds)
        )
        for n in (1, _REPLICAS)
    }
    return one, rates


def _result(
    release: Made,
    own: Own,
    others: Mapping[str, Measured],
    bare: Mapping[str, Sent],
    rates: Mapping[str, float],
) -> Result:
    overload, asked = own.overload, sum(len(rows.status) for rows in own.measured.alone.values())
    figures: dict[str, Any] = {
        "release": release.facts,
        _OURS: own.measured.figures(bare),
        "engine in the replica": {f"{kind}_p50_ms": float(np.median(ms or [np.nan])) for kind, ms in own.engine.items()},
        **own.hops,
        "bare engine": {f"{kind}_p{q}_ms": bare[kind].at_ms(q / 100) for kind in KINDS for q in (50, 99)} | dict(rates),
        "ramp": overload.ramp.figures(overload.rows, overload.start),
        "lists_not_logged": asked - sum(map(len, own.engine.values())),
        "generator_late_p99_ms": overload.lateness_ms,
        "recovered_s": overload.ramp.recovered(overload.rows, overload.start, limit_ms=_LIMIT_MS),
        "replica_rss_mb": max(one.resident for one in own.memories),
        "replica_pss_mb": max(one.proportional for one in own.memories),
        "second_replica_mb": max(one.own for one in own.memories),
    }
    versus = {name: one.figures(bare) for name, one in others.items()}
    return Result("serving", figures, versus, list(_bars(figures, versus, overload)), _plot(figures, versus, overload, rates))


def _bars(figures: Mapping[str, Any], versus: Mapping[str, Any], overload: Overload) -> Iterator[Bar]:
    own = figures[_OURS]
    overhead = max(own[f"{kind}_overhead_ms"] for kind in KINDS)
    theirs = {name: min(one[f"{kind}_overhead_ms"] for kind in KINDS) for name, one in versus.items()}
    router = next(one for name, one in versus.items() if "router" in name)
    loop = max(value for name, value in figures["bare engine"].items() if name.endswith("full_per_s"))
    above = shares(overload.above)
    yield Bar.at_most("one client, the slower kind, p50 ms", max(own[f"{kind}_p50_ms"] for kind in KINDS), 5)
    yield Bar.at_most("one client, the slower kind, p99 ms", max(own[f"{kind}_p99_ms"] for kind in KINDS), 20)
    yield Bar.at_most("HTTP, edge and logging, the worse kind, p50 ms", overhead, 1.5)
    yield Bar.at_least("throughput as a share of the bare engine loop's", own["full_per_s"] / loop, 0.6)
    yield Bar.at_least("throughput, times that of FastAPI and a router on Ray Serve", own["full_per_s"] / router["full_per_s"], 2)
    for name, value in theirs.items():
        # BentoML's has no edge and logs nothing, and a fifth of it is less than an edge and HTTP take: docs/guides/load.md
        yield Bar.at_least(f"overhead of {name}, times ours", value / overhead, 5 if "router" in name else 1)
    yield Bar.at_most("asked for up to twice the capacity: p99 of what is accepted, ms", above["p99_ms"], _LIMIT_MS)
    yield Bar.at_most("asked for up to twice the capacity: neither answered nor 503", above["failed_otherwise"], 0)
    yield Bar.at_most("seconds until recovered", figures["recovered_s"], 5)
    yield Bar.at_most("memory of a replica, MB", figures["replica_rss_mb"], 1_200)
    yield Bar.at_most("memory a second replica adds, MB", figures["second_replica_mb"], 500)
    yield Bar.at_most("requests of one client that failed", own["failed"], 0)
    yield Bar.at_most("lists of one client that are not in the impression log", figures["lists_not_logged"], 0)


def _plot(figures: Mapping[str, Any], versus: Mapping[str, Any], overload: Overload, rates: Mapping[str, float]) -> str:
    systems = {_OURS: figures[_OURS], **versus}
    overhead = {name: max(one[f"{kind}_overhead_ms"] for kind in KINDS) for name, one in systems.items()}
    through = {name: one["full_per_s"] for name, one in systems.items()}
    through |= {f"bare engine, {name.split(',')[0]}": rate for name, rate in rates.items()}
    loud = {"twice the capacity ends": overload.ramp.loud}
    return plot.drawn(
        "One release, one engine, several ways to serve it",
        [
            lambda axes: plot.bars(axes, "overhead of a request", overhead, ours=[_OURS], unit="ms over the bare engine"),
            lambda axes: plot.bars(axes, "throughput", through, ours=[_OURS], unit="full answers a second"),
            lambda axes: plot.seconds_of(
                axes, "half to twice the capacity", overload.rows, overload.start, marks=loud, limit_ms=_LIMIT_MS
            ),
        ],
        width=14,
    )
