"""Weights on disk: one npz of arrays and one JSON of the rest, never pickle."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rankloop.errors import ModelError

__all__ = ["check_finite", "read", "write"]

_ARRAYS, _REST = "weights.npz", "retriever.json"

Arrays = dict[str, npt.NDArray[Any]]


def write(folder: Path, rest: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes arrays and everything else into an existing, empty folder; the same content is the same bytes."""
    (folder / _REST).write_text(json.dumps(rest, sort_keys=True, ensure_ascii=False), encoding="utf-8")
    np.savez(folder / _ARRAYS, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle


def read(folder: Path, names: Iterable[str]) -> tuple[dict[str, Any], Arrays]:
    """What `write` wrote.

    Args:
        folder: where it was written.
        names: the arrays that must be there.

    Raises:
        ModelError: a file or an array is missing, or a weight is NaN or infinite.
    """
    for file in (_REST, _ARRAYS):
        if not (folder / file).is_file():
            raise ModelError(f"{folder / file} is missing; a retriever is {_REST} and {_ARRAYS}")
    rest: dict[str, Any] = json.loads((folder / _REST).read_text(encoding="utf-8"))
    with np.load(folder / _ARRAYS, allow_pickle=False) as archive:
        missing = [name for name in names if name not in archive]
        if missing:
            raise ModelError(f"{folder / _ARRAYS} lacks {missing}; it was written by another version or is damaged")
        arrays = {name: archive[name] for name in names}
    check_finite(str(folder), arrays)
    return rest, arrays


def check_finite(what: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raises ModelError where a float array holds NaN or infinity."""
    for name, array in arrays.items():
        bad = np.count_nonzero(~np.isfinite(array)) if np.issubdtype(array.dtype, np.inexact) else 0
        if bad:
            raise ModelError(f"{what}: {bad} of {array.size} values of {name!r} are NaN or infinite; fit it again")
