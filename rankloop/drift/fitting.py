"""The bins that a reference's sample gives, one function for each kind."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankloop.drift.bins import Bins, ColumnBins, Part, Take
from rankloop.drift.column import Column
from rankloop.drift.topics import topics

__all__ = ["fit"]

_CUTS: Final = np.array([0.01, *np.arange(0.05, 0.96, 0.05), 0.99])
_FEW: Final = 20
_HEAVY: Final = 0.03
_LABELS: Final = 60
_KNOWN: Final = 2_000
_RANDOM: Final = 1
_PRINCIPAL: Final = 3
_VECTORS: Final = 20_000

Floats = NDArray[np.float64]


def fit(columns: tuple[Column, ...], sample: pl.DataFrame) -> Bins:
    """The bins of the columns.

    Args:
        columns: all of them.
        sample: the reference's sampled rows, column `c<i>` for the i-th one; a column that is not there has no parts.
    """
    fitted = []
    for at, column in enumerate(columns):
        values = sample[f"c{at}"].drop_nulls() if f"c{at}" in sample.columns else pl.Series([])
        fitted.append(ColumnBins(column, _FIT[column.kind](values) if len(values) else ()))
    return Bins(tuple(fitted))


def numbers(name: str, take: Take, values: Floats, vector: tuple[float, ...] = ()) -> tuple[Part, ...]:
    """Bins of numbers: each value its own where they are few, else quantiles, with a bin of its own for a heavy value."""
    values = np.sort(values[np.isfinite(values)])
    if not len(values):
        return ()
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= _FEW:
        edges = distinct
    else:
        heavy = distinct[counts >= _HEAVY * len(values)]
        light = values[~np.isin(values, heavy)] if len(heavy) else values
        cuts = np.quantile(light, _CUTS) if len(light) > len(_CUTS) else np.empty(0)
        edges = np.unique(np.concatenate([cuts, heavy, np.nextafter(heavy, -np.inf)]))
    ends = [0, *np.searchsorted(values, edges, side="right").tolist(), len(values)]
    centres = [_middle(values[a:b]) for a, b in pairwise(ends)]
    return (Part(name, take, edges=tuple(edges.tolist()), centres=_filled(centres, edges), vector=vector),)


def _middle(ascending: Floats) -> float:
    """The median of sorted numbers; NaN of none."""
    half = len(ascending) // 2
    if not len(ascending):
        return np.nan
    return float(ascending[half] if len(ascending) % 2 else (ascending[half - 1] + ascending[half]) / 2)


def _filled(centres: list[float], edges: Floats) -> tuple[float, ...]:
    """Centres with those of empty bins put at the nearest edge; ascending."""
    ends = [*edges.tolist(), float(edges[-1])]
    return tuple(
        np.maximum.accumulate([end if np.isnan(centre) else centre for centre, end in zip(centres, ends, strict=True)]).tolist()
    )


def _labels(name: str, take: Take, values: pl.Series) -> Part:
    found = values.value_counts().sort(["count", values.name], descending=[True, False])
    labels = found[values.name].to_list()
    return Part(name, take, labels=tuple(labels[:_LABELS]), known=tuple(labels[_LABELS:_KNOWN]))


def _numeric(values: pl.Series) -> tuple[Part, ...]:
    return numbers("value", "value", values.to_numpy())


def _category(values: pl.Series) -> tuple[Part, ...]:
    return (_labels("value", "value", values.rename("label")),)


def _list(values: pl.Series) -> tuple[Part, ...]:
    lengths = numbers("length", "length", values.list.len().cast(pl.Float64).to_numpy())
    elements = values.explode().drop_nulls().rename("label")
    return (_labels("elements", "elements", elements), *lengths) if len(elements) else lengths


def _text(values: pl.Series) -> tuple[Part, ...]:
    found = topics(values)
    if not found:
        return ()
    names = tuple(found)
    words = {word: at for at, name in enumerate(names) for word in found[name]}
    lengths = numbers("length", "length", values.list.len().cast(pl.Float64).to_numpy())
    return (Part("topics", "words", labels=names, words=words), *lengths)


def _embedding(values: pl.Series) -> tuple[Part, ...]:
    """Length, distance from the mean, the three directions of most variance, and one that is drawn.

    A shift across all those directions at once is still seen: it moves the distance from the mean.
    """
    width = int(values.list.len().mode().sort()[0])
    rows = values.filter(values.list.len() == width)[:_VECTORS]
    vectors = rows.explode().to_numpy().astype(np.float64).reshape(-1, width)
    vectors = vectors[np.isfinite(vectors).all(axis=1)]  # (rows, width)
    if not len(vectors) or not width:
        return ()
    mean = vectors.mean(axis=0)
    _, turned = np.linalg.eigh(np.cov(vectors, rowvar=False).reshape(width, width))
    directions = [*turned.T[::-1][:_PRINCIPAL], *np.random.default_rng(0).normal(size=(_RANDOM, width)) / np.sqrt(width)]
    centre = tuple(mean.tolist())
    parts = [*numbers("norm", "norm", np.linalg.norm(vectors, axis=1), (0.0,) * width)]
    parts += numbers("distance from the mean", "distance", np.linalg.norm(vectors - mean, axis=1), centre)
    for at, direction in enumerate(directions):
        signed = direction * (1.0 if direction[np.abs(direction).argmax()] > 0 else -1.0)
        parts += numbers(f"direction {at + 1}", "dot", vectors @ signed, tuple(signed.tolist()))
    return tuple(parts)


_FIT: Final[Mapping[str, Callable[[pl.Series], tuple[Part, ...]]]] = {
    "numeric": _numeric,
    "category": _category,
    "list": _list,
    "text": _text,
    "embedding": _embedding,
}
