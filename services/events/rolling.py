"""Sealed segments of the spool become Parquet files by table and hour, and are deleted when nobody needs them any more."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import polars as pl

from monitoring.metrics import CuratorMetrics
from rankloop.contracts import Columns
from rankloop.erasures import divided
from rankloop.files import settle, write_json
from rankloop.sources.log_layout import MOMENTS, SUFFIX, partition
from services.events.erasure import SPOOL, ErasureBook
from services.events.log_tables import frames_of, user_in
from services.events.records import Record, RejectedRecord, decode
from services.events.segments import LOCK, Position, SpoolReader

__all__ = ["Rolling", "Sealed", "divided_rows", "existing", "records_of"]

log = logging.getLogger(__name__)

_BATCH: Final = 20_000
_SETTLED: Final = 10.0


class Sealed(NamedTuple):
    """A segment that will never grow.

    Attributes:
        stream: impressions or events.
        writer: who wrote it.
        number: the segment's.
    """

    stream: str
    writer: str
    number: int

    @property
    def key(self) -> str:
        """Its name in receipts and markers."""
        return f"{self.stream}/{self.writer}/{self.number}"


Passed = Callable[[Sealed], bool]
"""Whether a reader of the spool has no need of a segment any more."""


class Rolling:
    """Rolls the segments of one home folder.

    A file's name is a function of writer and segment: after a crash the same segment is rolled to the same files. A
    marker says that all files of a segment were written, and which; the segment stays until everybody has passed it.

    Args:
        home: the state folder.
        readers: stream to reader.
        book: who is left out.
        metrics: counts rows.
        stopping: whether to leave the rest to the next step.
    """

    def __init__(
        self,
        home: Path,
        readers: Mapping[str, SpoolReader],
        book: ErasureBook,
        metrics: CuratorMetrics,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._log, self._markers = home / "log", home / "curator" / "rolled"
        self._readers, self._book, self._metrics, self._stopping = readers, book, metrics, stopping
        self._ready: dict[Sealed, float] = {}
        self.busy = threading.Lock()
        """Held while a segment is rolled: who takes it knows that later segments leave out who was erased before."""

    def step(self) -> None:
        """Rolls every sealed segment that was not rolled yet; one that cannot be does not keep the others waiting.

        Raises:
            Exception: the first of those that went wrong.
        """
        waiting = [segment for segment in self._sealed() if not self._marker(segment).is_file()]
        self._tell_lag(waiting)
        failed: list[Exception] = []
        for nth, segment in enumerate(waiting, start=1):
            if self._stopping():
                return
            try:
                with self.busy:
                    self._roll(segment)
            except Exception as error:
                log.exception("%s could not be rolled", segment.key)
                failed.append(error)
            self._tell_lag(waiting[nth:])
        if failed:
            self._tell_lag(waiting)
            raise failed[0]

    def sweep(self, passed: list[Passed]) -> None:
        """Deletes the segments that were rolled, whose files need no more care, and that everybody has passed a while ago.

        The while is for a store that loses its last second in a crash, and is then folded into again.
        """
        now = time.monotonic()
        for segment in self._sealed():
            if not self._marker(segment).is_file() or not all(one(segment) for one in passed):
                self._ready.pop(segment, None)
            elif now - self._ready.setdefault(segment, now) >= _SETTLED:
                self._path(segment).unlink(missing_ok=True)
                self._marker(segment).unlink(missing_ok=True)
                del self._ready[segment]
        self._drop_what_is_left()

    def files(self, segment: Sealed) -> list[str]:
        """The files, relative to the log's folder, that a rolled segment became."""
        return list(msgspec.json.decode(self._marker(segment).read_bytes())["files"])

    def _sealed(self) -> Iterator[Sealed]:
        for stream, reader in self._readers.items():
            for writer in reader.writers():
                for number in reader.sealed(writer):
                    yield Sealed(stream, writer, number)

    def _tell_lag(self, waiting: list[Sealed]) -> None:
        ages = [0.0]
        for segment in waiting:
            with suppress(FileNotFoundError):
                ages.append(time.time() - self._path(segment).stat().st_mtime)
        self._metrics.roll_lag.set(max(ages))

    def _roll(self, segment: Sealed) -> None:
        reader, erased = self._readers[segment.stream], self._book.all()
        parts: dict[str, list[pl.DataFrame]] = {}
        records = records_of(reader, segment)
        while some := list(islice(records, _BATCH)):
            for table, frame in frames_of(some).items():
                parts.setdefault(table, []).append(frame)
        written: list[str] = []
        for table, frames in parts.items():
            kept, lost = divided_rows(table, pl.concat(frames), erased, self._book.key)
            self._book.count(lost, SPOOL, f"{segment.key}/{table}")
            written += self._write(table, kept, f"{segment.writer}-{segment.number:08d}{SUFFIX}")
            self._metrics.rolled_rows.labels(table).inc(kept.height)
        write_json(self._marker(segment), {"files": written}, durable=True)

    def _write(self, table: str, rows: pl.DataFrame, name: str) -> Iterator[str]:
        hours = rows.sort(Columns.TS, maintain_order=True).group_by(partition(pl.col(Columns.TS)), maintain_order=True)
        for (hour,), part in hours:
            file = self._log / table / str(hour) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            aside = file.with_name(f".{name}.part")
            part.write_parquet(aside, compression="zstd")
            settle(aside, file)
            yield str(file.relative_to(self._log))

    def _drop_what_is_left(self) -> None:
        """Markers of segments that are gone, and folders of dead writers without a segment."""
        for marker in self._markers.glob("*/*/*.json"):
            stream, writer, number = *marker.parts[-3:-1], int(marker.stem)
            if stream in self._readers and not self._readers[stream].path(writer, number).exists():
                marker.unlink(missing_ok=True)
                with suppress(OSError):
                    marker.parent.rmdir()
        for reader in self._readers.values():
            for writer in reader.writers():
                if reader.is_dead(writer) and not reader.segments(writer):
                    folder = reader.path(writer, 1).parent
                    (folder / LOCK).unlink(missing_ok=True)
                    with suppress(OSError):
                        folder.rmdir()

    def _path(self, segment: Sealed) -> Path:
        return self._readers[segment.stream].path(segment.writer, segment.number)

    def _marker(self, segment: Sealed) -> Path:
        return self._markers / segment.stream / segment.writer / f"{segment.number:08d}.json"


def records_of(reader: SpoolReader, segment: Sealed) -> Iterator[Record]:
    """The records of a segment; a frame that cannot be decoded becomes a refused one."""
    path = reader.path(segment.writer, segment.number)
    size = path.stat().st_size if path.exists() else 0
    for place, frame in reader.read(segment.writer, Position(segment.number, 0), limit_bytes=max(size, 1)):
        if place.segment != segment.number:
            return
        try:
            yield from decode(frame)
        except msgspec.DecodeError as error:
            log.warning("%s: a frame cannot be decoded (%s); it goes to the quarantine", path, error)
            yield RejectedRecord(int(path.stat().st_mtime * 1e6), f"a frame of the spool cannot be decoded: {error}", frame)


def existing(readers: Mapping[str, SpoolReader]) -> list[str]:
    """Every segment with something in it, by key."""
    return [
        Sealed(stream, writer, number).key
        for stream, reader in readers.items()
        for writer in reader.writers()
        for number in reader.segments(writer)
        if _has_bytes(reader.path(writer, number))
    ]


def divided_rows(table: str, rows: pl.DataFrame, erased: Mapping[str, int], key: bytes) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows of a table that may stay, and how many each erased person loses; in the quarantine where it can be read."""
    if not erased:
        return rows, {}
    if table != "quarantine":
        return divided(rows, erased, key, moments=MOMENTS[table])
    users = pl.Series(Columns.USER_ID, [user_in(raw) for raw in rows.get_column(Columns.RAW)], dtype=pl.String)
    kept, lost = divided(rows.with_columns(users), erased, key, moments=MOMENTS[table])
    return kept.drop(Columns.USER_ID), lost


def _has_bytes(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
