"""A simulated marketplace whose last days go wrong in one way or another, and stay well in one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from rankloop.contracts import Columns, Tables
from rankloop.simulation import CategoryVanishes, GoesNull, Marketplace, Scale, TastesShift, TextsGarbled, UnitChange
from rankloop.simulation.faults import Fault
from rankloop.splits import before
from services.cli.simulated import scale_for

__all__ = ["Market", "made"]

_SEED: Final = 11
_WINDOW_DAYS: Final = 7
Say = Callable[[str], None]


@dataclass(frozen=True)
class Market:
    """Folders of contract tables.

    Attributes:
        known: what the release learns from: the history without its last week.
        well: all of it, nothing wrong.
        hurt: by what goes wrong in the last week, all of it.
        until: the end of the last week, UTC.
        hours: how long that week is.
    """

    known: Path
    well: Path
    hurt: Mapping[str, Path]
    until: datetime
    hours: float = 24.0 * _WINDOW_DAYS


def made(folder: Path, impressions: int, faults: Sequence[str], say: Say) -> Market:
    """Simulates each of them, with the same people, jobs and chances.

    Args:
        folder: where the tables go.
        impressions: how many, about.
        faults: of `unit change`, `nulls`, `vanished category`, `taste shift`, `skewed embedding`.
        say: takes a line of progress.
    """
    scale = scale_for(impressions)
    begins = scale.days - _WINDOW_DAYS
    say("simulating a marketplace")
    well = _written(folder / "well", scale)
    common = pl.read_parquet(well / "items.parquet")[Columns.CATEGORY].value_counts(sort=True)[0, Columns.CATEGORY]
    known_faults: dict[str, Fault] = {
        "unit change": UnitChange(begins),
        "nulls": GoesNull(begins),
        "vanished category": CategoryVanishes(begins, common),
        "taste shift": TastesShift(begins),
        "skewed embedding": TextsGarbled(begins),
    }
    hurt = {}
    for name in faults:
        say(f"simulating it with a {name} in its last week")
        hurt[name] = _written(folder / name.replace(" ", "-"), scale, known_faults[name])
    end = scale.start + timedelta(days=begins)
    before(Tables.read(well), end).write(folder / "known")
    return Market(folder / "known", well, hurt, scale.start + timedelta(days=scale.days))


def _written(folder: Path, scale: Scale, *faults: Fault) -> Path:
    market = Marketplace(scale, rng=_SEED, faults=faults)
    market.history().write(folder)
    market.truth.save(folder / "truth")
    return folder
