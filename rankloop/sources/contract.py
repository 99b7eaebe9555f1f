"""Tables that are in the contract's columns already."""

from contextlib import ExitStack

import polars as pl

from rankloop.contracts import TABLES
from rankloop.errors import SourceError
from rankloop.sources.files import Frames
from rankloop.sources.places import resolve, scan, there

__all__ = ["read"]


def read(path: str) -> Frames:
    """Reads `<table>.parquet`, or every Parquet file in a folder `<table>/`, for each of the four tables.

    Args:
        path: the folder that holds them, here or at an fsspec URL such as `s3://lake/tables`.

    Raises:
        SourceError: a table is missing, its files differ in their columns, or a file is not Parquet.
    """
    frames = {}
    for table in TABLES:
        # these names are ours, so a link among them was put there on purpose
        places = [resolve(name, path)._replace(root=None) for name in (f"{table}.parquet", table)]
        place = next((place for place in places if there(place)), None)
        if place is None:
            raise SourceError(f"{path} has neither {table}.parquet nor {table}/*.parquet; it must hold {list(TABLES)}")
        try:
            with ExitStack() as stack:
                frames[table] = scan(place, "parquet", stack, separator=",", missing=[]).collect(engine="streaming")
        except (pl.exceptions.PolarsError, OSError) as error:
            raise SourceError(f"{place.path}: {table} cannot be read: {error}") from error
    return frames
