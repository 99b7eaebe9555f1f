"""The worker asks a real other slot what a real spool says people asked, each request once, and keeps what it learns."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import msgspec
import pytest

from services.edge import Slots
from services.shadow.record import newest, read
from services.shadow.slots import EdgeSlots, Pair
from services.shadow.worker import Worker, in_share


def record_of(worker: Worker):
    file = newest(worker.folder)
    assert file is not None
    return read(file)


def test_every_list_of_the_stable_release_is_compared_once(both) -> None:
    both.log(*both.shown(12))
    record = record_of(both.work())
    assert record.outcomes == {"compared": 12}
    assert (record.stable, record.other) == (both.release("blue"), both.release("green"))
    assert record.people == 8
    assert record.summary["rbo"].requests == 12
    assert 0 < record.summary["overlap@10"].mean < 1
    assert record.summary["rbo, job_search"].requests == 4
    assert sum(record.histograms["rbo"]) == sum(record.histograms["other seconds"]) == 12
    assert 'rankloop_shadow_requests_total{outcome="compared"} 12.0' in both.metrics.text().decode()


def test_the_most_different_lists_are_kept_side_by_side(both) -> None:
    both.log(*both.shown(12))
    record = record_of(both.work())
    alike = [example.rbo for example in record.examples]
    assert len(alike) == 3
    assert alike == sorted(alike)
    shown, other = ([line.item_id for line in side] for side in (record.examples[0].shown, record.examples[0].other))
    assert shown
    assert shown != other
    assert "user_id" not in msgspec.to_builtins(record.examples[0])


def test_a_release_agrees_with_itself(both) -> None:
    renamed = msgspec.structs.replace
    both.log(*(renamed(record, release_id="r-before") for record in both.shown(6)))
    both.fill("green", both.bundles["blue"])

    class Renamed(EdgeSlots):
        async def now(self):
            assert await super().now() is None, "two slots with one release are nothing to compare"
            return Pair("r-before", both.release("blue"), "green")

    worker = Worker(both.settings, Renamed(both.settings), both.metrics)
    record = record_of(both.work(worker))
    assert record.summary["rbo"].mean == pytest.approx(1)
    assert record.summary["score_shift"].mean == pytest.approx(0, abs=1e-4)


def test_a_worker_that_starts_again_goes_on_where_it_was(both) -> None:
    both.log(*both.shown(5))
    both.work()
    both.log(*both.shown(4, start=5))
    record = record_of(both.work())
    assert record.outcomes == {"compared": 9}
    assert record.summary["rbo"].requests == 9
    assert record_of(both.work()).outcomes == {"compared": 9}


def test_a_share_takes_the_same_requests_every_time(both) -> None:
    ids = [f"q{n}" for n in range(20)]
    both.log(*both.shown(20))
    record = record_of(both.work(shadow_share=0.5))
    assert record.outcomes["compared"] == sum(in_share(name, 0.5) for name in ids)
    assert {name for name in ids if in_share(name, 0.3)} <= {name for name in ids if in_share(name, 0.5)}


def test_a_share_is_as_large_as_it_says() -> None:
    assert sum(in_share(f"q{n}", 0.1) for n in range(10_000)) == pytest.approx(1000, abs=120)


def test_what_others_made_is_not_compared(both) -> None:
    one, two, three, four = both.shown(4)
    both.log(
        msgspec.structs.replace(one, release_id=both.release("green")),
        msgspec.structs.replace(two, teams=["r"] * len(two.items)),
        msgspec.structs.replace(three, sources=["given"] * len(three.items)),
        four,
    )
    assert record_of(both.work()).outcomes == {"compared": 1}


def test_old_and_degraded_lists_are_counted_and_not_asked(both) -> None:
    degraded = [msgspec.structs.replace(one, fallback="no time: popular list") for one in both.shown(2)]
    both.log(*both.shown(3, age=120), *degraded, *both.shown(1, start=9))
    assert record_of(both.work()).outcomes == {"old": 3, "degraded": 2, "compared": 1}


def test_without_another_release_the_worker_waits_and_writes_nothing(both) -> None:
    del both.server.slots["green"]
    both.log(*both.shown(3))
    worker = both.work()
    assert newest(worker.folder) is None


def test_a_slot_that_fails_is_counted(both) -> None:
    async def broken(scope, receive, send) -> None:
        if scope["path"] == "/readyz":
            return await ready(scope, receive, send)
        await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    ready = both.server.slots["green"]
    both.server.slots["green"] = broken
    both.log(*both.shown(2))
    assert record_of(both.work()).outcomes == {"failed": 2}


def test_a_list_that_does_not_fit_together_does_not_stop_the_worker(both) -> None:
    one, two, three = both.shown(3)
    both.log(
        msgspec.structs.replace(one, scores=one.scores[:-1]),
        msgspec.structs.replace(two, items=[two.items[0], *two.items[:-1]]),
        three,
    )
    assert record_of(both.work()).outcomes == {"failed": 2, "compared": 1}


def test_other_releases_begin_another_record_and_positions_go_with_them(both) -> None:
    both.log(*both.shown(3))
    both.work()
    both.fill("blue", both.bundles["green"])
    both.fill("green", both.bundles["blue"])
    records = [msgspec.structs.replace(one, release_id=both.release("green")) for one in both.shown(2, start=3)]
    both.log(*records)
    worker = both.work()
    assert len(list(worker.folder.glob("*-vs-*.json"))) == 2
    assert record_of(worker).stable == both.release("green")
    assert record_of(worker).outcomes == {"compared": 2}


def test_the_slots_may_be_swapped(both) -> None:
    Slots(stable="green").write(both.settings.home / "edge" / "slots.json")
    pair = asyncio.run(EdgeSlots(both.settings).now())
    assert pair == (both.release("green"), both.release("blue"), "blue")


def test_a_segment_that_holds_nothing_fresh_is_not_read(both) -> None:
    both.log(*both.shown(3))
    both.writer.close()
    for segment in both.spool.glob("*/*.spool"):
        os.utime(segment, (time.time() - 3600, time.time() - 3600))
    both.writer = both.new_writer()
    both.log(*both.shown(2, start=3))
    assert record_of(both.work()).outcomes == {"compared": 2}


@pytest.mark.slow
def test_the_process_works_tells_and_ends_when_told(both) -> None:
    both.log(*both.shown(5))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "RANKLOOP_HOME": str(both.settings.home),
        "RANKLOOP_SHADOW_SHARE": "1",
        "RANKLOOP_SHADOW_PORT": str(port),
        "RANKLOOP_INNER_PORT": str(both.settings.inner_port),
    }
    process = subprocess.Popen([sys.executable, "-m", "services.shadow"], env=environment)
    try:
        end, text = time.monotonic() + 120, ""
        while 'outcome="compared"} 5.0' not in text and time.monotonic() < end and process.poll() is None:
            time.sleep(0.1)
            try:
                text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
            except httpx.TransportError:
                continue
        assert 'rankloop_shadow_requests_total{outcome="compared"} 5.0' in text
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    file = newest(both.settings.home / "shadow")
    assert file is not None
    assert read(file).outcomes == {"compared": 5}
    assert file.with_suffix(".html").exists()
