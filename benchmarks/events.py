"""A million events in batches through the edge: how many are acknowledged a second, and whether ingest reads each once."""

import secrets
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import redis

from benchmarks.load.bundle import QUICK, Made, made
from benchmarks.load.child import answers, child, free_port, short_folder
from benchmarks.load.counted import SEAL_S, Counted, accepted, acknowledged, read_back
from benchmarks.load.generator import Generator
from benchmarks.load.ours import Ours, ours
from benchmarks.load.people import batches, events
from benchmarks.load.redis_server import RedisServer
from benchmarks.load.telling import teller
from benchmarks.load.timing import Sent
from benchmarks.result import Bar, Result
from rankloop.contracts import Columns

__all__ = ["run"]

_SIZE: Final = 1_000
_BATCHES, _QUICK_BATCHES = 1_000, 30
_CLIENTS: Final = 4
_BEHIND_S: Final = 900.0
_METARANK: Final = "Metarank, as its documentation claims (not measured here)"
Say = Callable[[str], None]


def run(quick: bool) -> Result:
    """Ours through the edge, then the same events into FastAPI and SQLite, and into a Redis stream without any HTTP."""
    say, count = teller(), _QUICK_BATCHES if quick else _BATCHES
    release = made(QUICK, say)  # people and items to name; nobody is ranked here
    say(f"making {count * _SIZE:,} events")
    requests = batches(release, count, _SIZE)
    with short_folder() as home, Generator() as generator:
        with ours(home, say, object_store_mb=100, segment_seconds=SEAL_S) as stack:
            fresh = [_fresh(stack, release, number) for number in range(10 if quick else 100)]
            sent, behind, counted = _ours(stack, generator, release, requests, say)
        fewer = requests[: max(len(requests) // 5, 1)]
        say("FastAPI and SQLite")
        versus = {
            "FastAPI and SQLite, two processes": {"events_per_s": _sqlite(home / "sqlite", generator, fewer)},
            "Redis stream, no HTTP, nothing checked": {"events_per_s": _stream(home / "stream", release, len(fewer))},
            _METARANK: {"events_per_s": 3_000},
        }
    rate = _per_s(sent)
    figures = {
        "events": count * _SIZE,
        "batch": _SIZE,
        "clients": _CLIENTS,
        "events_per_s": rate,
        "batch_p50_ms": sent.at_ms(0.5),
        "batch_p99_ms": sent.at_ms(0.99),
        "failed_batches": sent.failed,
        **counted._asdict(),
        "state_updated_p50_s": float(np.quantile(fresh, 0.5)),
        "state_updated_p99_s": float(np.quantile(fresh, 0.99)),
        "state_behind_after_s": behind,
    }
    bars = [
        Bar.at_least("events acknowledged a second", rate, 20_000),
        Bar.at_most("acknowledged events that ingest does not read", counted.lost, 0),
        Bar.at_most("events that ingest reads twice", counted.twice, 0),
        Bar.at_most("batches that failed", sent.failed, 0),
        Bar.at_most("seconds until the online store knows an event, p99", figures["state_updated_p99_s"], 1),
    ]
    return Result("events", figures, versus, bars)


def _ours(stack: Ours, generator: Generator, release: Made, requests: Sequence[bytes], say: Say) -> tuple[Sent, float, Counted]:
    say("asking the collectors through the edge")
    sent = generator.closed(stack.address, requests, clients=_CLIENTS, count=len(requests), mark=accepted)
    behind = _fresh(stack, release, 0)
    say(f"{_per_s(sent):,.0f} events/s acknowledged; waiting until ingest can read them")
    kept = acknowledged(sent, _SIZE)
    _, read = read_back(stack, rows=len(kept))
    numbers = read[Columns.VALUE].drop_nulls()  # events of other parts carry none
    return sent, behind, Counted.of(kept, numbers)


def _per_s(sent: Sent) -> float:
    return float(sent.mark.sum() / (sent.done.max() - sent.intended.min()))


def _fresh(stack: Ours, release: Made, number: int) -> float:
    """Seconds from sending one event of somebody new until the online store knows it."""
    person = f"new-{secrets.token_hex(6)}"
    event = {"event_id": f"fresh-{person}", "user_id": person, "item_id": release.items[number], "kind": "click"}
    began = time.monotonic()
    stack.ask("POST", "/v1/events", json={"events": [event]}).raise_for_status()
    known = f"/v1/users/{person}/state"
    stack.eventually(lambda: stack.ask("GET", known).is_success, f"the online store's word of {person}", seconds=_BEHIND_S)
    return time.monotonic() - began


def _sqlite(file: Path, generator: Generator, requests: Sequence[bytes]) -> float:
    port = free_port()
    flags = ["--host", "127.0.0.1", "--port", str(port), "--workers", "2", "--no-access-log"]
    command = [sys.executable, "-m", "uvicorn", "benchmarks.load.fastapi_sqlite:api", *flags]
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA journal_mode=WAL")
    with child(
        command, env={"BENCH_SQLITE": str(file)}, ready=lambda: answers(f"http://127.0.0.1:{port}/v1/events", {"events": []})
    ):
        sent = generator.closed(
            ("127.0.0.1", port), requests, clients=_CLIENTS, count=len(requests), mark=accepted, give_up=120.0
        )
    return _per_s(sent)


def _stream(folder: Path, release: Made, count: int) -> float:
    """The same batches, one pipeline each, into a server that hands each batch to the disk as ours does."""
    numbered = events(release, count * _SIZE, rng=np.random.default_rng(0))
    made_before = [[_entry(event) for event in _take(numbered, _SIZE)] for _ in range(count)]
    with RedisServer(folder, fsync="always") as server:
        client = redis.Redis(port=server.port)
        began = time.monotonic()
        for batch in made_before:
            pipe = client.pipeline(transaction=False)
            for entry in batch:
                pipe.xadd("events", entry)
            pipe.execute()
        return count * _SIZE / (time.monotonic() - began)


def _entry(event: dict[str, Any]) -> dict[Any, Any]:
    return {"event": msgspec.json.encode(event)}


def _take(numbered: Iterator[dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    return (next(numbered) for _ in range(count))
