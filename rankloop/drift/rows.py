"""Rows wherever they are: Parquet files, a frame, an Arrow table, a DuckDB relation; asked by SQL."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl

from rankloop.drift.column import Column
from rankloop.drift.values import TABLE, text, value, words
from rankloop.errors import DataError

__all__ = ["Relation", "Rows", "opened"]

Relation = Any
"""A path or paths of Parquet (a glob too), a `pl.DataFrame`, a `pa.Table` or a `duckdb.DuckDBPyRelation`."""

_SALT: Final = 1_000_003


class Rows:
    """Rows that can be asked.

    Args:
        ask: runs a query over `TABLE`.
        numbered: `TABLE` with a column `row_number` that does not depend on threads.
    """

    def __init__(self, relation: duckdb.DuckDBPyRelation, numbered: str) -> None:
        self._relation, self._numbered = relation, numbered
        self.types = dict(zip(relation.columns, map(str, relation.types), strict=True))
        self.count = int(self.ask("SELECT count(*) FROM seen")[0])

    def ask(self, query: str) -> tuple[Any, ...]:
        """The one row that a query over `TABLE` gives."""
        return tuple(self._over(query).fetchall()[0])

    def sample(self, columns: Sequence[Column], most: int) -> pl.DataFrame:
        """About `most` rows, the same at each call; a text is the list of its words.

        Rows are drawn by a hash of their number: every k-th row would always meet the same position of equally long lists.
        """
        every = max(round(self.count / most), 1)
        names = [f'{_sampled(column)} AS "c{at}"' for at, column in enumerate(columns)]
        taken = f"hash(row_number + {_SALT}) % {every} = 0"
        frame: pl.DataFrame = self._over(f"SELECT {', '.join(names) or 'NULL AS none'} FROM {self._numbered} WHERE {taken}").pl()
        return frame

    def _over(self, query: str) -> duckdb.DuckDBPyRelation:
        found = self._relation.query(TABLE, query)
        assert found is not None, "a SELECT gives a relation"
        return found

    def worth(self, unit: str | None) -> float:
        """How many independent rows these are worth: Kish's (sum m)^2 / sum m^2, m rows of a unit; without one, the rows."""
        if unit is None or not self.count:
            return float(self.count)
        name = '"' + unit.replace('"', '""') + '"'
        squares = self.ask(f"SELECT sum(m * m)::DOUBLE FROM (SELECT count(*)::DOUBLE AS m FROM seen GROUP BY {name})")
        return self.count**2 / float(squares[0])


@contextmanager
def opened(relation: Relation, threads: int, memory: str) -> Iterator[Rows]:
    """Opens rows for queries, in a DuckDB of their own unless they are a DuckDB relation.

    Raises:
        DataError: they cannot be read, or a query over them fails.
    """
    connection = duckdb.connect(config={"threads": threads, "memory_limit": memory})
    try:
        connection.execute("SET enable_progress_bar = false")  # a long query would draw on whatever the terminal is
        yield _rows(connection, relation)
    except duckdb.Error as error:
        raise DataError(
            f"drift: the rows cannot be counted ({error}); each column must have the kind it is declared with"
        ) from error
    finally:
        connection.close()


def _rows(connection: duckdb.DuckDBPyConnection, relation: Relation) -> Rows:
    numbered = "(SELECT *, row_number() OVER () AS row_number FROM seen)"
    if isinstance(relation, duckdb.DuckDBPyRelation):
        return Rows(relation, numbered)
    if isinstance(relation, str | Path) or (isinstance(relation, list | tuple) and relation):
        paths = [relation] if isinstance(relation, str | Path) else relation
        files = "[" + ",".join(text(str(path)) for path in paths) + "], union_by_name = true"
        by_file = f"(SELECT *, file_row_number AS row_number FROM read_parquet({files}, file_row_number = true))"
        return Rows(connection.sql(f"SELECT * FROM read_parquet({files})"), by_file)
    if isinstance(relation, pl.DataFrame):
        relation = relation.to_arrow()
    try:
        return Rows(connection.from_arrow(relation), numbered)
    except (TypeError, duckdb.InvalidInputException) as error:
        kind = type(relation).__name__
        raise DataError(
            f"drift: rows are a {kind}; give Parquet paths, a polars frame, an Arrow table or a DuckDB relation"
        ) from error


def _sampled(column: Column) -> str:
    return words(column) if column.kind == "text" else value(column)
