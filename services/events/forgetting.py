"""Takes what was erased out of the files that were written before, and says when an erasure is complete."""

import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import polars as pl

from monitoring.metrics import CuratorMetrics
from rankloop.contracts import Columns
from rankloop.erasures import named_users
from rankloop.sources.log_layout import LOG_TABLES
from services.events.erasure import KAFKA, LOG, SPOOL, UPLOADED, ErasureBook, Pending
from services.events.log_tables import user_in
from services.events.rolling import Rolling, divided_rows
from services.events.uploading import LogPlace

__all__ = ["Forgetting"]

log = logging.getLogger(__name__)

_QUARANTINE: Final = "quarantine"


class Forgetting:
    """Carries out erasures in the log.

    Args:
        book: what is pending.
        rolling: may be writing a file with what is being erased.
        places: name of a place of receipts to the place itself.
        publish: sends the erasures list to where the log is.
        segment_exists: whether a segment of the spool, by key, is still there.
        metrics: of the curator.
    """

    def __init__(
        self,
        book: ErasureBook,
        rolling: Rolling,
        places: Mapping[str, LogPlace],
        publish: Callable[[], None],
        segment_exists: Callable[[str], bool],
        metrics: CuratorMetrics,
    ) -> None:
        self._book, self._rolling, self._places = book, rolling, places
        self._publish, self._segment_exists, self._metrics = publish, segment_exists, metrics

    def step(self) -> None:
        """Goes on with every erasure that is pending; several are carried out in one pass over the log."""
        pending = self._book.pending()
        if not pending:
            return
        with self._rolling.busy:
            pass  # a segment that began to be rolled before these erasures is in the log now, and none with their rows follows
        failed: list[Exception] = []
        for name, place in self._places.items():
            todo = [one for one in pending if name not in one.done]
            if todo:
                try:
                    self._forget(name, place, todo)
                except Exception as error:  # another place may well be reached
                    log.exception("what was erased could not be taken out of the %s", name)
                    failed.append(error)
        for one in pending:
            if not any(self._segment_exists(key) for key in one.segments):
                self._done(one, SPOOL)
                self._done(one, KAFKA)  # who has not sent a segment keeps it from being deleted
        if failed:
            raise failed[0]

    def _forget(self, name: str, place: LogPlace, todo: list[Pending]) -> None:
        if name == UPLOADED:
            self._publish()
        erased = {one.who: max(other.at for other in todo if other.who == one.who) for one in todo}
        for table in LOG_TABLES:
            for file in place.files(table):
                try:
                    self._rewrite(name, place, table, file, erased)
                except FileNotFoundError:
                    continue  # its retention ended meanwhile
        for one in todo:
            self._done(one, name)

    def _rewrite(self, name: str, place: LogPlace, table: str, file: str, erased: Mapping[str, int]) -> None:
        """Writes a file anew without the rows; how many is noted first, so that it is known after a crash too."""
        if not named_users(_users(place, table, file), erased, self._book.key):
            return
        kept, lost = divided_rows(table, place.read(file), erased, self._book.key)
        if not lost:
            return
        self._book.count(lost, LOG if name == LOG else UPLOADED, file)
        if not kept.height:
            place.remove(file)
            return
        with tempfile.TemporaryDirectory(prefix="rankloop-") as folder:
            aside = Path(folder) / "rows.parquet"
            kept.write_parquet(aside, compression="zstd")
            place.put(aside, file)

    def _done(self, one: Pending, place: str) -> None:
        if place in one.places and self._book.done(one.receipt_id, place, time.time()):
            self._metrics.erasures.inc()
            log.info("erasure %s is complete", one.receipt_id)


def _users(place: LogPlace, table: str, file: str) -> pl.Series:
    if table != _QUARANTINE:
        return place.column(file, Columns.USER_ID)
    return pl.Series(Columns.USER_ID, [user_in(raw) for raw in place.column(file, Columns.RAW)], dtype=pl.String)
