"""Finding and scanning files, with errors that say what is there instead."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import polars as pl

from rankloop.contracts.suggest import closest
from rankloop.errors import SourceError

__all__ = ["Frames", "existing", "folder", "lists", "named", "require", "scan_texts"]

Frames = dict[str, pl.DataFrame]
"""Contract table name to raw rows in contract columns, not yet validated."""

MISSING: Final = ["", "NA"]


def folder(path: str) -> Path:
    """The folder at `path`.

    Raises:
        SourceError: there is none.
    """
    target = Path(path)
    if not target.is_dir():
        raise SourceError(f"{target} is not a folder; give the folder that holds the data's files")
    return target


def existing(place: Path, name: str) -> Path:
    """The file `name` or `name.gz` in a folder.

    Raises:
        SourceError: neither is there.
    """
    for file in (place / name, place / f"{name}.gz"):
        if file.is_file():
            return file
    there = sorted(file.name for file in place.iterdir())
    raise SourceError(f"{place} has no {name} or {name}.gz; it has {there}{closest(name, there)}")


def require(file: object, wanted: Iterable[str], there: list[str], where: str = "") -> None:
    """Checks that a file has the columns an adapter reads.

    Raises:
        SourceError: one is missing; the message names the file, the column, what is there and the nearest of it.
    """
    for column in wanted:
        if column not in there:
            raise SourceError(f"{where}{file} has no column {column!r}; it has {there}{closest(column, there)}")


def scan_texts(file: Path, columns: list[str]) -> pl.LazyFrame:
    """Columns of a CSV file with a header, all as text, lazily; empty and `NA` are null."""
    scan = pl.scan_csv(file, infer_schema=False, null_values=MISSING)
    require(file, columns, scan.collect_schema().names())
    return scan.select(pl.col(columns).str.strip_chars())


def lists(file: Path) -> pl.LazyFrame:
    """Lines of `user item item ...`, one row an item: `user`, `item`, `nth` (0-based) and `of` (items in the line).

    Raises:
        SourceError: a user stands at the start of two lines.
    """
    words = pl.col("line").str.extract_all(r"\S+")
    lines = pl.scan_csv(file, has_header=False, separator="\x01", quote_char=None, new_columns=["line"], infer_schema=False)
    users = lines.select(user=words.list.first(), items=words.list.slice(1)).filter(pl.col("user").is_not_null())
    twice = users.filter(pl.col("user").is_duplicated()).select("user").head(1).collect()
    if twice.height:
        raise SourceError(f"{file}: user {twice.item()!r} has two lines; a line holds everything of one user")
    counted = users.with_columns(of=pl.col("items").list.len().cast(pl.Int64), nth=pl.int_ranges(pl.col("items").list.len()))
    return counted.filter(pl.col("of") > 0).explode("items", "nth", empty_as_null=False).rename({"items": "item"})


def named(columns: Mapping[str, str | pl.Expr]) -> list[pl.Expr]:
    """Expressions under new names, for `select`; a text means the column of that name."""
    return [(pl.col(value) if isinstance(value, str) else value).alias(name) for name, value in columns.items()]
