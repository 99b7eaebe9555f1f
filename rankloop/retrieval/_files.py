"""Weights on disk: a .npy file an array and one JSON of the rest, never pickle."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rankloop.errors import ModelError

__all__ = ["check_finite", "read", "write"]

_REST: Final = "retriever.json"

Arrays = dict[str, npt.NDArray[Any]]


def write(folder: Path, rest: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes arrays and everything else into an existing, empty folder; the same content is the same bytes."""
    (folder / _REST).write_text(json.dumps(rest, sort_keys=True, ensure_ascii=False), encoding="utf-8")
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)


def read(folder: Path, names: Iterable[str]) -> tuple[dict[str, Any], Arrays]:
    """What `write` wrote; the arrays are mapped from their files, so that processes on one machine share their pages.

    Args:
        folder: where it was written.
        names: the arrays that must be there.

    Raises:
        ModelError: a file is missing or damaged, or a weight is NaN or infinite.
    """
    if not (folder / _REST).is_file():
        raise ModelError(f"{folder / _REST} is missing; a retriever is {_REST} and its arrays: package the release again")
    rest: dict[str, Any] = json.loads((folder / _REST).read_text(encoding="utf-8"))
    arrays = {name: _mapped(folder / f"{name}.npy") for name in names}
    check_finite(str(folder), arrays)
    return rest, arrays


def check_finite(what: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raises ModelError where a float array holds NaN or infinity."""
    for name, array in arrays.items():
        bad = np.count_nonzero(~np.isfinite(array)) if np.issubdtype(array.dtype, np.inexact) else 0
        if bad:
            raise ModelError(f"{what}: {bad} of {array.size} values of {name!r} are NaN or infinite; fit it again")


def _mapped(file: Path) -> npt.NDArray[Any]:
    try:
        # a view of the map as a plain array: NumPy's own subclass costs microseconds at every slice
        return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
    except FileNotFoundError as error:
        raise ModelError(f"{file} is missing; it was written by another version or is damaged: fit it again") from error
    except (ValueError, EOFError, OSError) as error:
        raise ModelError(f"{file} is no array ({error}); fit the retriever again") from error
