"""Where the SQL of feature views runs."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import duckdb
import polars as pl

from rankloop.errors import DataError, SettingsError

__all__ = ["DuckDb", "Engine"]


class Engine(Protocol):
    """Runs SQL text over named relations; what the text means is not its business.

    The text is DuckDB's dialect wherever it runs, so an engine for a cluster runs DuckDB inside its tasks.
    """

    def describe(self, queries: Mapping[str, str], relations: Mapping[str, pl.DataFrame]) -> dict[str, dict[str, str]]:
        """For each query, its columns' names and DuckDB types, without running it.

        Raises:
            DataError: a query is not SQL or asks for what is not there; the message names it.
        """

    def run(self, queries: Mapping[str, str], relations: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """The result of each query.

        Raises:
            DataError: a query failed; the message names it.
        """


class DuckDb:
    """DuckDB inside this process, cut off from files and the network.

    It is not a place to keep anything: each call opens an empty database and drops it.

    Args:
        memory_limit: above it DuckDB spills to a temporary folder, such as "2GB".
        threads: None: one a core.
    """

    def __init__(self, *, memory_limit: str = "2GB", threads: int | None = None) -> None:
        self.memory_limit = memory_limit
        self.threads = threads

    def describe(self, queries: Mapping[str, str], relations: Mapping[str, pl.DataFrame]) -> dict[str, dict[str, str]]:
        """Names and types of each query's columns."""
        with self._open(relations) as connection:
            described = {name: _fetched(connection, name, f"DESCRIBE SELECT * FROM (\n{sql}\n)") for name, sql in queries.items()}
        return {name: dict(zip(frame["column_name"], frame["column_type"], strict=True)) for name, frame in described.items()}

    def run(self, queries: Mapping[str, str], relations: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """The result of each query, one after the other, each on all threads."""
        with self._open(relations) as connection:
            return {name: _fetched(connection, name, sql) for name, sql in queries.items()}

    @contextmanager
    def _open(self, relations: Mapping[str, pl.DataFrame]) -> Iterator[duckdb.DuckDBPyConnection]:
        with tempfile.TemporaryDirectory(prefix="rankloop-duckdb-") as spill, self._connect(spill) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            # a view is text from outside: it may read the relations, and nothing else
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            for name, frame in relations.items():
                connection.register(name, frame.to_arrow())
            yield connection

    def _connect(self, spill: str) -> duckdb.DuckDBPyConnection:
        settings: dict[str, str | bool | int | float | list[str]] = {"memory_limit": self.memory_limit, "temp_directory": spill}
        if self.threads is not None:
            settings["threads"] = self.threads
        try:
            return duckdb.connect(":memory:", config=settings)
        except duckdb.Error as error:
            given = f"memory_limit={self.memory_limit!r}, threads={self.threads!r}"
            raise SettingsError(f"DuckDB does not take {given}: {error}; write such as memory_limit='2GB', threads=2") from error


def _fetched(connection: duckdb.DuckDBPyConnection, name: str, sql: str) -> pl.DataFrame:
    try:
        frame = pl.from_arrow(connection.sql(sql).to_arrow_table())
    except duckdb.Error as error:
        raise DataError(f"{name}: DuckDB refuses it: {error}") from error
    assert isinstance(frame, pl.DataFrame)
    return frame
