"""Anybody's Parquet or CSV, by a mapping file."""

from contextlib import ExitStack
from typing import Final

import polars as pl

from rankloop.contracts import SCHEMAS, UTC, Columns
from rankloop.errors import SourceError
from rankloop.sources.files import Frames, named, require
from rankloop.sources.mapping_file import TableMapping, TimeFormat, load
from rankloop.sources.places import resolve, scan

__all__ = ["read"]

_UNREAD: Final = "~unread "
_NAIVE: Final = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
_RFC_3339: Final = "%Y-%m-%dT%H:%M:%S%.6fZ"


def read(path: str, mapping: str) -> Frames:
    """Reads the tables that a mapping file describes; only the columns it names are read.

    A time that cannot be read stays as the text it was, so that validation can show it. Without a `users` table,
    the users are those of the impressions, each as old as the first of them.

    Args:
        path: the root of relative paths in the mapping: a folder, or an fsspec URL such as `s3://lake/raw`.
        mapping: the mapping file; see docs/guides/source-mapping.md. It never holds a secret: credentials of
            object storage come from the environment, as fsspec's drivers read them.

    Raises:
        SourceError: the mapping or a file is wrong; the message names the file, the column and the nearest match.
    """
    frames = {name: _table(name, table, path) for name, table in load(mapping).items()}
    if "users" not in frames:
        shown = frames["impressions"].group_by(Columns.USER_ID, maintain_order=True)
        frames["users"] = shown.agg(pl.col(Columns.TS).min().alias(Columns.CREATED_AT)).drop_nulls(Columns.USER_ID)
    return frames


def _table(name: str, table: TableMapping, root: str) -> pl.DataFrame:
    with ExitStack() as stack:
        place = resolve(table.path, root)
        try:
            rows = scan(place, table.format, stack, separator=table.separator, missing=table.missing)
            schema = rows.collect_schema()
            _check(table, place.path, schema)
            frame = _selected(name, table, place.path, rows, schema).collect(engine="streaming")
        except (pl.exceptions.PolarsError, OSError) as error:
            raise SourceError(f"{table.where}: {place.path} cannot be read: {error}") from error
    return _with_unread_times(frame)


def _check(table: TableMapping, file: str, schema: pl.Schema) -> None:
    for key in ("columns", "numbers"):
        for ours, theirs in getattr(table, key).items():
            require(file, [theirs], schema.names(), f"{table.where}.{key}.{ours}: ")
    require(file, table.keep, schema.names(), f"{table.where}.keep: ")


def _selected(name: str, table: TableMapping, file: str, rows: pl.LazyFrame, schema: pl.Schema) -> pl.LazyFrame:
    """The rows to keep, in contract columns."""
    for theirs, values in table.keep.items():
        rows = rows.filter(pl.col(theirs).cast(pl.String).is_in(values))
    columns: dict[str, pl.Expr] = {ours: pl.lit(value) for ours, value in table.constants.items()}
    for ours, theirs in table.columns.items():
        source, where = schema[theirs], f"{table.where}.columns.{ours}: {file}: {theirs!r}"
        if SCHEMAS[name][ours] == UTC:
            columns |= _time(ours, theirs, source, table.timestamps.get(ours, TimeFormat()), where)
        elif isinstance(SCHEMAS[name][ours], pl.List) and source == pl.String:
            columns[ours] = _split(theirs, table.lists.get(ours), where)
        else:
            columns[ours] = pl.col(theirs)
    columns |= {ours: pl.col(theirs).cast(pl.Float64) for ours, theirs in table.numbers.items()}
    if not table.kinds or Columns.KIND not in table.columns:
        return rows.select(named(columns))
    kind = columns[Columns.KIND].cast(pl.String)
    dropped = [theirs for theirs, ours in table.kinds.items() if ours is None]
    renamed = {theirs: ours for theirs, ours in table.kinds.items() if ours is not None}
    return rows.filter(~kind.is_in(dropped) | kind.is_null()).select(named(columns | {Columns.KIND: kind.replace(renamed)}))


def _split(theirs: str, separator: str | None, where: str) -> pl.Expr:
    if separator is None:
        raise SourceError(f"{where} holds text where a list is needed; give its separator in `lists`")
    pieces = pl.col(theirs).str.split(separator).list.eval(pl.element().str.strip_chars())
    return pieces.list.eval(pl.element().filter(pl.element() != ""))


def _time(ours: str, theirs: str, source: pl.DataType, spelling: TimeFormat, where: str) -> dict[str, pl.Expr]:
    """The time, and beside it the text where it could not be read."""
    value = pl.col(theirs)
    if source.is_numeric():
        if spelling.unit is None:
            raise SourceError(f"{where} holds numbers where a time is needed; give their `unit` in `timestamps`: s, ms, us or ns")
        return {ours: _since_1970(value, spelling.unit)}
    if source == pl.String:
        if spelling.unit is not None:
            number = _since_1970(value.cast(pl.Float64, strict=False), spelling.unit)
            return {ours: number, _UNREAD + ours: pl.when(number.is_null()).then(value)}
        read = _from_text(value, spelling, where)
        return {ours: value} if read is None else {ours: read, _UNREAD + ours: pl.when(read.is_null()).then(value)}
    if source == pl.Date or (isinstance(source, pl.Datetime) and source.time_zone is None):
        if spelling.time_zone is None:
            raise SourceError(f"{where} holds times without a zone; give their `time_zone` in `timestamps`, for example UTC")
        return {ours: _in_zone(value.cast(pl.Datetime("us")), spelling.time_zone)}
    return {ours: value}


def _since_1970(number: pl.Expr, unit: str) -> pl.Expr:
    microseconds = number * {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0, "ns": 0.001}[unit]
    return microseconds.round().cast(pl.Int64, strict=False).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _from_text(value: pl.Expr, spelling: TimeFormat, where: str) -> pl.Expr | None:
    """Text as a time; None where validation reads it as it is."""
    pattern, zone = spelling.format, spelling.time_zone
    if pattern is None and zone is None:
        return None
    if pattern is not None and ("%z" in pattern or "%Z" in pattern or "%:z" in pattern or "%#z" in pattern):
        return value.str.to_datetime(pattern, time_unit="us", strict=False).dt.convert_time_zone("UTC")
    if zone is None:
        raise SourceError(f"{where} is read by the format {pattern!r}, which has no zone; give its `time_zone` too")
    if pattern is not None:
        return _in_zone(value.str.to_datetime(pattern, time_unit="us", strict=False), zone)
    text = value.str.replace(" ", "T", literal=True)
    return _in_zone(pl.coalesce(text.str.to_datetime(form, time_unit="us", strict=False) for form in _NAIVE), zone)


def _in_zone(naive: pl.Expr, zone: str) -> pl.Expr:
    """Clock times of a zone as UTC: of an hour that comes twice the first, of one that never comes nothing."""
    return naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")


def _with_unread_times(frame: pl.DataFrame) -> pl.DataFrame:
    """Makes a column with unreadable times a column of texts again, so that none is lost."""
    for unread in [column for column in frame.columns if column.startswith(_UNREAD)]:
        if frame.get_column(unread).null_count() < frame.height:
            ours = unread.removeprefix(_UNREAD)
            frame = frame.with_columns(pl.coalesce(pl.col(unread), pl.col(ours).dt.to_string(_RFC_3339)).alias(ours))
        frame = frame.drop(unread)
    return frame
