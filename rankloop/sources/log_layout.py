"""How the log of a running service lies in files: `<table>/date=YYYY-MM-DD/hour=HH/<name>.parquet`."""

import re
from datetime import UTC as UTC_ZONE
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from rankloop.contracts import SCHEMAS, UTC, Columns

__all__ = ["ERASURES", "LOG_SCHEMAS", "LOG_TABLES", "MOMENTS", "SUFFIX", "hour_of", "partition"]

LOG_SCHEMAS: Final[dict[str, dict[str, pl.DataType | type[pl.DataType]]]] = {
    "impressions": {
        **{name: kind for name, kind in SCHEMAS["impressions"].items() if name != Columns.PROPENSITY},
        Columns.SCORE: pl.Float64,
        Columns.SOURCE: pl.String,
        Columns.FEATURE_NAMES: pl.String,
        Columns.AS_OF: UTC,
        Columns.FALLBACK: pl.String,
        Columns.MICROS: pl.Int64,
    },
    "outcomes": {
        **SCHEMAS["outcomes"],
        Columns.EVENT_ID: pl.String,
        Columns.RECEIVED: UTC,
    },
    "quarantine": {
        Columns.TS: UTC,
        Columns.REASON: pl.String,
        Columns.RAW: pl.Binary,
    },
}
"""The columns of the log's files. The contract's come first; in `quarantine` the time is when the row was refused."""

LOG_TABLES: Final = tuple(LOG_SCHEMAS)

MOMENTS: Final[dict[str, tuple[str, ...]]] = {
    "impressions": (Columns.TS,),
    "outcomes": (Columns.TS, Columns.RECEIVED),
    "quarantine": (Columns.TS,),
}
"""The times of a row; an erasure takes the row when the earliest is not after it, whatever a person's clock said."""

ERASURES: Final = "erasures"
"""The folder beside the tables that says who was erased, a file for each key; see `rankloop.erasures`."""

SUFFIX: Final = ".parquet"

_HOUR: Final = re.compile(r"/date=(\d{4}-\d\d-\d\d)/hour=(\d\d)/[^/]+$")


def partition(ts: pl.Expr) -> pl.Expr:
    """The folder within its table that a row's time belongs to.

    Example:
        >>> pl.DataFrame({"ts": [0]}).select(partition(pl.col("ts").cast(UTC))).item()
        'date=1970-01-01/hour=00'
    """
    return ts.dt.strftime("date=%Y-%m-%d/hour=%H")


def hour_of(path: str) -> datetime | None:
    """The first moment of the hour that a file of the log belongs to; None where its folders name no hour.

    Example:
        >>> hour_of("s3://lake/log/outcomes/date=2026-03-01/hour=09/a.parquet").isoformat()
        '2026-03-01T09:00:00+00:00'
    """
    found = _HOUR.search(path)
    try:
        return datetime.fromisoformat(found[1]).replace(tzinfo=UTC_ZONE) + timedelta(hours=int(found[2])) if found else None
    except ValueError:
        return None
