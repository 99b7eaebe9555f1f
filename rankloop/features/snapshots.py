"""The rows of one feature view as arrays, looked up by key and time."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.features.registry import VALID_FROM, FeatureView
from rankloop.vocabulary import Vocabulary

__all__ = ["ABSENT", "ALWAYS", "Snapshots", "microseconds"]

Codes = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]

ABSENT: Final = -2
"""The code of a key that a row does not have, such as the query of a feed; `UNKNOWN` is one that was never seen."""

ALWAYS: Final = np.iinfo(np.int64).min
"""A `valid_from` before every request."""

_DAY: Final = 86_400_000_000.0


class Snapshots:
    """One view's rows, sorted by key and time, for point-in-time lookup.

    Args:
        view: the view.
        frame: its rows, sorted by keys and `valid_from`, as `compute` returns them.
        vocabularies: the codes of each key column; every key of the frame is in them.
        latest: the frame holds one row a key, to be used whatever the time of the request.
    """

    def __init__(self, view: FeatureView, frame: pl.DataFrame, vocabularies: Mapping[str, Vocabulary], *, latest: bool) -> None:
        self.view = view
        self._sizes = [len(vocabularies[key]) for key in view.keys]
        codes = _combined([vocabularies[key].encode(frame[key]) for key in view.keys], self._sizes)
        valid = np.full(frame.height, ALWAYS) if latest else microseconds(frame[VALID_FROM])
        order = np.lexsort((valid, codes))
        self._keys, first = np.unique(codes[order], return_index=True)
        self._moments, moment = np.unique(valid[order], return_inverse=True)
        self._stride = len(self._moments) + 1
        # one sorted number a row: the rank of its key, then of its time
        self._places = np.repeat(np.arange(len(self._keys)), np.diff(np.append(first, len(codes)))) * self._stride + moment
        ages = [i for i, feature in enumerate(view.features) if isinstance(frame.schema[feature.name], pl.Datetime)]
        # two rows follow the view's own: the defaults, for a key without a row, and NaN, for one that is absent
        defaults = [[np.nan if f.default is None else f.default for f in view.features], [np.nan] * len(view.features)]
        self._no_row, self._absent = frame.height, frame.height + 1
        self._values = np.concatenate([_values(frame, view)[order], np.array(defaults, np.float32)])
        times = [np.append(microseconds(frame[view.features[i].name])[order], [ALWAYS, ALWAYS]) for i in ages]
        self._times = list(zip(ages, times, strict=True))
        self._latest = latest
        self._row_of_code = self._by_code(first) if latest and len(view.keys) == 1 else None

    def lookup(self, codes: Sequence[Codes], ts: Codes) -> Matrix:
        """The features of each (key, moment).

        Args:
            codes: for each key column `(n,)` int64 codes, `UNKNOWN` or `ABSENT`; or one code, for all rows.
            ts: `(n,)` int64, microseconds since 1970 UTC; the latest row with `valid_from <= ts` counts.

        Returns:
            `(n, features)` float32: NaN where a key is absent, the feature's default where there is no row.
        """
        if self._latest and len(codes[0]) == 1 and codes[0][0] == ABSENT:
            shape = np.broadcast_shapes(*(code.shape for code in codes))
            return np.broadcast_to(self._values[self._absent], (*shape, len(self.view.features)))
        rows = self._rows(codes, ts) if self._row_of_code is None else np.take(self._row_of_code, codes[0])
        out: Matrix = np.take(self._values, rows, axis=0)
        for feature, times in self._times:
            then = np.take(times, rows)
            out[:, feature] = np.where(then == ALWAYS, out[:, feature], (ts - then) / _DAY)
        return out

    def _rows(self, codes: Sequence[Codes], ts: Codes) -> Codes:
        rows = np.full(np.broadcast_shapes(*(code.shape for code in codes)), self._no_row)
        keys, first = self._span(codes[0]) if self._latest and len(codes[0]) == 1 else (self._keys, 0)
        if len(keys):
            key = _combined(codes, self._sizes)
            rank = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
            row = first + rank if self._latest else self._row_by_time(rank, ts)
            found = (keys[rank] == key) & (row >= 0)
            rows[found] = row[found]
        for code in codes:
            if code.min(initial=0) < 0:
                rows[code < 0 if len(code) == len(rows) else slice(None)] = self._no_row
        for code in codes:
            if code.min(initial=0) == ABSENT:
                rows[code == ABSENT if len(code) == len(rows) else slice(None)] = self._absent
        return rows

    def _span(self, leading: Codes) -> tuple[Codes, int]:
        """The keys that begin with one code, and the row of the first: a person has few, and most people none."""
        below = math.prod(self._sizes[1:])
        first, end = np.searchsorted(self._keys, [leading[0] * below, (leading[0] + 1) * below])
        return self._keys[first:end], int(first)

    def _row_by_time(self, rank: Codes, ts: Codes) -> Codes:
        place = rank * self._stride + np.searchsorted(self._moments, ts, side="right") - 1
        row = np.searchsorted(self._places, place, side="right") - 1
        return np.where(self._places[row] // self._stride == rank, row, -1)

    def _by_code(self, first: Codes) -> Codes:
        # the last two are where numpy finds the codes -2 (ABSENT) and -1 (UNKNOWN)
        rows = np.full(self._sizes[0] + 2, self._no_row)
        rows[self._keys] = first
        rows[ABSENT] = self._absent
        return rows


def _combined(codes: Sequence[Codes], sizes: Sequence[int]) -> Codes:
    combined = codes[0]
    for code, size in zip(codes[1:], sizes[1:], strict=True):
        combined = combined * size + code
    return combined


def microseconds(moments: pl.Series) -> Codes:
    """Times to int64 microseconds since 1970 UTC; `ALWAYS` where null."""
    return moments.dt.epoch("us").fill_null(ALWAYS).to_numpy().astype(np.int64)


def _values(frame: pl.DataFrame, view: FeatureView) -> Matrix:
    # the column of a time stays NaN: it is filled by its age at lookup
    columns = [
        pl.lit(np.nan, pl.Float32) if isinstance(frame.schema[f.name], pl.Datetime) else pl.col(f.name) for f in view.features
    ]
    named = [column.cast(pl.Float32).alias(f.name) for column, f in zip(columns, view.features, strict=True)]
    return np.ascontiguousarray(frame.with_columns(named).select(f.name for f in view.features).fill_null(np.nan).to_numpy())
