"""Feature views run over the tables, every row checked before anybody may use it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from rankloop.contracts import UTC as UTC_TIMES
from rankloop.contracts import Tables
from rankloop.errors import DataError
from rankloop.features.engine import DuckDb, Engine
from rankloop.features.registry import VALID_FROM, FeatureView, names_of
from rankloop.features.relations import cut, last_moment, relations

__all__ = ["check_leaks", "compute"]

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
_FLOATS = ("FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN")
_MOMENT = "TIMESTAMP WITH TIME ZONE"


def compute(
    views: Sequence[FeatureView],
    tables: Tables,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    engine: Engine | None = None,
) -> dict[str, pl.DataFrame]:
    """Runs views over the tables.

    It does not look a request's features up: that is `FeatureStore`. Rows with a null key are dropped.

    Args:
        views: see `load_views`.
        tables: everything that happened; a row of a view uses only what is strictly before its `valid_from`.
        start: earliest request that will be asked for, UTC; older rows that no such request can meet are left out.
        end: latest request that will be asked for, UTC; rows that become valid after it are left out. None: the
            first midnight after the last event, the next one at which behaviour is known.
        engine: where the SQL runs; None: `DuckDb()`.

    Returns:
        By view's name, a frame of its keys (String), `valid_from` (UTC) and features (Float32; UTC times for
        features that are served as an age), sorted by keys and time.

    Raises:
        DataError: a view is not SQL, returns other columns than its header says, or two rows for one key and time.

    Example:
        >>> frames = compute([FeatureView.parse("item_age", '''-- When an item was posted.
        ... -- key: item_id
        ... -- feature: item_age_days | since it was posted | days
        ... SELECT item_id, created_at AS valid_from, created_at AS item_age_days FROM items''')], Tables.empty())
        >>> frames["item_age"].columns
        ['item_id', 'valid_from', 'item_age_days']
    """
    names_of(views)
    runner = DuckDb() if engine is None else engine
    given = relations(tables)
    types = runner.describe({view.file: _body(view) for view in views}, given)
    queries = {view.file: _query(view, types[view.file], _end(tables) if end is None else end) for view in views}
    frames = runner.run(queries, given)
    return {view.name: _checked(view, frames[view.file], start) for view in views}


def check_leaks(views: Sequence[FeatureView], tables: Tables, at: Sequence[datetime], *, engine: Engine | None = None) -> None:
    """Proves on given tables that no view uses the future: rows valid at a moment stay the same without it.

    For each moment the views run on the tables as they were at it (without the events at or after it, and items
    and users created after it); every row valid by then must be as it is with everything known. It is a test, not a proof
    for other tables.

    Raises:
        DataError: a view leaks; the message names file, column, key and moment.
    """
    known = compute(views, tables, end=max(at), engine=engine)
    for moment in at:
        then = compute(views, cut(tables, moment), end=moment, engine=engine)
        for view in views:
            _compare(view, _until(known[view.name], moment), _until(then[view.name], moment), moment)


def _end(tables: Tables) -> datetime | None:
    last = last_moment(tables)
    return None if last is None else datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)


def _body(view: FeatureView) -> str:
    return view.sql.strip().rstrip(";")


def _query(view: FeatureView, types: Mapping[str, str], end: datetime | None) -> str:
    _check_columns(view, types)
    columns = [f"CAST({key} AS VARCHAR) AS {key}" for key in view.keys]
    columns.append(VALID_FROM)
    for feature in view.features:
        kind = _MOMENT if types[feature.name].startswith("TIMESTAMP") else "FLOAT"
        columns.append(f"CAST({feature.name} AS {kind}) AS {feature.name}")
    rules = [f"{key} IS NOT NULL" for key in view.keys]
    if end is not None:
        latest = f"TIMESTAMPTZ '{end.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'"
        # a null passes, so that it is found and named
        rules.append(f"({VALID_FROM} <= {latest} OR {VALID_FROM} IS NULL)")
    order = ", ".join((*view.keys, VALID_FROM))
    return f"SELECT {', '.join(columns)}\nFROM (\n{_body(view)}\n)\nWHERE {' AND '.join(rules)}\nORDER BY {order}"


def _check_columns(view: FeatureView, types: Mapping[str, str]) -> None:
    missing = [name for name in view.columns if name not in types]
    if missing:
        raise _wrong(view, missing[0], f"is in the header but not returned; the view returns {list(types)}")
    extra = [name for name in types if name not in view.columns]
    if extra:
        raise _wrong(view, extra[0], "is returned but not in the header; add a `-- feature:` line or drop it")
    if types[VALID_FROM] != _MOMENT:
        raise _wrong(view, VALID_FROM, f"is {types[VALID_FROM]}; it must be {_MOMENT}: cast a date or a time to TIMESTAMPTZ")
    for feature in view.features:
        kind = types[feature.name]
        age = kind.startswith("TIMESTAMP")
        if not age and kind not in _NUMBERS and not kind.startswith(_FLOATS):
            raise _wrong(view, feature.name, f"is {kind}; a feature is a number, a truth value or a time")
        if age and feature.unit != "days":
            raise _wrong(view, feature.name, f"is a time, served as an age: its unit is days, not {feature.unit!r}")


def _checked(view: FeatureView, frame: pl.DataFrame, start: datetime | None) -> pl.DataFrame:
    moments = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    frame = frame.with_columns(pl.col(moments).cast(UTC_TIMES))
    nulls = frame[VALID_FROM].null_count()
    if nulls:
        raise _wrong(view, VALID_FROM, f"is null in {nulls} rows; say from when a row holds, or leave the row out")
    same_key = pl.all_horizontal(pl.col(key) == pl.col(key).shift(-1) for key in view.keys).fill_null(False)
    after = pl.col(VALID_FROM).shift(-1)
    twice = frame.filter(same_key & (after == pl.col(VALID_FROM)))
    if twice.height:
        shown = twice.row(0, named=True)
        where = {name: str(shown[name]) for name in (*view.keys, VALID_FROM)}
        raise _wrong(view, VALID_FROM, f"repeats for a key in {twice.height} rows, such as {where}; aggregate them to one row")
    if start is None:
        return frame
    return frame.filter(~(same_key & (after <= start).fill_null(False)))


def _until(frame: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    return frame.filter(pl.col(VALID_FROM) <= moment)


def _compare(view: FeatureView, known: pl.DataFrame, then: pl.DataFrame, moment: datetime) -> None:
    row = [*view.keys, VALID_FROM]
    both = known.join(then, on=row, how="full", suffix="_then", coalesce=True)
    if both.height > min(known.height, then.height):
        only = known.join(then, on=row, how="anti") if known.height else known
        only = only if only.height else then.join(known, on=row, how="anti")
        raise _leak(view, VALID_FROM, only, moment)
    for feature in view.features:
        differ = both.filter(pl.col(feature.name).ne_missing(pl.col(f"{feature.name}_then")))
        if differ.height:
            raise _leak(view, feature.name, differ, moment)


def _leak(view: FeatureView, column: str, rows: pl.DataFrame, moment: datetime) -> DataError:
    first = rows.row(0, named=True)
    where = {name: str(first[name]) for name in (*view.keys, VALID_FROM)}
    return _wrong(
        view,
        column,
        f"leaks: the row {where} is another once everything from {moment} on is removed; "
        f"a row may use only what happened strictly before its {VALID_FROM}",
    )


def _wrong(view: FeatureView, column: str, what: str) -> DataError:
    return DataError(f"{view.file}: column {column!r} {what}")
