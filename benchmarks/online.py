"""The online store: reads and folding in LMDB and in Redis, against SQLite."""

import multiprocessing
import random
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import redis

from benchmarks.result import Bar, Result
from rankloop.errors import StateUnavailable
from rankloop.state import ACTS_KEPT, ItemState, UserState, folded, item_folded
from services.events.records import EventRecord
from services.online.base import Place, acts_by, digest
from services.online.embedded import EmbeddedStore
from services.online.redis_store import RedisStore

__all__ = ["run"]

Figures = dict[str, float]

_NOW: Final = 1_700_000_000_000_000
_DAY: Final = 86_400_000_000
_WEEK: Final = 7 * 86_400
_BATCH: Final = 1000
_ROUNDS: Final = 3
_FULL: Final = "full"
_BINARIES: Final = ("redis-server", "valkey-server")


def run(quick: bool) -> Result:
    """Folds the same events into each store, then reads random people, alone and while another process folds.

    All keep each event once and move a position in the same transaction. LMDB flushes to disk once a batch; SQLite is
    in WAL mode with synchronous=NORMAL, which flushes at checkpoints; Redis flushes its append-only file each second.
    The stores take turns in each round; a figure is the median of the rounds. Redis and the readers share the cores.
    The bars of folding are in seconds of CPU, which hold on a machine that does other work too.
    """
    users, events, reads = (500, 10_000, 500) if quick else (20_000, 150_000, 20_000)
    with tempfile.TemporaryDirectory() as folder, _redis(Path(folder)) as url:
        places = {"LMDB": f"{folder}/lmdb", "Redis": url, "SQLite": f"{folder}/sqlite"}
        places = {name: place for name, place in places.items() if place}
        rounds: dict[str, list[Figures]] = {name: [] for name in places}
        for name, place in places.items():
            _seed(name, place, users)
        for number in range(_ROUNDS):
            batches = _batches(number, users, events // _ROUNDS)
            for name, place in places.items():
                rounds[name].append(_folding(name, place, batches) | _reading(name, place, users, reads))
    found = {name: {key: float(np.median([one[key] for one in own])) for key in own[0]} for name, own in rounds.items()}
    sqlite = found.pop("SQLite")
    return Result(
        name="online",
        figures=found if len(found) > 1 else {**found, "Redis": {"skipped, no": " or ".join(_BINARIES)}},
        versus={"SQLite": sqlite},
        bars=_bars(found, sqlite),
    )


def _bars(found: dict[str, Figures], sqlite: Figures) -> list[Bar]:
    lmdb, server = found["LMDB"], found.get("Redis", {})
    undefined = float("nan")
    return [
        Bar.at_most("LMDB: read of a person, p50 microseconds", lmdb["read_p50_us"], 10.0),
        Bar.at_most("LMDB: read while another process folds, p99 microseconds", lmdb["while_folding_p99_us"], 1000.0),
        Bar.at_least("LMDB: reads, times as fast as SQLite", sqlite["read_p50_us"] / lmdb["read_p50_us"], 1.0),
        Bar.at_least("LMDB: folding, times as fast as SQLite", lmdb["fold_events_per_s"] / sqlite["fold_events_per_s"], 1.0),
        Bar.at_least("LMDB: events folded in a second of CPU", lmdb["fold_events_per_cpu_s"], 20_000.0),
        Bar.at_most("Redis: read of a person, p50 microseconds", server.get("read_p50_us", undefined), 500.0),
        Bar.at_least(
            "Redis: events folded in a second of CPU, the server's included",
            server.get("fold_events_per_cpu_s", undefined),
            10_000.0,
        ),
    ]


class SqliteStore:
    """What the two stores do, in SQLite: the same states, ids and positions in one transaction."""

    def __init__(self, file: str) -> None:
        self._db = sqlite3.connect(file, isolation_level=None, timeout=30.0)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        for table in ("users", "items", "seen", "positions"):
            self._db.execute(f"CREATE TABLE IF NOT EXISTS {table} (key PRIMARY KEY, value) WITHOUT ROWID")
        self._user, self._item = msgspec.msgpack.Decoder(UserState), msgspec.msgpack.Decoder(ItemState)

    def user(self, user_id: str) -> UserState | None:
        """A person's state."""
        row = self._db.execute("SELECT value FROM users WHERE key = ?", (user_id,)).fetchone()
        return self._user.decode(row[0]) if row else None

    def fold(self, source: str, position: Place, events: Sequence[EventRecord], *, now: int) -> int:
        """Applies each event once and moves the position."""
        self._db.execute("BEGIN IMMEDIATE")
        expiry = now // 1_000_000 + _WEEK
        put = "INSERT INTO seen VALUES (?, ?) ON CONFLICT DO NOTHING"
        fresh = [event for event in events if self._db.execute(put, (digest(event.event_id), expiry)).rowcount]
        users, items = acts_by(fresh)
        for table, decoder, fold, acts in (("users", self._user, folded, users), ("items", self._item, item_folded, items)):
            self._change(table, decoder, fold, acts)
        self._db.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", (source, msgspec.msgpack.encode(position)))
        self._db.execute("COMMIT")
        return len(fresh)

    def close(self) -> None:
        """Lets go of the file."""
        self._db.close()

    def _change(self, table: str, decoder: Any, fold: Any, acts: dict[str, Any]) -> None:
        for name in sorted(acts):
            row = self._db.execute(f"SELECT value FROM {table} WHERE key = ?", (name,)).fetchone()
            state = fold(decoder.decode(row[0]) if row else None, acts[name])
            self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (name, msgspec.msgpack.encode(state)))


def _opened(name: str, place: str) -> Any:
    if name == "LMDB":
        return EmbeddedStore(Path(place), write=True, map_bytes=1 << 30, seen_seconds=_WEEK)
    if name == "Redis":
        return RedisStore(place, timeout=1.0, write=True, seen_seconds=_WEEK)
    return SqliteStore(place)


def _events(rng: random.Random, name: str, users: int, number: int, start: int) -> list[EventRecord]:
    """Clicks and applications of people of whom few do much, in order of time, a thousand a second."""
    return [
        EventRecord(
            event_id=f"{name}-{one:08d}-{rng.getrandbits(64):016x}",
            ts=start + one * 1000,
            received=start + one * 1000,
            user_id=f"u{int(users * rng.random() ** 2):06d}",
            item_id=f"job-{int(10_000 * rng.random() ** 2):06d}",
            kind="apply" if rng.random() < 0.2 else "click",
            value=None,
            request_id=None,
        )
        for one in range(number)
    ]


def _batches(seed: int, users: int, number: int) -> list[list[EventRecord]]:
    log = _events(random.Random(seed), f"r{seed}", users, number, _NOW + seed * _DAY)
    return [log[first : first + _BATCH] for first in range(0, number, _BATCH)]


def _seed(name: str, place: str, users: int) -> None:
    """Five acts a person on average, and one person with as many as are kept."""
    store = _opened(name, place)
    for number, batch in enumerate(_batches(-1, users, 5 * users), start=1):
        store.fold("seed", (1, number), batch, now=_NOW)
    full = [EventRecord(f"full-{one}", _NOW + one, _NOW, _FULL, "job-000001", "click", None, None) for one in range(ACTS_KEPT)]
    store.fold("full", (1, 1), full, now=_NOW)
    store.close()


def _folding(name: str, place: str, batches: list[list[EventRecord]]) -> Figures:
    store = _opened(name, place)
    source = batches[0][0].event_id
    begin, cpu = time.perf_counter(), _cpu_seconds(name, place)
    new = sum(store.fold(source, (1, number), batch, now=_NOW) for number, batch in enumerate(batches, start=1))
    seconds, cpu = time.perf_counter() - begin, _cpu_seconds(name, place) - cpu
    store.close()
    assert new == sum(map(len, batches))
    return {"fold_events_per_s": new / seconds, "fold_events_per_cpu_s": new / cpu}


def _cpu_seconds(name: str, place: str) -> float:
    """Of this process, and of the server where there is one."""
    if name != "Redis":
        return time.process_time()
    with redis.Redis.from_url(place) as client:
        used = client.info("cpu")
    return time.process_time() + float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def _reading(name: str, place: str, users: int, reads: int) -> Figures:
    alone = _timed(name, place, users, reads)
    context = multiprocessing.get_context("spawn")
    began, stop = context.Event(), context.Event()
    folding = context.Process(target=_fold_until, args=(name, place, users, began, stop))
    folding.start()
    began.wait(60)
    crowded = _timed(name, place, users, reads // 4)
    stop.set()
    folding.join()
    return {
        "read_p50_us": float(np.percentile(alone[0], 50)),
        "read_p99_us": float(np.percentile(alone[0], 99)),
        "full_read_p50_us": float(np.percentile(alone[1], 50)),
        "while_folding_p50_us": float(np.percentile(crowded[0], 50)),
        "while_folding_p99_us": float(np.percentile(crowded[0], 99)),
    }


def _timed(name: str, place: str, users: int, reads: int) -> tuple[list[float], list[float]]:
    """Microseconds of each read of a random person, and of the one with a full state."""
    store, rng = _opened(name, place), random.Random(0)
    asked = [f"u{int(users * rng.random() ** 2):06d}" for _ in range(reads)]
    store.user(asked[0])
    times = tuple([_microseconds(store, one) for one in group] for group in (asked, [_FULL] * (reads // 20)))
    store.close()
    return times[0], times[1]


def _microseconds(store: Any, user_id: str) -> float:
    begin = time.perf_counter_ns()
    store.user(user_id)
    return (time.perf_counter_ns() - begin) / 1e3


def _fold_until(name: str, place: str, users: int, began: Event, stop: Event) -> None:
    """Another process, which folds without a pause."""
    store = _opened(name, place)
    rng = random.Random()
    source = f"{rng.getrandbits(64)}"
    for number in count(1):
        batch = _events(rng, f"{source}-{number}", users, _BATCH, time.time_ns() // 1000)
        store.fold(source, (1, number), batch, now=_NOW)
        began.set()
        if stop.is_set():
            return


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    """The URL of a server of our own; empty where no binary is installed."""
    binary = next(filter(None, map(shutil.which, _BINARIES)), None)
    if binary is None:
        yield ""
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--appendonly", "yes"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    try:
        _wait(url)
        yield url
    finally:
        server.kill()
        server.wait()


def _wait(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            RedisStore(url, timeout=1.0, seen_seconds=1).position("any")
            return
        except StateUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
