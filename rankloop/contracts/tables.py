"""The four tables, their types, and how they lie on disk."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from rankloop.contracts.columns import Columns
from rankloop.errors import DataError

__all__ = ["REQUIRED", "SCHEMAS", "TABLES", "UTC", "Tables"]

UTC: Final = pl.Datetime("us", "UTC")
"""Every time in Rankloop: microseconds, UTC."""

_SKILLS: Final = pl.List(pl.String)

SCHEMAS: Final[dict[str, dict[str, pl.DataType | type[pl.DataType]]]] = {
    "items": {
        Columns.ITEM_ID: pl.String,
        Columns.TITLE: pl.String,
        Columns.DESCRIPTION: pl.String,
        Columns.CATEGORY: pl.String,
        Columns.SKILLS: _SKILLS,
        Columns.COUNTRY: pl.String,
        Columns.BUDGET: pl.Float64,
        Columns.DURATION_DAYS: pl.Float64,
        Columns.OWNER_ID: pl.String,
        Columns.CREATED_AT: UTC,
        Columns.CLOSED_AT: UTC,
    },
    "users": {
        Columns.USER_ID: pl.String,
        Columns.HEADLINE: pl.String,
        Columns.SKILLS: _SKILLS,
        Columns.COUNTRY: pl.String,
        Columns.HOURLY_RATE: pl.Float64,
        Columns.EXPERIENCE_YEARS: pl.Float64,
        Columns.UTC_OFFSET_HOURS: pl.Float64,
        Columns.CREATED_AT: UTC,
    },
    "impressions": {
        Columns.REQUEST_ID: pl.String,
        Columns.TS: UTC,
        Columns.SURFACE: pl.String,
        Columns.USER_ID: pl.String,
        Columns.QUERY: pl.String,
        Columns.ITEM_ID: pl.String,
        Columns.POSITION: pl.Int32,
        Columns.PROPENSITY: pl.Float64,
        Columns.RELEASE_ID: pl.String,
        Columns.FEATURES: pl.List(pl.Float32),
    },
    "outcomes": {
        Columns.TS: UTC,
        Columns.USER_ID: pl.String,
        Columns.ITEM_ID: pl.String,
        Columns.REQUEST_ID: pl.String,
        Columns.KIND: pl.String,
        Columns.VALUE: pl.Float64,
    },
}
"""Column name to type, in order. A table may carry further numeric columns after these."""

REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "items": (Columns.ITEM_ID, Columns.TITLE, Columns.CREATED_AT),
    "users": (Columns.USER_ID, Columns.CREATED_AT),
    "impressions": (
        Columns.REQUEST_ID,
        Columns.TS,
        Columns.SURFACE,
        Columns.USER_ID,
        Columns.ITEM_ID,
        Columns.POSITION,
    ),
    "outcomes": (Columns.TS, Columns.USER_ID, Columns.ITEM_ID, Columns.KIND),
}
"""Columns that must be there and never null; the others are added as nulls when a source lacks them."""

TABLES: Final = tuple(SCHEMAS)


@dataclass(frozen=True)
class Tables:
    """The four contract tables, validated once and never mutated.

    It is not a database: everything is in memory, as Polars frames.

    Example:
        >>> empty = Tables.empty()
        >>> empty.items.columns[:3]
        ['item_id', 'title', 'description']
    """

    items: pl.DataFrame
    users: pl.DataFrame
    impressions: pl.DataFrame
    outcomes: pl.DataFrame

    @classmethod
    def empty(cls) -> "Tables":
        """Four tables with the right columns and no rows."""
        return cls(**{name: pl.DataFrame(schema=schema) for name, schema in SCHEMAS.items()})

    @classmethod
    def from_frames(cls, frames: Mapping[str, pl.DataFrame]) -> "Tables":
        """Builds from a mapping of table name to frame; every contract table must be there."""
        missing = [name for name in TABLES if name not in frames]
        if missing:
            raise DataError(f"tables {missing} are missing; a marketplace has {list(TABLES)}")
        return cls(**{name: frames[name] for name in TABLES})

    @classmethod
    def read(cls, folder: str | Path) -> "Tables":
        """Reads `<folder>/<table>.parquet` for each of the four tables."""
        files = {name: Path(folder) / f"{name}.parquet" for name in TABLES}
        for file in files.values():
            if not file.is_file():
                raise DataError(f"{file} is missing; a folder of contract tables holds one Parquet file a table")
        return cls(**{name: pl.read_parquet(file) for name, file in files.items()})

    def write(self, folder: str | Path) -> None:
        """Writes `<folder>/<table>.parquet`, each aside first and then renamed."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name, frame in self:
            aside = target / f".{name}.parquet.part"
            frame.write_parquet(aside)
            aside.rename(target / f"{name}.parquet")

    def __iter__(self) -> Iterator[tuple[str, pl.DataFrame]]:
        return iter((name, getattr(self, name)) for name in TABLES)

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        return {name: frame.height for name, frame in self}
