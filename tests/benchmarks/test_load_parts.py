"""Small parts of the load benchmarks."""

import mmap
import os
import signal
from pathlib import Path

import msgspec
import numpy as np
import pytest
import redis

from benchmarks.load.bundle import FULL, QUICK, Made
from benchmarks.load.compared import full_per_s
from benchmarks.load.memory import Memory
from benchmarks.load.missing import RANKING, STATE, degraded
from benchmarks.load.people import batches
from benchmarks.load.plot import bars, drawn, seconds_of
from benchmarks.load.redis_server import RedisServer
from benchmarks.load.timing import Sent
from rankloop.bundle import Manifest
from services.events.wire import Batch
from services.ranking import fallbacks


def rows(seconds: list[float], status: list[int], mark: list[int]) -> Sent:
    """One request a moment, each answered a quarter of a second later."""
    at = np.array(seconds)
    return Sent(at, at, at + 0.25, np.array(status), np.array(mark), np.arange(len(at)))


@pytest.mark.parametrize(
    ("body", "mark"),
    [
        (b'{"items":[],"fallback":null}', 0),
        (b'{"fallback": null}', 0),
        (f'{{"fallback":"{fallbacks.NO_MATCH}; {fallbacks.STATE_DOWN}"}}'.encode(), STATE),
        (f'{{"fallback":"{fallbacks.STATE_DOWN}; {fallbacks.NO_TIME_TO_RANK}"}}'.encode(), STATE + RANKING),
        (f'{{"fallback":"{fallbacks.UNKNOWN_USER}"}}'.encode(), 0),
    ],
)
def test_an_answer_says_what_was_left_out_for_want_of_time_or_because_it_is_down(body: bytes, mark: int) -> None:
    assert degraded(body) == mark


def test_only_whole_answers_count_as_throughput() -> None:
    assert full_per_s(rows([0.0, 0.25, 0.5, 0.75], [200, 200, 200, 503], [0, 1, 0, 0])) == pytest.approx(2 / 0.75)


def test_memory_of_a_process_is_counted_as_the_kernel_counts_it() -> None:
    before = Memory.of(os.getpid())
    taken = mmap.mmap(-1, 200_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    taken[::4096] = b"x" * len(range(0, 200_000_000, 4096))
    after = Memory.of(os.getpid())
    assert before.own <= before.proportional <= before.resident
    assert after.own - before.own > 190


def test_batches_are_what_a_collector_takes_and_number_their_events(tmp_path: Path) -> None:
    manifest = Manifest(1, "r", "", "", (), (), "", (), 1, {}, {}, {})
    release = Made(tmp_path, manifest, {}, [{"user_id": "u1", "k": 20}], [], ["i1", "i2"])
    bodies = [request.partition(b"\r\n\r\n")[2] for request in batches(release, 3, 4, first=100)]
    read = [msgspec.json.decode(body, type=Batch).events for body in bodies]
    assert [event.value for batch in read for event in batch] == list(range(100, 112))
    assert len({event.event_id for batch in read for event in batch}) == 12


def test_a_redis_server_that_was_killed_and_started_again_knows_what_it_knew(tmp_path: Path) -> None:
    with RedisServer(tmp_path, fsync="always") as server:
        client, before = redis.Redis(port=server.port), server.pid
        client.set("a", "b")
        os.kill(before, signal.SIGKILL)
        server.kill()
        server.start()
        assert server.pid != before
        assert redis.Redis(port=server.port).get("a") == b"b"


def test_a_plot_stands_alone_and_is_the_same_every_time() -> None:
    def draw() -> str:
        sent = rows([10.0, 10.5, 11.5], [200, 503, 200], [0, 0, 0])
        return drawn(
            "Title",
            [
                lambda axes: bars(axes, "left", {"ours": 1.0, "theirs": 2.0}, ours=["ours"], unit="ms"),
                lambda axes: seconds_of(axes, "right", sent, 10.0, marks={"kill": 1.0}, limit_ms=50),
            ],
        )

    text = draw()
    assert text.startswith("<?xml")
    assert text == draw()


def test_the_full_release_is_the_one_the_bars_name() -> None:
    assert (FULL.items, FULL.depth, FULL.trees, FULL.leaves) == (100_000, 500, 300, 31)
    assert QUICK.items < FULL.items
