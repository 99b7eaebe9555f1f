"""Tables that are in the contract's columns already."""

import polars as pl

from rankloop.contracts import TABLES
from rankloop.errors import SourceError
from rankloop.sources.files import Frames, folder

__all__ = ["read"]


def read(path: str) -> Frames:
    """Reads `<table>.parquet`, or every Parquet file in a folder `<table>/`, for each of the four tables.

    Raises:
        SourceError: a table is missing, its files differ in their columns, or a file is not Parquet.
    """
    place = folder(path)
    frames = {}
    for table in TABLES:
        single = place / f"{table}.parquet"
        files = [single] if single.is_file() else sorted((place / table).glob("*.parquet"))
        if not files:
            raise SourceError(f"{place} has neither {table}.parquet nor {table}/*.parquet; it must hold {list(TABLES)}")
        try:
            frames[table] = pl.read_parquet(files)
        except pl.exceptions.PolarsError as error:
            raise SourceError(f"{files[0].parent}: {table} cannot be read: {error}") from error
    return frames
