"""Reads both spools side by side, and says until when everything was read."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from services.events.following import batch
from services.events.records import ErasureRecord, EventRecord, ImpressionRecord, Record, decode
from services.events.segments import Position, SpoolReader
from services.tally.snapshot import Positions

__all__ = ["STREAMS", "Following"]

log = logging.getLogger(__name__)

STREAMS: Final = ("impressions", "events")
_AT_ONCE: Final = 1 << 20


class Following:
    """Where each writer of each stream was read to.

    Args:
        spool: the folder of both streams.
        positions: where a former process stood; None: there was none.
        since: without positions, segments that were last written to before this are passed over, seconds since the epoch.
    """

    def __init__(self, spool: Path, positions: Positions | None, since: float) -> None:
        self._readers = {stream: SpoolReader(spool / stream) for stream in STREAMS}
        self.positions: Positions = positions or {}
        if positions is None:
            self._pass_over(since)

    def read(self, now: float) -> tuple[list[Record], float, bool]:
        """What is new, or a part of it.

        Returns:
            the records; until when, in seconds since the epoch, everything was read; whether there is more already.
        """
        records: list[Record] = []
        time, more = now, False
        for stream, reader in self._readers.items():
            own, writers = self.positions.setdefault(stream, {}), reader.writers()
            for writer in own.keys() - set(writers):
                del own[writer]
            for writer in writers:
                found = batch(reader, writer, Position(*own.get(writer, (0, 0))), _AT_ONCE)
                new = [record for _, frame in found.frames for record in _records(frame)]
                records += new
                own[writer] = (found.end.segment, found.end.offset)
                if found.more:
                    more, time = True, min(time, next(_moments(reversed(new)), time))
        return records, time, more

    def _pass_over(self, since: float) -> None:
        for stream, reader in self._readers.items():
            for writer in reader.writers():
                old = [number for number in reader.sealed(writer) if _written(reader.path(writer, number)) < since]
                if old:
                    self.positions.setdefault(stream, {})[writer] = (old[-1] + 1, 0)


def _moments(records: Iterator[Record]) -> Iterator[float]:
    for record in records:
        if isinstance(record, ImpressionRecord | ErasureRecord):
            yield record.ts / 1e6
        elif isinstance(record, EventRecord):
            yield record.received / 1e6


def _records(frame: bytes) -> list[Record]:
    try:
        return decode(frame)
    except msgspec.DecodeError as error:
        log.warning("a frame of another version is passed over: %s", error)
        return []


def _written(segment: Path) -> float:
    try:
        return segment.stat().st_mtime
    except FileNotFoundError:
        return 0.0
