"""Parts of a period's rows, such as one country's, counted in the bins of all rows and held against the reference's same part."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.drift.bins import Bins, ColumnBins, Part
from rankloop.drift.measures import js
from rankloop.drift.policy import DriftPolicy
from rankloop.drift.report import ColumnDrift
from rankloop.drift.values import EMPTY

__all__ = ["SliceCounts", "count_slices", "drifted_slices"]

_MOST: Final = 8
_FEWEST: Final = 50.0
_OF_MIN_ROWS: Final = 5.0
"""A slice is judged from a fifth of `min_rows` on: what chance may do to so few rows is taken off its drift."""

Counts = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


class SliceCounts(msgspec.Struct, frozen=True, array_like=True):
    """One slice of one period.

    Attributes:
        rows: how many it has.
        worth: how many independent rows those are worth.
        filled: rows with a value, by column of the bins.
        parts: counts by bin, of all parts of all columns, one after the other.
    """

    rows: int
    worth: float
    filled: tuple[int, ...]
    parts: tuple[tuple[int, ...], ...]


class _Period(NamedTuple):
    """One column of one period's slice; independent rows, and counts by bin of each part."""

    rows: float
    filled: float
    parts: Sequence[Counts]


def count_slices(
    rows: pl.DataFrame, labels: pl.DataFrame, bins: Bins, *, unit: str | None = None, names: Sequence[str] | None = None
) -> dict[str, SliceCounts]:
    """Counts each slice's rows.

    Args:
        rows: of one period; columns as the bins name them, a text a string, an embedding a list of numbers.
        labels: as many rows: a column a dimension, text, null where a row is in no slice of it.
        bins: the reference's.
        unit: the column of who made a row, as people repeat themselves; None: rows count as independent.
        names: the slices that are counted, such as `country=IN`; None: those of each dimension's eight commonest values.

    Example:
        >>> from rankloop.drift import Column, profile
        >>> rows = pl.DataFrame({"pay": [1.0, 2.0, 2.0]})
        >>> bins = profile(rows, [Column("pay", "numeric")]).bins
        >>> counted = count_slices(rows, pl.DataFrame({"country": ["IN", "IN", "DE"]}), bins)
        >>> counted["country=IN"].rows, counted["country=DE"].parts
        (2, ((0, 1, 0),))
    """
    wanted = list(_commonest(labels)) if names is None else names
    inside = {name: _inside(labels, name, rows.height) for name in wanted}
    filled = [_filled(rows, own) for own in bins.columns]
    placed = [(part.size, *_placed(rows, own, part)) for own in bins.columns for part in own.parts]
    return {
        name: SliceCounts(
            int(held.sum()),
            _worth(rows.filter(held), unit),
            tuple(int((held & own).sum()) for own in filled),
            tuple(tuple(np.bincount(place[held[row]], minlength=size).tolist()) for size, row, place in placed),
        )
        for name, held in inside.items()
    }


def drifted_slices(
    reference: Mapping[str, SliceCounts], window: Mapping[str, SliceCounts], bins: Bins, policy: DriftPolicy
) -> dict[str, tuple[ColumnDrift, ...]]:
    """How far each slice's columns surely are from the reference's same slice.

    Of many small slices one looks bad by chance. So the Jensen-Shannon distance and the change of the share of nulls are what
    they are at least: beside what chance adds, two standard errors are taken off.

        js^2 >= found - c (k - 1) - 2 c sqrt(2 (k - 1) + 4 found / c),   c = (1/n + 1/m) / (8 ln 2)

    for k bins, and n and m independent rows, as found / c is a noncentral chi-square where the difference is small.

    Args:
        reference: what `count_slices` counted.
        window: the same of the window.
        bins: of both.
        policy: how many rows a column needs; a slice needs a fifth of them, and at least 50.

    Returns:
        By slice, its columns; `not enough rows` or `drifted` by any amount, faults of the data are not told apart.
    """
    least = max(_FEWEST, policy.min_rows / _OF_MIN_ROWS)
    return {
        name: tuple(_columns(reference[name], now, bins, least)) for name, now in window.items() if name in reference and now.rows
    }


def _columns(then: SliceCounts, now: SliceCounts, bins: Bins, least: float) -> Iterator[ColumnDrift]:
    at = 0
    for number, own in enumerate(bins.columns):
        held = slice(at, at := at + len(own.parts))
        yield _column(own, _period(then, number, held), _period(now, number, held), least)


def _period(own: SliceCounts, number: int, held: slice) -> _Period:
    filled = own.filled[number] * own.worth / max(own.rows, 1)
    return _Period(own.worth, filled, [np.array(each, float) for each in own.parts[held]])


def _column(own: ColumnBins, then: _Period, now: _Period, least: float) -> ColumnDrift:
    column = own.column
    if min(then.filled, now.rows) < least:
        return ColumnDrift(name=column.name, kind=column.kind, table=column.table, verdict="not enough rows")
    distances = [_at_least(one, two, then.filled, now.filled) for one, two in zip(then.parts, now.parts, strict=True)]
    before, after = (max(1 - own.filled / own.rows, 0.0) for own in (then, now))
    error = np.sqrt(before * (1 - before) / then.rows + after * (1 - after) / now.rows)
    surely = np.sign(after - before) * max(abs(after - before) - 2 * error, 0.0)
    return ColumnDrift(
        name=column.name,
        kind=column.kind,
        table=column.table,
        verdict="drifted",
        measures={"js": max(distances, default=0.0)},
        null_share=(float(before), float(before + surely)),
    )


def _at_least(one: Counts, two: Counts, n: float, m: float) -> float:
    if not one.sum() or not two.sum():
        return 0.0
    p, q = one / one.sum(), two / two.sum()
    chance = (1 / min(n, one.sum()) + 1 / min(m, two.sum())) / (8 * np.log(2))
    free, found = np.count_nonzero(p + q) - 1, js(p, q) ** 2
    return float(np.sqrt(max(found - chance * free - 2 * chance * np.sqrt(2 * free + 4 * found / chance), 0.0)))


def _commonest(labels: pl.DataFrame) -> Iterator[str]:
    for dimension in labels.columns:
        found = labels[dimension].drop_nulls().value_counts().sort(["count", dimension], descending=[True, False])
        yield from (f"{dimension}={value}" for value in found[dimension][:_MOST])


def _inside(labels: pl.DataFrame, name: str, height: int) -> npt.NDArray[np.bool_]:
    dimension, _, value = name.partition("=")
    if dimension not in labels.columns:
        return np.zeros(height, bool)
    return (labels[dimension] == value).fill_null(value=False).to_numpy()


def _filled(rows: pl.DataFrame, own: ColumnBins) -> npt.NDArray[np.bool_]:
    if own.column.name not in rows.columns:
        return np.zeros(rows.height, bool)
    values = rows[own.column.name]
    there = values.is_not_null()
    return (there & values.is_finite().fill_null(value=False) if values.dtype.is_float() else there).to_numpy()


def _worth(rows: pl.DataFrame, unit: str | None) -> float:
    """Kish's (sum m)^2 / sum m^2, m rows of a unit."""
    if unit is None or not rows.height:
        return float(rows.height)
    repeats = rows[unit].value_counts()["count"].cast(pl.Float64)
    return float(rows.height**2 / (repeats**2).sum())


def _placed(rows: pl.DataFrame, own: ColumnBins, part: Part) -> tuple[Rows, Rows]:
    """Row and bin of each thing that is counted; as `rankloop.drift.counting` does it in SQL."""
    name = own.column.name
    if name not in rows.columns:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    held = rows.select(pl.int_range(pl.len()).alias("row"), pl.col(name).alias("value")).drop_nulls("value")
    if part.take in ("norm", "distance", "dot"):
        return _projected(held, part)
    if own.column.kind == "text":
        held = held.with_columns(pl.col("value").str.to_lowercase().str.split(" "))
    if part.take == "length":
        held = held.with_columns(pl.col("value").list.len())
    if part.numeric:
        numbers = held["value"].cast(pl.Float64).to_numpy()
        finite = np.isfinite(numbers)
        return held["row"].to_numpy()[finite], np.searchsorted(part.edges, numbers[finite], side="left")
    return _labelled(held if part.take == "value" else held.explode("value").filter(pl.col("value") != ""), part)


def _labelled(held: pl.DataFrame, part: Part) -> tuple[Rows, Rows]:
    places = part.words or {label: place for place, label in enumerate(part.labels)}
    values = held["value"].cast(pl.String).replace({"": EMPTY})
    found = values.replace_strict(places, default=len(part.labels), return_dtype=pl.Int64)
    return held["row"].to_numpy(), found.to_numpy()


def _projected(held: pl.DataFrame, part: Part) -> tuple[Rows, Rows]:
    other, width = np.array(part.vector), len(part.vector)
    wide = held.filter(pl.col("value").list.len() == width)
    vectors = wide["value"].explode().to_numpy().astype(np.float64).reshape(-1, width)  # (rows, width)
    taken = vectors @ other if part.take == "dot" else np.linalg.norm(vectors - other, axis=1)  # of "norm" the other is 0
    finite = np.isfinite(taken)
    return wide["row"].to_numpy()[finite], np.searchsorted(part.edges, taken[finite], side="left")
