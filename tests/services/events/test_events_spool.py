"""The spool keeps what it acknowledged, and says no when it cannot."""

import asyncio
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.errors import SpoolError, SpoolFull
from services.events.segments import LOCK, framed, frames, segment_name, stream_bytes
from services.events.spool import Position, SpoolReader, SpoolWriter

START = Position(0, 0)
MIB = 1 << 20


class Wall:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = 7 * 3600.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., SpoolWriter]]:
    writers = []

    def open_(**given: Any) -> SpoolWriter:
        usual = {"fsync": "never", "max_bytes": 64 * MIB, "when_full": "refuse", "interval": 3600.0}
        writers.append(SpoolWriter(tmp_path / "events", **{**usual, **given}))
        return writers[-1]

    yield open_
    for writer in writers:
        writer.close()


def everything(folder: Path, **given: Any) -> list[bytes]:
    reader = SpoolReader(folder)
    return [frame for writer in reader.writers() for _, frame in reader.read(writer, START, **given)]


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
def test_frames_are_read_in_the_order_they_were_appended(opened: Callable[..., SpoolWriter], tmp_path: Path, fsync: str) -> None:
    writer = opened(fsync=fsync)
    written = [os.urandom(n + 1) for n in range(50)]
    for frame in written:
        writer.append(frame)
    assert everything(tmp_path / "events") == written


def test_reading_goes_on_from_a_position(opened: Callable[..., SpoolWriter], tmp_path: Path) -> None:
    writer, reader = opened(segment_bytes=40), SpoolReader(tmp_path / "events")
    for n in range(20):
        writer.append(b"frame %d" % n)
    at, seen = START, []
    while found := list(reader.read(writer.name, at, limit_bytes=1)):
        assert len(found) == 1
        at, frame = found[0]
        seen.append(frame)
    assert seen == [b"frame %d" % n for n in range(20)]
    writer.append(b"one more")
    assert [frame for _, frame in reader.read(writer.name, at)] == [b"one more"]


def test_a_frame_larger_than_what_is_read_at_once_is_read(opened: Callable[..., SpoolWriter], tmp_path: Path) -> None:
    large = os.urandom(3 * MIB)
    writer = opened()
    writer.append(large)
    writer.append(b"small")
    assert everything(tmp_path / "events") == [large, b"small"]
    assert everything(tmp_path / "events", limit_bytes=1) == [large]


def test_an_empty_frame_is_refused_because_zeros_would_read_as_one(opened: Callable[..., SpoolWriter]) -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        opened().append(b"")
    assert list(frames(bytes(4096))) == []


def test_every_writer_has_a_folder_of_its_own(opened: Callable[..., SpoolWriter], tmp_path: Path) -> None:
    writers = [opened(), opened()]
    for writer in writers:
        writer.append(writer.name.encode())
    reader = SpoolReader(tmp_path / "events")
    assert reader.writers() == sorted(writer.name for writer in writers)
    assert {frame.decode() for frame in everything(tmp_path / "events")} == set(reader.writers())


def test_a_stream_that_nobody_wrote_is_empty(tmp_path: Path) -> None:
    reader = SpoolReader(tmp_path / "nothing")
    assert (reader.writers(), reader.segments("x"), list(reader.read("x", START))) == ([], [], [])


# segments


def test_a_segment_is_sealed_when_it_has_its_size(opened: Callable[..., SpoolWriter], tmp_path: Path) -> None:
    writer, reader = opened(segment_bytes=100), SpoolReader(tmp_path / "events")
    for _ in range(5):
        writer.append(bytes(42))  # 50 bytes with its head: two fill a segment
    assert reader.segments(writer.name) == [1, 2, 3]
    assert reader.sealed(writer.name) == [1, 2]
    assert reader.path(writer.name, 1).stat().st_size == 100
    writer.close()
    assert reader.sealed(writer.name) == [1, 2, 3]


def test_a_segment_is_sealed_when_it_has_its_age(opened: Callable[..., SpoolWriter], tmp_path: Path) -> None:
    wall = Wall()
    writer, reader = opened(segment_seconds=300, clock=wall), SpoolReader(tmp_path / "events")
    writer.append(b"first")
    wall.now += 299
    writer.append(b"still")
    assert reader.sealed(writer.name) == []
    wall.now += 1
    writer.append(b"next")
    assert reader.sealed(writer.name) == [1]


def test_no_segment_holds_frames_of_two_hours(opened: Callable[..., SpoolWriter], tmp_path: Path) -> None:
    wall = Wall(8 * 3600 - 1.0)
    writer, reader = opened(clock=wall), SpoolReader(tmp_path / "events")
    writer.append(b"before eight")
    wall.now += 1
    writer.append(b"at eight")
    assert [reader.path(writer.name, n).stat().st_size for n in (1, 2)] == [8 + 12, 8 + 8]


def test_an_idle_writer_seals_what_is_old_and_keeps_what_is_empty(opened: Callable[..., SpoolWriter], tmp_path: Path) -> None:
    wall = Wall()
    writer, reader = opened(clock=wall, interval=0.01), SpoolReader(tmp_path / "events")
    writer.append(b"the last for long")
    wall.now += 3600
    until(lambda: reader.sealed(writer.name) == [1])
    wall.now += 3600
    writer.append(b"the next")
    assert reader.segments(writer.name) == [1, 2]


def test_an_interval_later_the_disk_has_every_frame(opened: Callable[..., SpoolWriter], monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(os.fstat(fd).st_size))
    opened(fsync="interval", interval=0.01).append(b"acts")
    until(lambda: synced == [12])


# what a crash leaves


CHILD = """
import sys
from pathlib import Path
from services.events.spool import SpoolWriter
writer = SpoolWriter(Path(sys.argv[1]), fsync=sys.argv[2], max_bytes=1 << 30, when_full="refuse", segment_bytes=4096)
n = 0
while True:
    writer.append(b"frame %d" % n)
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
    n += 1
"""


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
def test_every_acknowledged_frame_survives_the_death_of_its_process(tmp_path: Path, root: Path, fsync: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path), fsync], cwd=root, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = [int(next(child.stdout)) for _ in range(500)]
    os.kill(child.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in child.stdout if line.endswith("\n")]
    child.wait()
    read = everything(tmp_path)
    assert read == [b"frame %d" % n for n in range(len(read))]
    assert len(read) > acknowledged[-1]
    (writer,) = SpoolReader(tmp_path).writers()
    assert SpoolReader(tmp_path).sealed(writer) == SpoolReader(tmp_path).segments(writer)


def segment_of(folder: Path, data: bytes) -> Path:
    """What a dead writer left."""
    file = folder / "dead" / segment_name(1)
    file.parent.mkdir(parents=True)
    (file.parent / LOCK).touch()
    file.write_bytes(data)
    return file


def test_a_torn_tail_ends_a_segment_and_reading_goes_on_in_the_next(tmp_path: Path) -> None:
    torn = segment_of(tmp_path, framed(b"one") + framed(b"two")[:-1])
    torn.with_name(segment_name(2)).write_bytes(framed(b"three"))
    assert everything(tmp_path) == [b"one", b"three"]


def test_a_torn_tail_of_a_living_writer_is_waited_for(opened: Callable[..., SpoolWriter], tmp_path: Path) -> None:
    writer, reader = opened(), SpoolReader(tmp_path / "events")
    writer.append(b"one")
    file = reader.path(writer.name, 1)
    whole = file.read_bytes() + framed(b"two")
    file.write_bytes(whole[:-1])
    (at, _), *rest = reader.read(writer.name, START)
    assert rest == []
    file.write_bytes(whole)
    assert [frame for _, frame in reader.read(writer.name, at)] == [b"two"]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.data())
def test_any_prefix_of_a_segment_holds_a_prefix_of_its_frames(payloads: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(map(framed, payloads))
    cut = data.draw(st.integers(0, len(whole)))
    read = [payload for _, payload in frames(whole[:cut])]
    assert read == payloads[: len(read)]
    assert sum(8 + len(payload) for payload in payloads[: len(read) + 1]) > cut or read == payloads


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8), st.data())
def test_a_flipped_bit_costs_its_frame_and_what_follows(payloads: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(b"".join(map(framed, payloads)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    ends = [sum(8 + len(payload) for payload in payloads[: n + 1]) for n in range(len(payloads))]
    intact = sum(end <= at for end in ends)
    assert [payload for _, payload in frames(bytes(whole))] == payloads[:intact]


def test_a_damaged_frame_is_told_in_the_log_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = bytearray(framed(b"one") + framed(b"two"))
    data[-1] ^= 1
    segment_of(tmp_path, bytes(data))
    reader = SpoolReader(tmp_path)
    for _ in range(2):
        assert [frame for _, frame in reader.read("dead", START)] == [b"one"]
    assert caplog.text.count("the last 11 bytes are torn or damaged") == 1


def test_a_segment_that_is_gone_is_passed_over(opened: Callable[..., SpoolWriter], tmp_path: Path) -> None:
    writer, reader = opened(segment_bytes=10), SpoolReader(tmp_path / "events")
    for n in range(4):
        writer.append(b"frame %d" % n)
    reader.path(writer.name, 2).unlink()
    assert everything(tmp_path / "events") == [b"frame 0", b"frame 2", b"frame 3"]
    assert [frame for _, frame in reader.read(writer.name, Position(2, 15))] == [b"frame 2", b"frame 3"]


# many at once


def test_appends_that_wait_together_share_an_fsync(
    opened: Callable[..., SpoolWriter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, go, synced, sync = threading.Event(), threading.Event(), [], os.fdatasync

    def slow(fd: int) -> None:
        synced.append(fd)
        first.set()
        assert go.wait(30)
        sync(fd)

    monkeypatch.setattr(os, "fdatasync", slow)
    writer = opened(fsync="always")
    threads = [threading.Thread(target=writer.append, args=(b"frame %d" % n,)) for n in range(8)]
    threads[0].start()
    assert first.wait(30)
    for thread in threads[1:]:
        thread.start()
    until(lambda: writer.stream_bytes == 8 * (8 + len(b"frame 0")))
    go.set()
    for thread in threads:
        thread.join()
    assert len(synced) == 2
    assert sorted(everything(tmp_path / "events")) == [b"frame %d" % n for n in range(8)]


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
def test_frames_of_many_threads_are_whole_across_segments(opened: Callable[..., SpoolWriter], tmp_path: Path, fsync: str) -> None:
    writer = opened(fsync=fsync, segment_bytes=1000, interval=0.01)
    written = {n: [os.urandom(100) for _ in range(30)] for n in range(6)}
    threads = [threading.Thread(target=lambda own=own: list(map(writer.append, own))) for own in written.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = everything(tmp_path / "events")
    assert len(read) == 180
    for own in written.values():
        assert [frame for frame in read if frame in own] == own


def test_an_event_loop_goes_on_while_the_disk_works(
    opened: Callable[..., SpoolWriter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, sync = threading.Event(), os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: go.wait(30) and sync(fd))
    writer = opened(fsync="always")

    async def both() -> None:
        appending = asyncio.gather(*(writer.append_durably(b"frame") for _ in range(5)))
        await asyncio.sleep(0)
        assert not appending.done()
        go.set()
        await appending

    asyncio.run(both())
    assert everything(tmp_path / "events") == [b"frame"] * 5


def test_a_closed_writer_keeps_nothing_and_says_so(opened: Callable[..., SpoolWriter]) -> None:
    writer = opened()
    writer.close()
    writer.close()
    with pytest.raises(SpoolError, match="is closed"):
        writer.append(b"late")
    with pytest.raises(SpoolError, match="is closed"):
        asyncio.run(writer.append_durably(b"late"))


def test_a_failed_fsync_acknowledges_nothing_and_the_next_segment_works(
    opened: Callable[..., SpoolWriter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, sync = opened(fsync="always"), os.fdatasync
    writer.append(b"kept")

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    with pytest.raises(SpoolError, match="could not be handed to the disk"):
        writer.append(b"perhaps")
    monkeypatch.setattr(os, "fdatasync", sync)
    writer.append(b"kept too")
    assert SpoolReader(tmp_path / "events").segments(writer.name) == [1, 2]
    assert {b"kept", b"kept too"} <= set(everything(tmp_path / "events"))


# no room


def test_where_the_disk_fails_between_appends_the_next_goes_into_another_segment(
    opened: Callable[..., SpoolWriter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    writer, reader = opened(fsync="interval", interval=0.01), SpoolReader(tmp_path / "events")
    writer.append(b"perhaps")
    until(lambda: len(reader.segments(writer.name)) == 2)
    writer.append(b"too")
    assert everything(tmp_path / "events") == [b"perhaps", b"too"]


def test_the_room_is_what_the_limit_leaves_or_the_disk(
    opened: Callable[..., SpoolWriter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = opened(max_bytes=400)
    writer.append(bytes(42))
    assert writer.room_bytes == 350
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    assert writer.room_bytes == 100
    monkeypatch.undo()
    shutil.rmtree(tmp_path / "events")
    assert writer.room_bytes == 0


def test_a_full_spool_refuses_and_takes_again_when_there_is_room(opened: Callable[..., SpoolWriter], tmp_path: Path) -> None:
    writer, reader = opened(max_bytes=400), SpoolReader(tmp_path / "events")
    for _ in range(8):
        writer.append(bytes(42))
    with pytest.raises(SpoolFull, match="holds 400 bytes of at most 400"):
        writer.append(b"x")
    assert len(everything(tmp_path / "events")) == 8
    reader.path(writer.name, 1).unlink()
    writer.append(b"x")
    assert everything(tmp_path / "events")[-1] == b"x"


def test_a_full_spool_counts_every_writer(opened: Callable[..., SpoolWriter]) -> None:
    ours, theirs = opened(max_bytes=400, interval=0.01), opened(max_bytes=400)
    theirs.append(bytes(300))
    until(lambda: ours.stream_bytes == 308)
    with pytest.raises(SpoolFull):
        ours.append(bytes(100))


def test_a_full_spool_sheds_its_oldest_sealed_segments(opened: Callable[..., SpoolWriter], tmp_path: Path) -> None:
    shed: list[int] = []
    writer = opened(max_bytes=400, when_full="shed", on_shed=shed.append)
    for n in range(20):
        writer.append(b"%042d" % n)
    kept = [int(frame) for frame in everything(tmp_path / "events")]
    assert kept == list(range(kept[0], 20))
    assert sum(shed) == 50 * kept[0]
    assert stream_bytes(tmp_path / "events") == writer.stream_bytes <= 400


def test_the_newest_segment_of_another_living_writer_is_never_shed(opened: Callable[..., SpoolWriter], tmp_path: Path) -> None:
    theirs, ours = opened(max_bytes=400), opened(max_bytes=400, when_full="shed")
    theirs.append(b"theirs")
    for _ in range(20):
        ours.append(bytes(42))
    assert b"theirs" in everything(tmp_path / "events")


def test_a_frame_that_can_never_fit_is_refused_by_either_policy(opened: Callable[..., SpoolWriter]) -> None:
    for policy in ("refuse", "shed"):
        with pytest.raises(SpoolFull):
            opened(max_bytes=400, when_full=policy).append(bytes(400))


def test_a_frame_that_the_disk_takes_in_part_is_cut_off(
    opened: Callable[..., SpoolWriter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, write = opened(), os.write
    writer.append(b"one")

    def short(fd: int, data: bytes) -> int:
        if len(data) < 11:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data[:5])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(SpoolFull, match="the disk is full"):
        writer.append(b"two")
    monkeypatch.setattr(os, "write", write)
    writer.append(b"three")
    assert everything(tmp_path / "events") == [b"one", b"three"]
    assert SpoolReader(tmp_path / "events").segments(writer.name) == [1]


def test_a_tail_that_cannot_be_cut_off_ends_its_segment(
    opened: Callable[..., SpoolWriter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(fd: int, data: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    writer = opened()
    writer.append(b"one")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", broken)
        patch.setattr(os, "ftruncate", broken)
        with pytest.raises(SpoolError, match="cannot be written: Input/output error"):
            writer.append(b"two")
    writer.append(b"three")
    assert SpoolReader(tmp_path / "events").segments(writer.name) == [1, 2]
    assert everything(tmp_path / "events") == [b"one", b"three"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"this user may not mount: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_on_a_full_disk_what_was_acknowledged_is_read_and_the_rest_refused(small_disk: Path) -> None:
    writer = SpoolWriter(small_disk / "events", fsync="always", max_bytes=MIB, when_full="refuse")
    written = [bytes([n + 1]) * 10_000 for n in range(40)]
    acknowledged: list[bytes] = []

    def append_all() -> None:
        for frame in written:
            writer.append(frame)
            acknowledged.append(frame)

    with pytest.raises(SpoolFull, match="the disk is full"):
        append_all()
    assert 10 < len(acknowledged) < 40
    assert everything(small_disk / "events") == acknowledged
    writer.close()


def test_on_a_full_disk_the_oldest_are_shed(small_disk: Path) -> None:
    shed: list[int] = []
    writer = SpoolWriter(
        small_disk / "events", fsync="always", max_bytes=MIB, segment_bytes=40_000, when_full="shed", on_shed=shed.append
    )
    for n in range(60):
        writer.append(bytes([n + 1]) * 10_000)
    kept = [frame[0] - 1 for frame in everything(small_disk / "events")]
    assert shed
    assert kept == list(range(kept[0], 60))
    writer.close()
