"""The rows of one feature view as arrays, looked up by key and time."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.features.registry import VALID_FROM, FeatureView
from rankloop.vocabulary import UNKNOWN, Vocabulary

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
        codes = self._combined([vocabularies[key].encode(frame[key]) for key in view.keys])
        valid = np.full(frame.height, ALWAYS) if latest else microseconds(frame[VALID_FROM])
        order = np.lexsort((valid, codes))
        self._keys, first = np.unique(codes[order], return_index=True)
        self._moments, moment = np.unique(valid[order], return_inverse=True)
        self._stride = len(self._moments) + 1
        # one sorted number a row: the rank of its key, then of its time
        self._places = np.repeat(np.arange(len(self._keys)), np.diff(np.append(first, len(codes)))) * self._stride + moment
        self._ages = [i for i, feature in enumerate(view.features) if isinstance(frame.schema[feature.name], pl.Datetime)]
        self._times = _times(frame, [view.features[i].name for i in self._ages])[order]
        self._values = _values(frame, [feature.name for feature in view.features])[order]
        self._row_of_key = self._dense(first) if latest else None
        self._defaults = np.array([np.nan if f.default is None else f.default for f in view.features], np.float32)

    def lookup(self, codes: Sequence[Codes], ts: Codes) -> Matrix:
        """The features of each (key, moment).

        Args:
            codes: for each key column `(n,)` int64 codes, `UNKNOWN` or `ABSENT`.
            ts: `(n,)` int64, microseconds since 1970 UTC; the latest row with `valid_from <= ts` counts.

        Returns:
            `(n, features)` float32: NaN where a key is absent, the feature's default where there is no row.
        """
        row, found = self._rows(codes, ts)
        if not found.any():
            out = np.tile(self._defaults, (len(ts), 1))
        else:
            out = self._values[row]
            for i, feature in enumerate(self._ages):
                out[:, feature] = _age(ts, self._times[row, i])
            if not found.all():
                out[~found] = self._defaults
        for code in codes:
            if code.min(initial=0) == ABSENT:
                out[code == ABSENT] = np.nan
        return out

    def _rows(self, codes: Sequence[Codes], ts: Codes) -> tuple[Codes, npt.NDArray[np.bool_]]:
        known = np.logical_and.reduce([code >= 0 for code in codes])
        if not len(self._keys):
            return np.zeros(len(ts), np.int64), np.zeros(len(ts), np.bool_)
        key = self._combined(codes)
        if self._row_of_key is not None:
            row = self._row_of_key[np.where(known, key, 0)]
            return row, known & (row >= 0)
        rank = np.minimum(np.searchsorted(self._keys, key), len(self._keys) - 1)
        known &= self._keys[rank] == key
        place = rank * self._stride + np.searchsorted(self._moments, ts, side="right") - 1
        row = np.searchsorted(self._places, place, side="right") - 1
        found = known & (row >= 0) & (self._places[row] // self._stride == rank)
        return np.where(found, row, 0), found

    def _combined(self, codes: Sequence[Codes]) -> Codes:
        combined = codes[0]
        for code, size in zip(codes[1:], self._sizes[1:], strict=True):
            combined = combined * size + code
        return combined

    def _dense(self, first: Codes) -> Codes | None:
        if len(self._sizes) > 1:
            return None
        rows = np.full(max(self._sizes[0], 1), UNKNOWN, np.int64)
        rows[self._keys] = first
        return rows


def microseconds(moments: pl.Series) -> Codes:
    """Times to int64 microseconds since 1970 UTC; `ALWAYS` where null."""
    return moments.dt.epoch("us").fill_null(ALWAYS).to_numpy().astype(np.int64)


def _age(ts: Codes, then: Codes) -> npt.NDArray[np.float64]:
    return np.where(then == ALWAYS, np.nan, (ts - then) / _DAY)


def _times(frame: pl.DataFrame, names: Sequence[str]) -> Codes:
    return np.column_stack([microseconds(frame[name]) for name in names]) if names else np.empty((frame.height, 0), np.int64)


def _values(frame: pl.DataFrame, names: Sequence[str]) -> Matrix:
    # the column of a time is filled by its age at lookup
    numbers = [pl.lit(None, pl.Float32).alias(n) if isinstance(frame.schema[n], pl.Datetime) else pl.col(n) for n in names]
    return np.ascontiguousarray(frame.with_columns(numbers).select(names).fill_null(np.nan).to_numpy(), np.float32)
