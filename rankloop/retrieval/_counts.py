"""Outcomes summed with their decay, at the end of a history or at midnights."""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.contracts import Columns, Tables
from rankloop.retrieval._events import Events
from rankloop.retrieval.base import Scores
from rankloop.vocabulary import UNKNOWN, Vocabulary

__all__ = ["Counts", "first_known"]

_DAY: Final = 86_400_000_000
"""Microseconds in a day."""

_NEVER: Final = np.iinfo(np.int64).max


class Counts:
    """Decayed weights of outcomes at any midnight, summed once from the oldest day to the newest."""

    def __init__(self, log: Events, first_known: npt.NDArray[np.int64], surfaces: list[str], half_life_days: float) -> None:
        masks = [(log.surface == surface).fill_null(False).to_numpy() for surface in surfaces]
        self._log, self._first, self._half_life = log, first_known, half_life_days
        self._masks = [np.ones(len(log.ts), bool), *masks]

    def at_end(self) -> tuple[Scores, npt.NDArray[np.bool_]]:
        """`(1, 1 + surfaces, items)` scores at the end of the history, and `(1, items)` which items are known."""
        worth = self._log.weight * np.exp2(-self._log.age / self._half_life)
        return np.array([self._sums(worth, slice(None))], np.float32), (self._first < _NEVER)[None]

    def midnights(self, *, since: int) -> npt.NDArray[np.int64]:
        """Every midnight after `since` up to the first one after the last outcome, microseconds."""
        if not len(self._log.ts):
            return np.empty(0, np.int64)
        return np.arange(since // _DAY + 1, self._log.ts[-1] // _DAY + 2, dtype=np.int64) * _DAY

    def at(self, moments: npt.NDArray[np.int64]) -> tuple[Scores, npt.NDArray[np.bool_]]:
        """As `at_end`, for each of several midnights that follow one another."""
        ts, scores = self._log.ts, []
        worth = self._log.weight * np.exp2(-((moments[0] - ts) / _DAY) / self._half_life)  # (events,) at the first midnight
        ends = np.searchsorted(ts, moments)
        running = self._sums(worth, slice(0, ends[0]))
        for day, (start, end) in enumerate(zip([ends[0], *ends], ends, strict=False)):
            fade = 2.0 ** (-day / self._half_life)
            running = running + self._sums(worth, slice(start, end))
            scores.append((running * fade).astype(np.float32))
        return np.array(scores), self._first[None] < moments[:, None]

    def _sums(self, worth: npt.NDArray[np.float64], span: slice) -> npt.NDArray[np.float64]:
        item, size = self._log.item, len(self._first)
        return np.array([np.bincount(item[span][own[span]], worth[span][own[span]], size) for own in self._masks])


def first_known(tables: Tables, catalogue: Vocabulary) -> npt.NDArray[np.int64]:
    """When each item was first shown or acted upon, `(items,)` microseconds; the largest int64 where it never was."""
    seen = [frame.select(Columns.ITEM_ID, Columns.TS) for frame in (tables.impressions, tables.outcomes)]
    first = pl.concat(seen).group_by(Columns.ITEM_ID).agg(pl.col(Columns.TS).min().dt.epoch("us"))
    codes = catalogue.encode(first[Columns.ITEM_ID])
    known = np.full(len(catalogue), _NEVER, np.int64)
    known[codes[codes != UNKNOWN]] = first[Columns.TS].to_numpy()[codes != UNKNOWN]
    return known
