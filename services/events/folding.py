"""What people did until this second goes from the spool into the online store, and demands to be forgotten with it."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from monitoring.metrics import CuratorMetrics
from services.events.erasure import STATE, ErasureBook
from services.events.following import batch
from services.events.records import ErasureRecord, EventRecord, Record, decode
from services.events.rolling import Sealed
from services.events.segments import Position, SpoolReader
from services.online import StateStore

__all__ = ["Folding"]

log = logging.getLogger(__name__)

_LIMIT: Final = 1 << 20


class Folding:
    """Folds the stream of events, each writer in its order.

    The position moves with the events in one transaction of the store, so a crash between two batches neither loses
    nor doubles one. A demand to be forgotten is on record, durably, before the position moves past it.

    Args:
        reader: of the events.
        store: the online store, opened to be written; used by one thread only.
        book: who is left out.
        ask: puts a demand on record.
        metrics: of the curator.
        clock: Unix time, seconds.
        stopping: whether to leave the rest to the next step.
    """

    def __init__(
        self,
        reader: SpoolReader,
        store: StateStore,
        book: ErasureBook,
        ask: Callable[[ErasureRecord], None],
        metrics: CuratorMetrics,
        clock: Callable[[], float] = time.time,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._reader, self._store, self._book = reader, store, book
        self._ask, self._metrics, self._clock, self._stopping = ask, metrics, clock, stopping
        self._positions: dict[str, Position] = {}
        self._drained = clock()
        metrics.fold_lag.set_function(lambda: max(0.0, clock() - self._drained))

    def step(self) -> None:
        """Folds everything there is, a batch a writer in turn.

        Raises:
            StateUnavailable: the store cannot take it now; the next step goes on from where the store stands.
        """
        more = True
        while more and not self._stopping():
            began = self._clock()
            more = False
            for writer in self._reader.writers():
                more |= self._fold(writer)
            if not more:
                self._drained = began

    def passed(self, segment: Sealed) -> bool:
        """Whether a segment has nothing that is not folded; one of another stream never had."""
        return segment.stream != "events" or self._positions.get(segment.writer, Position(0, 0)).segment > segment.number

    def _fold(self, writer: str) -> bool:
        start = Position(*self._store.position(writer))
        found = batch(self._reader, writer, start, _LIMIT)
        events: list[EventRecord] = []
        at = start
        for position, frame in found.frames:
            records = _records(writer, position, frame)
            for record in records:
                if isinstance(record, ErasureRecord):
                    self._move(writer, start, at, events)  # what came before is forgotten with the rest
                    events = []
                    self._forget(record)
            events += self._kept(records)
            at = position
        self._move(writer, start, found.end, events)
        self._positions[writer] = found.end
        return found.more

    def _forget(self, record: ErasureRecord) -> None:
        """On record first: from then on nothing of the person is rolled or folded any more."""
        self._ask(record)
        known = self._store.user(record.user_id)
        self._store.erase(record.user_id, record.ts)
        self._book.count({self._book.who(record.user_id): sum(known.counts.values()) if known else 0}, STATE, "state")
        self._book.done(record.receipt_id, STATE, self._clock())

    def _kept(self, records: Iterable[Record]) -> Iterable[EventRecord]:
        for record in records:
            if isinstance(record, EventRecord) and not self._book.covers(record.user_id, min(record.ts, record.received)):
                yield record

    def _move(self, writer: str, start: Position, position: Position, events: list[EventRecord]) -> None:
        if position != start:
            self._metrics.folded.inc(self._store.fold(writer, position, events, now=int(self._clock() * 1e6)))


def _records(writer: str, position: Position, frame: bytes) -> list[Record]:
    try:
        return decode(frame)
    except msgspec.DecodeError as error:
        log.warning("%s, before %s: a frame cannot be decoded and is not folded: %s", writer, position, error)
        return []
