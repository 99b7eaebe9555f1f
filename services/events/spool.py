"""The spool: records survive the death of their process, by a stated policy, and wait on disk for the curator.

A writer always begins a new folder, so that nobody ever truncates a file that another process wrote.
"""

import asyncio
import errno
import fcntl
import logging
import os
import re
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from rankloop.errors import SpoolError, SpoolFull
from services.events.segments import LOCK, Position, SpoolReader, framed, oldest_sealed, segment_name, stream_bytes

__all__ = ["Fsync", "Position", "SpoolReader", "SpoolWriter", "WhenFull"]

log = logging.getLogger(__name__)

Fsync = Literal["always", "interval", "never"]
WhenFull = Literal["refuse", "shed"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_HOUR: Final = 3600
_THREADS: Final = 16


class SpoolWriter:
    """Appends frames to segments of its own; one for each process and stream, safe to share between threads.

    A segment is sealed when it has its size, when it has its age, and at the turn of the hour (UTC), so that no segment
    holds frames of two hours; an empty one is kept. Appends that wait at the same time share one fsync.

    Args:
        folder: the stream's.
        fsync: `always`: an append returns when its frame is on the disk; `interval`: the disk has it `interval` later,
            so a crash of the machine may take that much; `never`: the kernel decides. A frame survives the death of
            this process in each of them.
        interval: seconds between two rounds of the thread that fsyncs and seals.
        segment_bytes: size of a segment; at most a quarter of `max_bytes`.
        segment_seconds: age of a segment.
        max_bytes: for all segments of the stream, other writers' too.
        when_full: `refuse`: an append raises; `shed`: the oldest sealed segments of the stream are deleted.
        on_shed: told the bytes of each segment that is deleted.
        clock: Unix time, seconds.

    Raises:
        SpoolError: the folder cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fsync: Fsync,
        interval: float = 1.0,
        segment_bytes: int = 64 << 20,
        segment_seconds: float = 300.0,
        max_bytes: int,
        when_full: WhenFull,
        on_shed: Callable[[int], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = f"{re.sub(r'[^A-Za-z0-9.]', '-', socket.gethostname())}-{os.getpid()}-{secrets.token_hex(4)}"
        self._folder, self._fsync, self._clock = folder, fsync, clock
        self._segment_bytes, self._segment_seconds = min(segment_bytes, max_bytes // 4), segment_seconds
        self._max_bytes, self._when_full, self._on_shed = max_bytes, when_full, on_shed or (lambda _: None)
        self._appending, self._syncing = threading.Lock(), threading.Lock()
        self._retired: list[_Segment] = []
        self._closing = threading.Event()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="spool-append")
        try:
            self._lock = _writers_folder(folder, self.name)
            self._segment = self._opened(1)
        except OSError as error:
            raise SpoolError(f"no spool can be made in {folder}: {error.strerror}; free space or give another folder") from error
        self._used = stream_bytes(folder)
        self._keeper = threading.Thread(target=self._keep, args=(interval,), name="spool-keeper", daemon=True)
        self._keeper.start()

    @property
    def stream_bytes(self) -> int:
        """Bytes of the stream, other writers' as of an `interval` ago at most."""
        return self._used

    @property
    def room_bytes(self) -> int:
        """Bytes that the stream may still take: what its limit leaves, or the disk where that is less; 0: its folder is gone."""
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError:
            return 0
        return max(min(self._max_bytes - self._used, free), 0)

    def append(self, frame: bytes) -> None:
        """Keeps a frame; returns when it is durable by the policy.

        Raises:
            SpoolFull: there is no room, and the policy is to refuse or there is nothing to shed.
            SpoolError: the disk failed, or the writer is closed; the frame may be read back or not.
        """
        with self._appending:
            segment, end = self._written(framed(frame))
        if self._fsync == "always":
            self._sync(segment, end)

    async def append_durably(self, frame: bytes) -> None:
        """The same for an event loop: a thread waits for the disk, the loop does not."""
        try:
            appended = asyncio.get_running_loop().run_in_executor(self._threads, self.append, frame)
        except RuntimeError as error:  # what a closed pool raises
            raise self._closed() from error
        await appended

    def close(self) -> None:
        """Lets appends finish, hands everything to the disk and seals it; safe to call twice."""
        self._threads.shutdown(wait=True)
        if self._closing.is_set():
            return
        self._closing.set()
        self._keeper.join()
        with self._syncing, self._appending:
            for segment in (*self._retired, self._segment):
                segment.close(sync=self._fsync != "never")
            self._retired = []
        os.close(self._lock)

    def _written(self, data: bytes) -> tuple["_Segment", int]:
        if self._closing.is_set():
            raise self._closed()
        while True:
            try:
                self._make_room(len(data))
                if self._segment.broken or self._due(len(data)):
                    self._rotate()
                self._segment.write(data)
            except OSError as error:
                if error.errno not in _FULL:
                    raise SpoolError(f"{self._segment.path} cannot be written: {error.strerror}; look at the disk") from error
                self._shed_or_refuse(len(data), "the disk is full")
            else:
                self._used += len(data)
                return self._segment, self._segment.size

    def _sync(self, segment: "_Segment", end: int) -> None:
        """Returns when the disk has the segment up to `end`; who waits meanwhile finds it done by the one before."""
        with self._syncing:
            with self._appending:
                retired, self._retired = self._retired, []
            for one in retired:
                one.close(sync=True)
            if segment.synced < end:
                segment.sync()
        if segment.synced < end:
            raise SpoolError(f"{segment.path} could not be handed to the disk; the frame may be lost: send it again")

    def _due(self, needed: int) -> bool:
        segment, now = self._segment, self._clock()
        if not segment.size:
            segment.opened = now
            return False
        return (
            segment.size + needed > self._segment_bytes
            or now - segment.opened >= self._segment_seconds
            or now // _HOUR != segment.opened // _HOUR
        )

    def _rotate(self) -> None:
        following = self._opened(self._segment.number + 1)
        self._retired.append(self._segment)
        self._segment = following
        if self._fsync == "never":
            self._retired.pop().close(sync=False)

    def _opened(self, number: int) -> "_Segment":
        segment = _Segment(self._folder / self.name, number, self._clock())
        if self._fsync != "never":
            _sync_folder(self._folder / self.name)
        return segment

    def _make_room(self, needed: int) -> None:
        if self._used + needed > self._max_bytes:
            self._used = stream_bytes(self._folder)
        while self._used + needed > self._max_bytes:
            self._shed_or_refuse(needed, f"it holds {self._used} bytes of at most {self._max_bytes}")

    def _shed_or_refuse(self, needed: int, why: str) -> None:
        """Deletes the oldest sealed segment of the stream, or raises."""
        oldest = oldest_sealed(self._folder) if self._when_full == "shed" else None
        if oldest is None and self._when_full == "shed" and self._segment.size:
            with suppress(OSError):
                self._rotate()
            oldest = oldest_sealed(self._folder)
        if oldest is None:
            raise SpoolFull(f"the spool {self._folder} has no room for {needed} bytes: {why}; let the curator run, or free space")
        path, size = oldest
        path.unlink(missing_ok=True)
        self._used -= size
        self._on_shed(size)
        log.warning("the spool %s is full (%s): deleted %s with %d bytes", self._folder, why, path, size)

    def _closed(self) -> SpoolError:
        return SpoolError(f"the spool {self._folder / self.name} is closed; open another writer")

    def _keep(self, interval: float) -> None:
        while not self._closing.wait(interval):
            try:
                self._used = stream_bytes(self._folder)
                with self._appending:
                    if self._segment.broken or self._due(0):
                        self._rotate()
                    segment, end = self._segment, self._segment.size
                if self._fsync == "interval" or self._retired:
                    self._sync(segment, end)
            except (OSError, SpoolError):
                log.exception("the spool %s could not be kept", self._folder / self.name)


class _Segment:
    """One file while it is written: `size` bytes are whole frames, and the disk has `synced` of them."""

    def __init__(self, folder: Path, number: int, opened: float) -> None:
        self.path, self.number, self.opened = folder / segment_name(number), number, opened
        self.size = self.synced = 0
        self.broken = self.failed = False
        self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> None:
        """Writes all of it or, by cutting it off, nothing."""
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self.fd, left) :]
        except OSError:
            try:
                os.ftruncate(self.fd, self.size)
            except OSError:
                self.broken = True
            raise
        self.size += len(data)

    def sync(self) -> None:
        """Hands what was written to the disk; where that fails `synced` stays, for ever.

        After a failed fsync the kernel may have dropped the bytes, and the next one would succeed without them.
        """
        size = self.size
        if self.failed or self.synced == size:
            return
        try:
            os.fdatasync(self.fd)
        except OSError as error:
            self.failed = self.broken = True
            log.error("%s: fsync failed: %s", self.path, error.strerror)
        else:
            self.synced = size

    def close(self, *, sync: bool) -> None:
        """Closes the file."""
        if sync:
            self.sync()
        os.close(self.fd)


def _writers_folder(stream: Path, name: str) -> int:
    """Makes a writer's folder and gives its lock, held: nobody ever sees the folder without."""
    aside = stream / f".{name}"
    aside.mkdir(parents=True, mode=0o700)
    lock = os.open(aside / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    aside.rename(stream / name)
    _sync_folder(stream)
    return lock


def _sync_folder(folder: Path) -> None:
    """Makes names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
