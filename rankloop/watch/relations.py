"""The relations that are watched, each with its columns.

items     rows of the table items, by when they were created
users     rows of the table users, likewise
outcomes  rows of the table outcomes, by when they happened
requests  one row a request of one surface: what was asked
item-vectors, query-vectors   of a sample of items, and of requests that search: where their texts lie
lists     one row an item of a list of one surface: features, score, source, fallback
    shown     one row an item of a list that anybody made: features alone, where nobody logs them
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import polars as pl

from rankloop.contracts import SCHEMAS, Columns, Tables
from rankloop.drift import Column

__all__ = ["LISTS", "SHOWN", "UNITS", "charted", "columns_of", "raw_rows"]

LISTS: Final = "lists"
SHOWN: Final = "shown"

UNITS: Final[Mapping[str, str]] = {
    "outcomes": Columns.USER_ID,
    "requests": Columns.USER_ID,
    "query-vectors": Columns.USER_ID,
    LISTS: Columns.USER_ID,
    SHOWN: Columns.USER_ID,
}
"""The column of who made a row, of relations in which people repeat themselves."""

_TEXTS: Final = frozenset({Columns.TITLE, Columns.DESCRIPTION, Columns.HEADLINE})
_CATEGORIES: Final = frozenset({Columns.CATEGORY, Columns.COUNTRY, Columns.KIND})
_MOMENTS: Final[Mapping[str, str]] = {"items": Columns.CREATED_AT, "users": Columns.CREATED_AT, "outcomes": Columns.TS}
_QUERY: Final = f"impressions.{Columns.QUERY}"


def raw_rows(tables: Tables, surface: str, since: datetime, until: datetime) -> dict[str, pl.DataFrame]:
    """The rows of `[since, until)` of every relation but the lists: columns named `table.column`, `ts`, and who made them.

    Args:
        tables: the contract tables.
        surface: whose requests.
        since: the first moment.
        until: the end, itself outside.
    """
    found = {name: _within(getattr(tables, name), moment, since, until) for name, moment in _MOMENTS.items()}
    rows = {name: _named(name, frame) for name, frame in found.items()}
    asked = _within(tables.impressions, Columns.TS, since, until).filter(pl.col(Columns.SURFACE) == surface)
    first = asked.unique(Columns.REQUEST_ID, keep="first", maintain_order=True)
    rows["requests"] = first.select(pl.col(Columns.QUERY).alias(_QUERY), Columns.USER_ID, Columns.TS)
    return rows


def columns_of(relation: str, frame: pl.DataFrame, features: Sequence[str] = ()) -> tuple[Column, ...]:
    """What is watched of a relation.

    Args:
        relation: its name.
        frame: its rows in the reference.
        features: of lists, the ranker's.
    """
    if relation in (LISTS, SHOWN):
        watched = (Column(name, "numeric", "features") for name in features if name in frame.columns)
        named = {"score": "numeric", "source": "category", "fallback": "category"}
        return (*watched, *(Column(name, kind, "scores") for name, kind in named.items() if name in frame.columns))  # type: ignore[arg-type]
    found = []
    for name in frame.columns:
        table, _, column = name.rpartition(".")
        if not table:
            continue
        if column in _TEXTS or column == Columns.QUERY:
            found.append(Column(name, "text", table))
        elif column in _CATEGORIES:
            found.append(Column(name, "category", table))
        elif _is_vector(frame.schema[name]):
            found.append(Column(name, "embedding", table))
        elif isinstance(frame.schema[name], pl.List):
            found.append(Column(name, "list", table))
        else:
            found.append(Column(name, "numeric", table))
    return tuple(found)


def charted(relation: str, frame: pl.DataFrame) -> pl.DataFrame:
    """A relation's rows for a chart: no id; of a text the number of words, of a list of entries, of a vector its length."""
    shown = frame.drop(Columns.USER_ID, Columns.ITEM_ID, Columns.TS, strict=False)
    texts = [own.name for own in columns_of(relation, frame) if own.kind == "text"]
    return shown.with_columns(
        *(pl.col(name).str.split(" ").list.len().alias(name) for name in texts if frame.schema[name] == pl.String),
        *(_length(name, kind) for name, kind in shown.schema.items() if isinstance(kind, pl.List)),
    )


def _is_vector(kind: pl.DataType) -> bool:
    return isinstance(kind, pl.List) and kind.inner == pl.Float32


def _length(name: str, kind: pl.DataType) -> pl.Expr:
    if _is_vector(kind):
        return pl.col(name).list.eval(pl.element() ** 2).list.sum().sqrt()
    return pl.col(name).list.len()


def _within(frame: pl.DataFrame, moment: str, since: datetime, until: datetime) -> pl.DataFrame:
    return frame.filter((pl.col(moment) >= since) & (pl.col(moment) < until))


def _named(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The columns that have a distribution worth watching: no ids, no moments."""
    watched = [name for name, kind in frame.schema.items() if kind.is_numeric() or isinstance(kind, pl.List)]
    watched += [name for name in SCHEMAS[table] if name in _TEXTS | _CATEGORIES]
    whose = [name for name in (UNITS.get(table), Columns.ITEM_ID) if name in frame.columns]
    moment = pl.col(_MOMENTS[table]).alias(Columns.TS)
    return frame.select(*(pl.col(name).alias(f"{table}.{name}") for name in dict.fromkeys(watched)), *whose, moment)
