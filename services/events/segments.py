"""The files of a spool: how frames lie in a segment, and how they are read while others write.

A frame is its length and the CRC-32 of its payload, both little-endian u32, then the payload. A stream's folder has a
folder for each writer, with numbered segments and a `lock` that is held while the writer lives. Segments only grow, and
only their writer touches them; the stream's oldest ones are deleted, never changed.
"""

import fcntl
import logging
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["LOCK", "Position", "SpoolReader", "framed", "frames", "oldest_sealed", "segment_name", "stream_bytes"]

log = logging.getLogger(__name__)

LOCK: Final = "lock"
"""The file within a writer's folder that is flocked while the writer lives."""

_SUFFIX: Final = "spool"
_HEAD: Final = struct.Struct("<II")
_CHUNK: Final = 1 << 20


class Position(NamedTuple):
    """Where the next frame of a writer begins; (0, 0) is the beginning.

    Attributes:
        segment: the segment's number.
        offset: bytes from the segment's beginning.
    """

    segment: int
    offset: int


def framed(payload: bytes) -> bytes:
    """A payload as it lies in a segment.

    Raises:
        ValueError: the payload is empty: a run of zeros, which a crash may leave behind, would read as such frames.

    Example:
        >>> framed(b"acts").hex(" ", 4)
        '04000000 77a6106a 61637473'
    """
    if not payload:
        raise ValueError("the payload is empty; a frame holds at least one byte: leave it out")
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The whole frames at the beginning of `data`, each with the offset behind it.

    It ends, without an error, at the first frame that is torn or damaged.

    Example:
        >>> list(frames(framed(b"one") + framed(b"two")[:-1]))
        [(11, b'one')]
    """
    at = 0
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        begins, ends = at + _HEAD.size, at + _HEAD.size + length
        if not length or ends > len(data) or zlib.crc32(payload := data[begins:ends]) != checksum:
            return
        yield ends, payload
        at = ends


def segment_name(number: int) -> str:
    """The file name of a writer's segment."""
    return f"{number:08d}.{_SUFFIX}"


def stream_bytes(folder: Path) -> int:
    """Bytes in all segments of a stream, of the living and the dead."""
    reader = SpoolReader(folder)
    return sum(_size(reader.path(writer, number)) for writer in reader.writers() for number in reader.segments(writer))


def oldest_sealed(folder: Path) -> tuple[Path, int] | None:
    """The sealed segment of a stream that was written to least recently, and its bytes."""
    reader, found = SpoolReader(folder), []
    for path in (reader.path(writer, number) for writer in reader.writers() for number in reader.sealed(writer)):
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime_ns, path, path.stat().st_size))
    return min(found)[1:] if found else None


class SpoolReader:
    """Reads a stream's frames, each writer's in the order they were appended, while writers append.

    A torn or damaged tail of a segment that still grows may be a frame that is being written: reading stops there and
    goes on at the next call. In a sealed segment it ends the segment.

    Args:
        folder: the stream's, such as `spool/events` under the home folder; it need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._told = folder, set[Path]()

    def writers(self) -> list[str]:
        """The names of all writers, the living and the dead, in order."""
        if not self._folder.is_dir():
            return []
        return sorted(entry.name for entry in os.scandir(self._folder) if entry.is_dir() and not entry.name.startswith("."))

    def segments(self, writer: str) -> list[int]:
        """The numbers of a writer's segments, oldest first."""
        try:
            names = [entry.name.partition(".") for entry in os.scandir(self._folder / writer)]
        except FileNotFoundError:
            return []
        return sorted(int(stem) for stem, _, suffix in names if suffix == _SUFFIX and stem.isdigit())

    def sealed(self, writer: str) -> list[int]:
        """Those that will never grow: all but the newest, and the newest too when the writer is dead."""
        dead = self.is_dead(writer)  # asked first: a writer that dies in between has at most one segment too few here
        numbers = self.segments(writer)
        return numbers if dead else numbers[:-1]

    def path(self, writer: str, segment: int) -> Path:
        """The file of a segment."""
        return self._folder / writer / segment_name(segment)

    def read(self, writer: str, after: Position, *, limit_bytes: int = 4 << 20) -> Iterator[tuple[Position, bytes]]:
        """Frames from `after` on, each with the position behind it; goes on in the next segment where one ends.

        A segment that was deleted is passed over.

        Args:
            writer: its name.
            after: the position behind the last frame that was read.
            limit_bytes: stops with the frame that reaches it.
        """
        left = limit_bytes
        while left > 0:
            sealed = self.sealed(writer)  # before the bytes: what is sealed now has all its bytes
            number = next((one for one in self.segments(writer) if one >= after.segment), None)
            if number is None:
                return
            if number != after.segment:
                after = Position(number, 0)
            for offset, payload in self._frames(writer, after, left):
                after = Position(number, offset)
                left -= len(payload)
                yield after, payload
                if left <= 0:
                    return
            if number not in sealed:
                return
            self._tell_what_is_lost(writer, after)
            after = Position(number + 1, 0)

    def _frames(self, writer: str, after: Position, limit: int) -> Iterator[tuple[int, bytes]]:
        """Frames of one segment; reads little more than asked for, or one frame where that is larger."""
        try:
            file = self.path(writer, after.segment).open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(after.offset)
            wanted, data, begins = min(limit + _HEAD.size, _CHUNK), b"", after.offset
            while more := file.read(wanted):
                data += more
                ends = 0
                for ends, payload in frames(data):
                    yield begins + ends, payload
                begins, data = begins + ends, data[ends:]
                if (missing := _missing(data)) <= 0:
                    return
                wanted = max(missing, min(limit + _HEAD.size, _CHUNK))

    def is_dead(self, writer: str) -> bool:
        try:
            lock = os.open(self._folder / writer / LOCK, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(lock)

    def _tell_what_is_lost(self, writer: str, after: Position) -> None:
        path = self.path(writer, after.segment)
        if (lost := _size(path) - after.offset) > 0 and path not in self._told:
            self._told.add(path)
            log.warning("%s: the last %d bytes are torn or damaged and are left out", path, lost)


def _missing(data: bytes) -> int:
    """Bytes that the frame at the beginning of `data`, or its head, lacks; none: it is whole, so it is damaged."""
    length = _HEAD.unpack_from(data)[0] if len(data) >= _HEAD.size else 0
    return _HEAD.size + length - len(data)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
