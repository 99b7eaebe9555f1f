"""The simulated marketplace behind a folder of tables: its truth, and who had applied for what."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from rankloop.contracts import Columns
from rankloop.errors import DataError
from rankloop.simulation import Crowd, Marketplace, Scale, Truth

__all__ = ["crowd_of", "find_folder", "open_truth"]

_MADE: Final = "made.json"
_TRUTH: Final = "truth"


def find_folder(home: Path) -> Path:
    """The marketplace that was simulated last under a home folder.

    Raises:
        DataError: there is none.
    """
    made = [file for file in (home / "data").glob(f"simulated-*/{_MADE}") if file.is_file()]
    if not made:
        raise DataError(
            f"{home / 'data'} holds no simulated marketplace; make one with `rankloop demo`, or name its folder with --data"
        )
    return max(made, key=lambda file: file.stat().st_mtime_ns).parent


def open_truth(folder: Path) -> Truth:
    """The true preferences for the very items of a folder's tables: read, or made again from its record.

    Raises:
        DataError: the folder is not a simulated marketplace's.
    """
    if (folder / _TRUTH / "world.json").is_file():
        return Truth.load(folder / _TRUTH)
    try:
        made: dict[str, Any] = json.loads((folder / _MADE).read_text("utf-8"))
        fields = {**made["scale"], "start": datetime.fromisoformat(made["scale"]["start"])}
        return Marketplace(Scale(**fields), rng=made["seed"]).truth
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder} is no simulated marketplace ({error}), so nobody knows what people there like; name the folder that "
            "`rankloop demo` wrote"
        ) from error


def crowd_of(folder: Path, *, seed: int, people: int | None = None) -> Crowd:
    """The people of a folder's marketplace, who remember what they applied for in its log.

    Args:
        folder: what `rankloop demo` simulated.
        seed: the same seed brings the same people in the same order.
        people: how many different ones; None: all.

    Raises:
        DataError: the folder is not a simulated marketplace's, or has fewer people.
    """
    truth = open_truth(folder)
    outcomes = folder / "outcomes.parquet"
    applied: list[tuple[Any, ...]] = []
    if outcomes.is_file():
        pairs = pl.scan_parquet(outcomes).filter(pl.col(Columns.KIND) == "apply").select(Columns.USER_ID, Columns.ITEM_ID)
        applied = pairs.collect().rows()
    return Crowd(truth, rng=seed, people=people, applied=msgspec.convert(applied, list[tuple[str, str]]))
