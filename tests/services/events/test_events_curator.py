"""The process as a whole: alone in its home folder, watched, and killed at any moment without losing a record."""

import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import polars as pl
import pytest

from rankloop.errors import PortBusy, SettingsError, StackError
from rankloop.sources.event_log import read_log
from services.events.curator import Curator, run
from services.events.records import ErasureRecord, encode
from services.events.spool import SpoolWriter
from services.events.streams import folder_of
from services.online import open_store
from services.settings import Settings

START = 1_772_355_600_000_000

HASTY = """
import logging
from services.events import curator, rolling
from services.settings import Settings
logging.basicConfig(level=logging.INFO)
rolling._SETTLED, curator._EVERY = 0.0, 0.05
curator.run(Settings.read())
"""
"""A curator that does not wait before it deletes, so that a kill may hit every one of its acts."""


def eventually(holds: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    """Waits until something holds, and fails when it does not come."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"{what} did not come in {seconds:.0f} s"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def settings(home) -> Settings:
    return Settings(home=home.folder, curator_port=free_port(), stop_seconds=30.0)


@pytest.fixture
def running(settings) -> Iterator[Settings]:
    """A curator in a thread."""
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(settings, stop))
    thread.start()
    yield settings
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


def test_what_is_acknowledged_is_soon_in_the_store_and_the_log_and_leaves_the_spool(home, running, event, monkeypatch) -> None:
    monkeypatch.setattr("services.events.rolling._SETTLED", 0.0)
    home.write("events", [event("e1"), event("e2")])
    store = open_store(running)
    eventually(lambda: (state := store.user("u1")) is not None and state.counts == {"click": 2}, "the state")
    eventually(lambda: not list((home.folder / "spool").rglob("*.spool")), "the sweep")
    assert read_log(str(home.folder / "log"))[1].height == 2
    store.close()


def test_its_metrics_are_answered_on_the_loopback_address(running) -> None:
    def scraped() -> str:
        try:
            with urlopen(f"http://127.0.0.1:{running.curator_port}/metrics", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    eventually(lambda: "rankloop_fold_lag_seconds" in scraped(), "an answer")


def test_an_erasure_is_carried_out_by_the_process_and_its_receipt_completed(
    home, running, event, impression, monkeypatch
) -> None:
    monkeypatch.setattr("services.events.rolling._SETTLED", 0.0)
    home.write("impressions", [impression("r1"), impression("r2", "u2")])
    home.write("events", [event("e1")], [ErasureRecord("receipt", "u1", START + 5)], [event("e2", ts=START + 6)])
    receipt = home.folder / "privacy" / "receipts" / "receipt.json"
    eventually(lambda: receipt.is_file() and '"complete"' in receipt.read_text(), "the receipt")
    shown, done = read_log(str(home.folder / "log"), key=(home.folder / "privacy" / "key").read_bytes())
    assert set(shown["user_id"]) == {"u2"}
    assert done["ts"].dt.epoch("us").to_list() == [START + 6]
    assert not any(b"e1" in file.read_bytes() for file in (home.folder / "spool").rglob("*.spool"))


def test_a_second_curator_says_who_is_in_its_way(settings) -> None:
    lock = settings.home / "curator" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        held.write("4711")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StackError, match=r"process 4711.* has .* already"):
            run(settings.model_copy(update={"stop_seconds": 0.2}), threading.Event())


def test_a_port_that_is_taken_is_named(settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.curator_port))
        taken.listen()
        with pytest.raises(PortBusy, match="RANKLOOP_CURATOR_PORT"):
            run(settings, threading.Event())


def test_a_log_that_cannot_be_reached_stops_neither_folding_nor_rolling(home, settings, event, store) -> None:
    blocked = home.folder / "blocked"
    blocked.touch()
    curator = Curator(settings.model_copy(update={"log_url": str(blocked / "log")}), store, home.metrics)
    home.write("events", [event("e1")])
    assert curator.uploading is not None
    for step in (curator.folding.step, curator.rolling.step, curator.sweep):
        step()
    with pytest.raises(OSError, match=r"blocked"):
        curator.uploading.step()
    assert store.user("u1").counts == {"click": 1}
    assert list((home.folder / "log" / "outcomes").rglob("*.parquet"))
    assert list((home.folder / "spool").rglob("*.spool"))


def test_an_address_of_no_known_kind_is_named(settings, home, store) -> None:
    with pytest.raises(SettingsError, match="RANKLOOP_LOG_URL"):
        Curator(settings.model_copy(update={"log_url": "nope://lake/log"}), store, home.metrics)


class Client:
    """Appends answers and events, and keeps its own list of what was acknowledged."""

    def __init__(self, home: Path, seconds: float = 0.2) -> None:
        further = {"fsync": "never", "interval": 0.05, "segment_seconds": seconds, "max_bytes": 1 << 30, "when_full": "refuse"}
        self.writers = {stream: SpoolWriter(folder_of(home, stream), **further) for stream in ("events", "impressions")}
        self.events: set[str] = set()
        self.shown: set[tuple[str, str]] = set()

    def send(self, number: int, event, impression) -> None:
        ts = START + number * 40_000_000
        batch = [event(f"e{number}-{part}", f"u{part}", ts=ts) for part in range(20)]
        self.writers["events"].append(encode(batch))
        self.events |= {one.event_id for one in batch}
        if number % 3 == 0:  # a client that got no answer sends it again
            self.writers["events"].append(encode(batch))
        answer = impression(f"r{number}", f"u{number % 20}", ts=ts)
        self.writers["impressions"].append(encode([answer]))
        self.shown |= {(answer.request_id, item) for item in answer.items}

    def send_until(self, over: threading.Event, event, impression) -> None:
        """Sends on, and ends with its writers closed."""
        number = 0
        while not over.wait(0.01):
            self.send(number, event, impression)
            number += 1
        for writer in self.writers.values():
            writer.close()


def started(home: Path, url: Path) -> subprocess.Popen:
    environment = os.environ | {
        "RANKLOOP_HOME": str(home),
        "RANKLOOP_LOG_URL": str(url),
        "RANKLOOP_CURATOR_PORT": str(free_port()),
    }
    return subprocess.Popen([sys.executable, "-c", HASTY], env=environment, stderr=subprocess.PIPE, text=True)


def curating(process: subprocess.Popen) -> None:
    """Waits until the process curates."""
    assert process.stderr is not None
    while "curating" not in (line := process.stderr.readline()):
        assert line, "the curator ended"
    threading.Thread(target=process.stderr.read, daemon=True).start()  # what it says further must not block it


@pytest.mark.slow
def test_killed_at_any_moment_it_loses_nothing_and_doubles_nothing(home, tmp_path, event, impression) -> None:
    chance, url = random.Random(20260301), tmp_path / "lake" / "log"
    client, over = Client(home.folder), threading.Event()
    sender = threading.Thread(target=client.send_until, args=(over, event, impression))
    sender.start()
    try:
        for _ in range(7):
            process = started(home.folder, url)
            curating(process)
            time.sleep(chance.uniform(0.0, 1.5))
            process.kill()
            process.wait(30)
    finally:
        over.set()
        sender.join(60)
    process = started(home.folder, url)
    try:
        eventually(lambda: not list((home.folder / "spool").rglob("*.spool")), "the sweep of every segment")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        process.stderr.close()
    shown, done = read_log(str(url))
    raw = pl.concat([pl.read_parquet(file, columns=["event_id"]) for file in url.glob("outcomes/*/*/*.parquet")])
    assert set(raw["event_id"]) == client.events
    assert done.height == len(client.events)
    assert shown.height == len(client.shown)
    assert set(shown.select("request_id", "item_id").rows()) == client.shown
    assert not list((home.folder / "log").rglob("*.parquet"))
    store = open_store(Settings(home=home.folder))
    counted = sum(state.counts["click"] for number in range(20) if (state := store.user(f"u{number}")))
    store.close()
    assert counted == len(client.events)
