"""The history a release of full size is made from: simulated once, and kept below `.rankloop/benchmarks/`."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from benchmarks.result import ROOT
from rankloop.contracts import Columns, Tables
from rankloop.errors import ModelError
from rankloop.simulation import Marketplace, Scale

__all__ = ["SHELF", "Size", "history", "last_moment", "version"]

SHELF: Final = ROOT / ".rankloop" / "benchmarks"
"""Where what takes long to make is kept."""

_PARTS: Final = ("rankloop/simulation", "rankloop/contracts", "benchmarks/load/history.py")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """How large the release is; the bars are about `FULL`.

    Attributes:
        items: open items in the catalogue, exactly.
        depth: candidates the ranker sees.
        trees: exactly.
        leaves: of each tree, exactly.
        scale: the history it is made from, which must leave more open items than `items`.
    """

    items: int
    depth: int
    trees: int
    leaves: int
    scale: Scale


def history(size: Size, say: Say) -> Tables:
    """Simulated tables whose items are exactly `size.items` that are open at the end."""
    folder = SHELF / f"history-{size.items}-{version(_PARTS, size)}"
    names = ("items", "users", "impressions", "outcomes")
    if not (folder / "whole").exists():
        market = Marketplace(size.scale, rng=7)
        tables = _open_only(market.history(lambda done, days: say(f"simulated day {done} of {days}")), size.items)
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            getattr(tables, name).write_parquet(folder / f"{name}.parquet")
        (folder / "whole").touch()
    return Tables(**{name: pl.read_parquet(folder / f"{name}.parquet") for name in names})


def _open_only(tables: Tables, items: int) -> Tables:
    """Leaves out what closed, and the oldest of what did not: the rest was there, and is, all the time."""
    still = pl.col(Columns.CLOSED_AT).is_null() | (pl.col(Columns.CLOSED_AT) > last_moment(tables) + timedelta(days=1))
    kept = tables.items.filter(still).sort(Columns.CREATED_AT, Columns.ITEM_ID).tail(items)
    if kept.height < items:
        raise ModelError(f"the simulated history ends with {kept.height} open items; {items} are wanted: post more in its scale")
    kept = kept.with_columns(pl.lit(None, kept.schema[Columns.CLOSED_AT]).alias(Columns.CLOSED_AT))
    ours = pl.col(Columns.ITEM_ID).is_in(kept[Columns.ITEM_ID].implode())
    return replace(tables, items=kept, impressions=tables.impressions.filter(ours), outcomes=tables.outcomes.filter(ours))


def last_moment(tables: Tables) -> datetime:
    """The newest outcome's."""
    last = tables.outcomes[Columns.TS].max()
    assert isinstance(last, datetime)
    return last


def version(parts: tuple[str, ...], size: Size) -> str:
    """A fingerprint of the code that makes it and of its size."""
    digest = hashlib.sha256(repr(size).encode())
    for part in parts:
        path = ROOT / part
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.suffix in {".py", ".sql", ".json"})
        for file in files:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
