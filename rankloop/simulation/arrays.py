"""Small operations on arrays, and on records of arrays, that several parts of the simulation share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "Ints", "concatenate", "grid", "load", "pick", "save", "strongest", "take"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

R = TypeVar("R", bound=tuple[Any, ...])
"""A record: a named tuple whose every field is an array with one row a thing."""


def grid(values: npt.ArrayLike) -> Floats:
    """Rounds to multiples of 1/64 within [-4, 4].

    Products and sums of such numbers are exact in float32, so that a dot product has the same bytes
    whatever the number of threads or the order of the sum.

    Example:
        >>> grid([0.1, 9.0])
        array([0.09375, 4.     ], dtype=float32)
    """
    return (np.rint(np.clip(values, -4, 4) * 64.0) / 64.0).astype(np.float32)


def pick(weights: npt.ArrayLike, size: int, rng: np.random.Generator) -> Ints:
    """`size` places, each with probability proportional to its weight, `(size,)`."""
    edges = np.cumsum(np.asarray(weights, np.float64))
    places: Ints = np.searchsorted(edges, rng.random(size) * edges[-1], side="right").astype(np.int64)
    return places


def strongest(weights: Floats, counts: Ints, rng: np.random.Generator) -> Ints:
    """Draws without replacement, row by row, by the Gumbel top-k trick.

    Args:
        weights: `(n, m)`, at least 0; a place of weight 0 is never drawn.
        counts: `(n,)`, how many places each row wants.

    Returns:
        `(n, max count)`, at least one wide: places in the order drawn, -1 behind the last.

    Source: Kool, van Hoof, Welling (2019), Stochastic Beams and Where to Find Them, section 2.3.
    """
    width = int(counts.max(initial=1))
    with np.errstate(divide="ignore"):
        keys = np.log(weights) + rng.gumbel(size=weights.shape).astype(np.float32)
    order = np.argsort(-keys, axis=1, kind="stable")[:, :width]
    drawn = np.isfinite(np.take_along_axis(keys, order, axis=1)) & (np.arange(width) < counts[:, None])
    return np.where(drawn, order, -1).astype(np.int64)


def concatenate(parts: Sequence[R]) -> R:
    """Joins records, field by field."""
    kind: Any = type(parts[0])
    joined: R = kind(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return joined


def take(record: R, rows: npt.NDArray[Any]) -> R:
    """The rows of a record; `rows` are places, a mask or a slice's range."""
    kind: Any = type(record)
    taken: R = kind(*(column[rows] for column in record))
    return taken


def save(record: Any, file: Path) -> None:
    """Writes a record as npz, one array a field."""
    np.savez(file, **record._asdict())


def load(kind: type[R], file: Path) -> R:
    """Reads what `save` wrote; never a pickle."""
    with np.load(file, allow_pickle=False) as stored:
        return kind(**{name: stored[name] for name in stored.files})
