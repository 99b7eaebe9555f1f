"""What became of events: the client's own list of what was acknowledged, against what ingest reads."""

import time
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple, Self

import polars as pl

from benchmarks.load.ours import Ours
from benchmarks.load.timing import Sent
from rankloop.contracts import Columns
from rankloop.sources.event_log import read_log

__all__ = ["SEAL_S", "Counted", "accepted", "acknowledged", "engine_ms", "logged_rows", "read_back"]

SEAL_S: Final = 4.0
"""`RANKLOOP_SEGMENT_SECONDS` of these benchmarks, for the log to be whole soon after; by default it is five minutes."""

_STILL_S: Final = 60.0
_SETTLED_S: Final = 3 * SEAL_S


class Counted(NamedTuple):
    """Events by number, as they carry it in `value`.

    Attributes:
        acknowledged: how many the client was told are kept.
        read: how many rows ingest reads.
        lost: acknowledged, and not read.
        twice: rows that say again what another row says.
    """

    acknowledged: int
    read: int
    lost: int
    twice: int

    @classmethod
    def of(cls, acknowledged: Collection[int], read: pl.Series) -> Self:
        """Compares the client's list with the numbers that were read.

        Example:
            >>> Counted.of([1, 2, 3], pl.Series([1.0, 3.0, 3.0]))
            Counted(acknowledged=3, read=3, lost=1, twice=1)
        """
        there = set(read.cast(pl.Int64).to_list())
        return cls(len(acknowledged), len(read), len(set(acknowledged) - there), len(read) - len(there))


def accepted(body: bytes) -> int:
    """How many events an answer acknowledges."""
    _, _, rest = body.partition(b'"accepted":')
    return int(rest.lstrip().split(b",")[0].split(b"}")[0]) if rest else 0


def acknowledged(sent: Sent, size: int, *, first: int = 0) -> list[int]:
    """The numbers of the events of every batch of `size` that was acknowledged whole, numbered on from `first`."""
    whole = sent.number[(sent.status // 100 == 2) & (sent.mark == size)]
    return [first + batch * size + place for batch in whole.tolist() for place in range(size)]


def logged_rows(home: Path, table: str) -> int:
    """Rows in the log's files, also those that are there twice; cheap."""
    files = sorted((home / "log" / table).rglob("*.parquet"))
    return int(pl.scan_parquet(files).select(pl.len()).collect().item()) if files else 0


def engine_ms(stack: Ours, request_ids: Collection[str]) -> dict[str, float]:
    """By request id what the engine says it took, milliseconds, of the lists that are in the log; waits for them a while."""
    found: dict[str, float] = {}
    until = time.monotonic() + _STILL_S
    while len(found) < len(request_ids) and time.monotonic() < until:
        time.sleep(1.0)
        if files := sorted((stack.settings.home / "log" / "impressions").rglob("*.parquet")):
            rows = pl.scan_parquet(files).filter(pl.col(Columns.REQUEST_ID).is_in(list(request_ids)))
            pairs = rows.select(Columns.REQUEST_ID, Columns.MICROS).unique(Columns.REQUEST_ID).collect().iter_rows()
            found = {name: micros / 1e3 for name, micros in pairs}
    return found


def read_back(stack: Ours, *, rows: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Waits until the curator has rolled so many outcomes and no more lists come, then reads both as ingest does.

    Where the log has fewer and does not grow any more, it reads what is there: the rest is lost, and counted as that.
    """
    home, seen, since = stack.settings.home, (-1, -1), time.monotonic()
    while time.monotonic() - since < (_STILL_S if seen[0] < rows else _SETTLED_S):
        now = logged_rows(home, "outcomes"), logged_rows(home, "impressions")
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(1.0)
    return read_log(str(home / "log"))
