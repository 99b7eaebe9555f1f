"""Public data sets as their publishers lay them out, and catalogues without a log."""

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from scipy import sparse

from rankloop.contracts import SCHEMAS, Tables

__all__ = ["check_ins", "csv_rows", "items_only", "matrix_of", "tsv_rows"]


def items_only(columns: Mapping[str, list[str]]) -> Tables:
    """Tables of items alone."""
    empty, rows = Tables.empty(), len(columns["item_id"])
    items = pl.DataFrame({name: columns.get(name, [None] * rows) for name in SCHEMAS["items"]}, schema=SCHEMAS["items"])
    return Tables(items, empty.users, empty.impressions, empty.outcomes)


def matrix_of(rows: Sequence[Sequence[int]], items: int) -> sparse.csr_matrix:
    """1 where a row holds an item, `(rows, items)`."""
    row = np.repeat(np.arange(len(rows)), [len(own) for own in rows])
    item = [item for own in rows for item in own]
    matrix = sparse.csr_matrix((np.ones(len(row), np.float32), (row, item)), (len(rows), items))
    matrix.data[:] = 1
    return matrix


def check_ins(file: Path, users: int | None) -> list[list[int]]:
    """Items of each user, from lines of `user item item ...`."""
    with gzip.open(file, "rt") as lines:
        rows = {int(user): [int(item) for item in items] for user, *items in map(str.split, lines)}
    return [rows.get(user, []) for user in range(users or max(rows) + 1)]


def csv_rows(file: Path) -> list[dict[str, str]]:
    """Rows of a gzipped CSV with a header."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def tsv_rows(file: Path) -> Iterator[list[str]]:
    """Tab-separated rows."""
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    yield from (line.split("\t") for line in text.decode("utf-8").splitlines())
