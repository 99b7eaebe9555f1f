"""Raw frames to the contract's types, without guessing."""

from typing import Final, NamedTuple

import polars as pl

from rankloop.contracts.columns import Columns
from rankloop.contracts.suggest import closest
from rankloop.contracts.tables import REQUIRED, SCHEMAS, UTC
from rankloop.errors import DataError

__all__ = ["Conformed", "conform", "unreadable"]

_TEXTS: Final = pl.List(pl.String)
_FLOATS: Final = pl.List(pl.Float32)
_NOTHING: Final = pl.lit(None)


class Conformed(NamedTuple):
    """A raw table in the contract's types.

    Attributes:
        frame: the contract's columns in order, then further numeric columns by name as Float64, then one
            boolean column `unreadable(c)` for each contract column `c`.
        extras: the further numeric columns.
        left_out: columns of other types that the contract does not know.
    """

    frame: pl.DataFrame
    extras: tuple[str, ...]
    left_out: tuple[str, ...]


def unreadable(column: str) -> str:
    """The name of the boolean column that says: there was a value, and it could not be read as the type."""
    return f"~{column} unreadable"


def conform(table: str, raw: pl.DataFrame) -> Conformed:
    """Casts where nothing can be lost or mistaken, and marks the values it could not read.

    It never guesses: a time without a zone is unreadable, not UTC. NaN means missing and becomes null;
    whole numbers become text without a decimal point; text that spells a number, or a time as RFC 3339
    does (2026-01-31T09:00:00+01:00), becomes it.

    Args:
        table: the contract table's name.
        raw: any columns, any types, as the source gave them.

    Raises:
        DataError: a required column is missing, or a column holds Python objects.
    """
    _refuse_structure(table, raw)
    values, marks = [], []
    for column, target in SCHEMAS[table].items():
        source = raw.schema.get(column)
        value = _NOTHING.cast(target) if source is None else _cast(column, source, target)
        present = pl.lit(False) if source is None else _present(column, source)
        values.append(value.alias(column))
        marks.append((present & value.is_null()).alias(unreadable(column)))
    others = sorted(set(raw.columns) - set(SCHEMAS[table]) - {Columns.REASONS})
    extras = tuple(c for c in others if raw.schema[c].is_numeric() or raw.schema[c] == pl.Boolean)
    values += [_cast(column, raw.schema[column], pl.Float64).alias(column) for column in extras]
    frame = raw.select(values + marks) if raw.width else pl.DataFrame(schema=SCHEMAS[table])
    return Conformed(frame, extras, tuple(c for c in others if c not in extras))


def _refuse_structure(table: str, raw: pl.DataFrame) -> None:
    for column in REQUIRED[table]:
        if column not in raw.columns:
            raise DataError(
                f"table {table!r} has no column {column!r}, which is required; it has {raw.columns}"
                f"{closest(column, raw.columns)}. Rename or add the column, or map it in the source"
            )
    objects = [column for column, dtype in raw.schema.items() if dtype == pl.Object]
    if objects:
        raise DataError(f"table {table!r}: columns {objects} hold Python objects; make them text, numbers, times or lists")


def _present(column: str, source: pl.DataType) -> pl.Expr:
    value = pl.col(column)
    return value.is_not_null() & value.is_not_nan() if source.is_float() else value.is_not_null()


def _cast(column: str, source: pl.DataType, target: pl.DataType | type[pl.DataType]) -> pl.Expr:
    """The expression that reads `column` as `target`; null wherever it cannot be read."""
    value = pl.col(column)
    if source == pl.Null or source == target:
        return value.fill_nan(None) if source.is_float() else value.cast(target)
    if target == pl.String:
        return _as_text(value, source)
    if target == pl.Float64:
        readable = source.is_numeric() or source in (pl.Boolean, pl.String)
        return value.cast(pl.Float64, strict=False).fill_nan(None) if readable else _NOTHING.cast(pl.Float64)
    if target == pl.Int32:
        return _as_whole(value, source)
    if target == UTC:
        return _as_utc(value, source)
    return _as_list(value, source, target)


def _as_text(value: pl.Expr, source: pl.DataType) -> pl.Expr:
    if source.is_float():
        return pl.when(value == value.floor()).then(value.cast(pl.Int64, strict=False)).cast(pl.String)
    if source.is_integer() or isinstance(source, pl.Categorical | pl.Enum):
        return value.cast(pl.String)
    return _NOTHING.cast(pl.String)


def _as_whole(value: pl.Expr, source: pl.DataType) -> pl.Expr:
    if source.is_float():
        return pl.when(value == value.floor()).then(value.cast(pl.Int32, strict=False))
    if source.is_integer() or source == pl.String:
        return value.cast(pl.Int32, strict=False)
    return _NOTHING.cast(pl.Int32)


def _as_utc(value: pl.Expr, source: pl.DataType) -> pl.Expr:
    if source == pl.String:
        # RFC 3339, which has a zone by definition; a blank for the T is common
        return value.str.replace(" ", "T", literal=True).str.to_datetime("%+", time_unit="us", strict=False).cast(UTC)
    if isinstance(source, pl.Datetime) and source.time_zone is not None:
        return value.dt.convert_time_zone("UTC").cast(UTC, strict=False)
    return _NOTHING.cast(UTC)


def _as_list(value: pl.Expr, source: pl.DataType, target: pl.DataType | type[pl.DataType]) -> pl.Expr:
    if isinstance(source, pl.List | pl.Array):
        inner = source.inner
        named = isinstance(inner, pl.String | pl.Categorical | pl.Enum) or inner.is_integer()
        if inner == pl.Null or (named if target == _TEXTS else inner.is_numeric()):
            cast = value.cast(target, strict=False)
            return cast.list.drop_nulls() if target == _TEXTS else cast
    return _NOTHING.cast(target)
