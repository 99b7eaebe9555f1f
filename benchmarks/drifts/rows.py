"""Sixty columns of many shapes, each of which can be changed by a known amount."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rankloop.drift import Column

__all__ = ["CATEGORIES", "COLUMNS", "NUMBERS", "PLAIN", "frame", "write"]

NUMBERS: Final = tuple(f"number_{at}" for at in range(42))
CATEGORIES: Final = tuple(f"category_{at}" for at in range(12))
PLAIN: Final = NUMBERS + CATEGORIES
"""The columns that others can take too."""

_LISTS: Final = ("skills", "badges")
_TEXTS: Final = ("title", "query")
_VECTORS: Final = ("job", "person")
_WIDTH: Final = 32
_CHUNK: Final = 250_000
_SIZES: Final = (3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 400, 1000)

COLUMNS: Final = (
    *(Column(name, "numeric", "features") for name in NUMBERS),
    *(Column(name, "category", "users") for name in CATEGORIES),
    *(Column(name, "list", "items") for name in _LISTS),
    *(Column(name, "text", "items") for name in _TEXTS),
    *(Column(name, "embedding", "items") for name in _VECTORS),
)


def frame(
    count: int, rng: int | Sequence[int], changes: Mapping[str, float] | None = None, *, plain: bool = False
) -> pl.DataFrame:
    """Rows of all columns.

    Args:
        count: how many.
        rng: the seed.
        changes: by column how much it is changed, 0 not at all; about the number of standard deviations of a shift.
        plain: only numbers and categories.
    """
    draw, changed = np.random.default_rng(rng), changes or {}
    made: dict[str, Any] = {name: _numbers(at, draw, count, changed.get(name, 0.0)) for at, name in enumerate(NUMBERS)}
    for at, name in enumerate(CATEGORIES):
        made[name] = _labels(draw, count, _SIZES[at], changed.get(name, 0.0))
    if plain:
        return pl.DataFrame(made)
    for name in _LISTS:
        made[name] = _together(draw, count, 60, 3, changed.get(name, 0.0)).select(pl.concat_list(pl.all())).to_series()
    for name in _TEXTS:
        made[name] = (
            _together(draw, count, 600, 5, changed.get(name, 0.0)).select(pl.concat_str(pl.all(), separator=" ")).to_series()
        )
    for name in _VECTORS:
        vectors = draw.normal(changed.get(name, 0.0) / 3, 1, (count, _WIDTH)).astype(np.float32)
        made[name] = pl.Series(vectors, dtype=pl.Array(pl.Float32, _WIDTH)).arr.to_list()
    return pl.DataFrame(made)


def write(path: Path, count: int, rng: int, changes: Mapping[str, float] | None = None) -> Path:
    """Writes such rows as Parquet, a part at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    for number, start in enumerate(range(0, count, _CHUNK)):
        part = frame(min(_CHUNK, count - start), [rng, number], changes).to_arrow()
        writer = writer or pq.ParquetWriter(path, part.schema)
        writer.write_table(part)
    if writer:
        writer.close()
    return path


def _numbers(at: int, draw: np.random.Generator, count: int, change: float) -> NDArray[np.float64]:
    shape = at % 7
    if shape == 0:
        return draw.normal(change, 1, count)
    if shape == 1:
        return draw.lognormal(0.8 * change, 0.8, count)
    if shape == 2:
        return np.where(draw.uniform(size=count) < 0.4, 0.0, draw.exponential(1 + change, count))
    if shape == 3:
        return draw.poisson(3 * (1 + 0.6 * change), count).astype(float)
    if shape == 4:
        return draw.uniform(0, 1 + 0.5 * change, count)
    if shape == 5:
        return draw.normal(np.where(draw.uniform(size=count) < 0.5 + 0.4 * min(change, 1.0), 4.0, 0.0), 1)
    return (draw.uniform(size=count) < 0.1 + 0.3 * min(change, 1.0)).astype(float)


def _labels(draw: np.random.Generator, count: int, size: int, change: float) -> pl.Series:
    weights = 1 / np.arange(1, size + 1) ** (1 + 0.6 * change)
    drawn = np.searchsorted(np.cumsum(weights / weights.sum()), draw.uniform(size=count)).clip(max=size - 1)
    return pl.Series([f"value {at}" for at in range(size)]).gather(drawn)


def _together(draw: np.random.Generator, count: int, size: int, each: int, change: float) -> pl.DataFrame:
    return pl.DataFrame({str(at): _labels(draw, count, size, change).str.strip_prefix("value ") for at in range(each)})
