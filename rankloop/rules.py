"""Which items may be shown to whom: part of the release, tested and rolled back with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.contracts import Columns, Tables
from rankloop.errors import ModelError
from rankloop.request import Request, microseconds
from rankloop.vocabulary import UNKNOWN, Vocabulary

__all__ = ["DONE_WITH", "Rules"]

DONE_WITH: Final = ("apply", "interview", "hire", "dismiss")
"""After one of these outcomes the item is not shown to that person again."""

_NEVER: Final = np.iinfo(np.int64).max


class Rules:
    """Open jobs only, and none the person is already done with.

    An item is allowed for a request at `ts` when `created_at <= ts < closed_at` (no `closed_at`: still
    open) and the person has no outcome of `DONE_WITH` on it strictly before `ts`, in the log or in `request.recent`.

    Args:
        opened: `(items,)` int64, microseconds since the epoch, in catalogue order.
        closed: `(items,)` int64, likewise; the largest int64 where an item is still open.
        done: by person, the codes of the items done with and the moments, both `(n,)` int64.
    """

    def __init__(
        self,
        opened: npt.NDArray[np.int64],
        closed: npt.NDArray[np.int64],
        done: Mapping[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]],
    ) -> None:
        if opened.shape != closed.shape:
            raise ModelError(f"rules need one opening and one closing a item, got {opened.shape} and {closed.shape}")
        self._opened, self._closed, self._done = opened, closed, dict(done)
        self._turns = np.unique(np.concatenate([opened, closed]))
        self._open_at = (-1, np.zeros(len(opened), bool))

    @classmethod
    def from_tables(cls, tables: Tables, catalogue: Vocabulary) -> Self:
        """Reads openings, closings and outcomes from the contract tables."""
        items = pl.DataFrame({Columns.ITEM_ID: catalogue.terms}).join(
            tables.items, on=Columns.ITEM_ID, how="left", maintain_order="left"
        )
        opened = items[Columns.CREATED_AT].dt.epoch("us").to_numpy()
        closed = items[Columns.CLOSED_AT].dt.epoch("us").fill_null(_NEVER).to_numpy()
        ended = tables.outcomes.filter(pl.col(Columns.KIND).is_in(DONE_WITH))
        return cls(opened, closed, _by_person(ended, catalogue))

    def allowed(self, request: Request) -> npt.NDArray[np.bool_]:
        """A mask over the catalogue, `(items,)`."""
        ts = microseconds(request.ts)
        mask = self._open(ts).copy()
        if request.user_id in self._done:
            codes, moments = self._done[request.user_id]
            mask[codes[moments < ts]] = False
        mask[[act.item for act in request.recent if act.kind in DONE_WITH]] = False
        return mask

    def _open(self, ts: int) -> npt.NDArray[np.bool_]:
        """Which items are open, kept until the next one opens or closes."""
        turn = int(np.searchsorted(self._turns, ts, side="right"))
        since, mask = self._open_at
        if since != turn:
            mask = (self._opened <= ts) & (ts < self._closed)
            self._open_at = (turn, mask)
        return mask

    def save(self, folder: Path) -> None:
        """Writes `openings.npz` and `done.parquet` into an existing folder."""
        np.savez(folder / "openings.npz", opened=self._opened, closed=self._closed)
        rows = [(user, code, ts) for user, pair in sorted(self._done.items()) for code, ts in zip(*pair, strict=True)]
        schema = {"user_id": pl.String, "code": pl.Int64, "ts": pl.Int64}
        pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "done.parquet")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        with np.load(folder / "openings.npz", allow_pickle=False) as arrays:
            opened, closed = arrays["opened"], arrays["closed"]
        frame = pl.read_parquet(folder / "done.parquet")
        groups = frame.partition_by("user_id", as_dict=True, maintain_order=True)
        done = {str(user): (part["code"].to_numpy(), part["ts"].to_numpy()) for (user,), part in groups.items()}
        return cls(opened, closed, done)


def _by_person(outcomes: pl.DataFrame, catalogue: Vocabulary) -> dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    coded = outcomes.select(
        Columns.USER_ID,
        pl.Series("code", catalogue.encode(outcomes[Columns.ITEM_ID]), dtype=pl.Int64),
        pl.col(Columns.TS).dt.epoch("us").alias("ts"),
    ).filter(pl.col("code") != UNKNOWN)
    first = coded.group_by(Columns.USER_ID, "code").agg(pl.col("ts").min()).sort(Columns.USER_ID, "code")
    groups = first.partition_by(Columns.USER_ID, as_dict=True, maintain_order=True)
    return {str(user): (part["code"].to_numpy(), part["ts"].to_numpy()) for (user,), part in groups.items()}
