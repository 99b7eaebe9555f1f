"""Features by numpy lookup, against a DuckDB ASOF JOIN in training and SQL per request in serving."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.result import Bar, Result
from rankloop.contracts import Columns, Tables
from rankloop.features import Assembler, FeatureStore, FeatureView, compute, load_views
from rankloop.judgements import judged_requests
from rankloop.request import Request
from rankloop.simulation import Marketplace, Scale
from rankloop.text import normalise
from rankloop.vocabulary import Vocabulary

__all__ = ["run"]

Codes = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]

_CANDIDATES: Final = 500
_ROUNDS: Final = 3
_REQUESTS: Final = 60
_FEW_REQUESTS: Final = 10


class Timed(NamedTuple):
    """Seconds of the fastest round, and what the function returned."""

    seconds: float
    value: Matrix


class Compared(NamedTuple):
    """Figures of ours and, under the same names, of the alternative."""

    ours: dict[str, float]
    theirs: dict[str, float]


def run(quick: bool) -> Result:
    """Times the store's lookup and the whole assembly, and compares every number with DuckDB's.

    The alternatives are given their best case: rows computed, in memory, in DuckDB's own tables, keys joined and
    queries normalised, a prepared statement a view (one statement for all views took three times as long). They
    only have to join. Ours is the lookup of the same views; `assemble` beside it also encodes ids, splits queries
    and computes the crosses.
    """
    tables = Marketplace(Scale.tiny() if quick else Scale.demo(), rng=0).history()
    views = load_views()
    begin = time.perf_counter()
    frames = compute(views, tables)
    computed_s = time.perf_counter() - begin
    store = FeatureStore(views, frames)
    catalogue = Vocabulary(tables.items[Columns.ITEM_ID].sort().to_list())
    training = _training(tables, store, catalogue)
    serving = _serving(tables, store.latest(), catalogue, _FEW_REQUESTS if quick else _REQUESTS)
    return Result(
        name="features",
        figures={
            "features": len(store.names),
            "impressions": tables.impressions.height,
            "compute_impressions_per_s": tables.impressions.height / computed_s,
            **training.ours,
            **serving.ours,
        },
        versus={"DuckDB, ASOF JOIN of the same rows": training.theirs, "DuckDB, SQL for each request": serving.theirs},
        bars=[
            Bar.at_most("training: share of values that differ from the ASOF JOIN's", training.ours["training_differ"], 0.0),
            Bar.at_most("serving: share of values that differ from the SQL's", serving.ours["serving_differ"], 0.0),
            Bar.at_least("training: lookup, times as fast as the ASOF JOIN", training.ours["training_times_as_fast"], 3.0),
            Bar.at_least("serving: lookup, times as fast as SQL", serving.ours["serving_times_as_fast"], 20.0),
            Bar.at_most(f"serving: assembly of {_CANDIDATES} candidates, ms", serving.ours["serving_assemble_ms"], 2.0),
        ],
    )


def _training(tables: Tables, store: FeatureStore, catalogue: Vocabulary) -> Compared:
    judged = judged_requests(tables, *_moments(tables))
    items = [catalogue.encode(own) for own in judged.items]
    assembler = Assembler(store, tables.items, tables.users, catalogue, [])
    whole = _fastest(lambda: assembler.assemble(judged.requests, items))
    asked = _asked(tables, judged.requests, judged.items)
    with _database(store.views, store.frames) as connection:
        _put(connection, asked)
        _prepare(connection, store.views, asof=True)
        joined = _fastest(lambda: _joined(connection, store.views))
    lookup = _fastest(_lookup(store, asked))
    return Compared(
        {
            "training_rows": asked.height,
            "training_assemble_s": whole.seconds,
            "training_lookup_s": lookup.seconds,
            "training_times_as_fast": joined.seconds / lookup.seconds,
            "training_differ": max(_differing(lookup.value, joined.value), _differing(whole.value, joined.value)),
        },
        {"training_lookup_s": joined.seconds},
    )


def _serving(tables: Tables, store: FeatureStore, catalogue: Vocabulary, requests: int) -> Compared:
    draw = np.random.default_rng(0)
    assembler = Assembler(store, tables.items, tables.users, catalogue, [])
    queries = tables.impressions[Columns.QUERY].drop_nulls().unique().sort().to_list()
    moment = _moments(tables)[1] + timedelta(days=1)
    users = tables.users[Columns.USER_ID].to_list()
    seconds: list[tuple[float, float, float]] = []
    differs = 0.0
    with _database(store.views, store.frames) as connection:
        for number in range(requests):
            request = Request(users[draw.integers(len(users))], "job_search", moment, queries[draw.integers(len(queries))])
            items = draw.permutation(len(catalogue))[:_CANDIDATES]
            asked = _asked(tables, [request], [catalogue.decode(items)])
            _put(connection, asked)
            if number == 0:
                _prepare(connection, store.views, asof=False)
            joined = _fastest(lambda: _joined(connection, store.views))
            whole = _fastest(lambda r=request, i=items: assembler.assemble([r], [i]))  # type: ignore[misc]
            lookup = _fastest(_lookup(store, asked))
            seconds.append((whole.seconds, lookup.seconds, joined.seconds))
            differs = max(differs, _differing(lookup.value, joined.value), _differing(whole.value, joined.value))
    assemble, lookup_s, sql_s = np.median(np.array(seconds), axis=0)
    return Compared(
        {
            "serving_assemble_ms": assemble * 1e3,
            "serving_lookup_ms": lookup_s * 1e3,
            "serving_times_as_fast": sql_s / lookup_s,
            "serving_differ": differs,
        },
        {"serving_lookup_ms": sql_s * 1e3},
    )


def _moments(tables: Tables) -> tuple[datetime, datetime]:
    first, last = tables.impressions[Columns.TS].min(), tables.impressions[Columns.TS].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return first, last


def _asked(tables: Tables, requests: Sequence[Request], items: Sequence[Sequence[str]]) -> pl.DataFrame:
    """One row a candidate, with every key a view may have."""
    sizes = [len(own) for own in items]
    by_request = pl.DataFrame(
        {
            Columns.USER_ID: [request.user_id for request in requests],
            Columns.QUERY: pl.Series([normalise(request.query) for request in requests], dtype=pl.String),
            Columns.TS: pl.Series([request.ts for request in requests], dtype=pl.Datetime("us", "UTC")),
            "request": range(len(requests)),
        }
    )
    owner = np.repeat(np.arange(len(sizes)), sizes)
    rows = (
        by_request[owner].with_columns(pl.Series(Columns.ITEM_ID, [item for own in items for item in own])).with_row_index("row")
    )
    of_item = tables.items.select(Columns.ITEM_ID, Columns.CATEGORY, Columns.OWNER_ID)
    of_user = tables.users.select(Columns.USER_ID, Columns.COUNTRY)
    rows = rows.join(of_item, on=Columns.ITEM_ID, how="left", maintain_order="left")
    return rows.join(of_user, on=Columns.USER_ID, how="left", maintain_order="left")


def _lookup(store: FeatureStore, asked: pl.DataFrame) -> Callable[[], Matrix]:
    """The store's lookup with ids already encoded, as DuckDB's join has its columns already loaded."""
    codes: dict[str, Codes] = {
        key: np.where(asked[key].is_null().to_numpy(), -2, vocabulary.encode(asked[key]))
        for key, vocabulary in store.vocabularies.items()
    }
    first = asked["request"].is_first_distinct().to_numpy()
    of_request = {Columns.USER_ID, Columns.QUERY, Columns.COUNTRY} & codes.keys()
    by_request: dict[str, Codes] = {key: codes[key][first] for key in of_request}
    by_row = {key: own for key, own in codes.items() if key not in by_request}
    ts = asked[Columns.TS].dt.epoch("us").to_numpy()[first]
    owner = asked["request"].to_numpy().astype(np.int64)
    return lambda: store.lookup(by_request, by_row, ts, owner)


def _put(connection: duckdb.DuckDBPyConnection, asked: pl.DataFrame) -> None:
    connection.register("given", asked.to_arrow())
    connection.execute("CREATE TABLE IF NOT EXISTS asked AS SELECT * FROM given LIMIT 0")
    connection.execute("DELETE FROM asked")
    connection.execute("INSERT INTO asked SELECT * FROM given")
    connection.unregister("given")


def _database(views: Sequence[FeatureView], frames: dict[str, pl.DataFrame]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    for view in views:
        connection.register("given", frames[view.name].to_arrow())
        connection.execute(f"CREATE TABLE {view.name} AS SELECT * FROM given")
        connection.unregister("given")
    return connection


def _prepare(connection: duckdb.DuckDBPyConnection, views: Sequence[FeatureView], *, asof: bool) -> None:
    """A prepared statement a view: its features of the rows in `asked`, in order. One join of all views is slower."""
    for view in views:
        there = " AND ".join(f"asked.{key} IS NOT NULL" for key in view.keys)
        table = connection.table(view.name)
        types = dict(zip(table.columns, map(str, table.types), strict=True))
        columns = []
        for feature in view.features:
            age = f"(epoch_us(asked.ts) - epoch_us({feature.name})) / 86400000000.0"
            value = age if "TIMESTAMP" in types[feature.name] else feature.name
            default = "NULL" if feature.default is None else f"CASE WHEN {there} THEN {feature.default} END"
            columns.append(f"CAST(CASE WHEN valid_from IS NULL THEN {default} ELSE {value} END AS FLOAT)")
        same = " AND ".join(f"asked.{key} = {view.name}.{key}" for key in view.keys)
        join = f"ASOF LEFT JOIN {view.name} ON {same} AND ts >= valid_from" if asof else f"LEFT JOIN {view.name} ON {same}"
        connection.execute(f"PREPARE ask_{view.name} AS SELECT {', '.join(columns)} FROM asked {join} ORDER BY row")


def _joined(connection: duckdb.DuckDBPyConnection, views: Sequence[FeatureView]) -> Matrix:
    columns: list[npt.NDArray[np.float32]] = []
    for view in views:
        answer = connection.execute(f"EXECUTE ask_{view.name}").fetchnumpy().values()
        columns += [np.ma.filled(column, np.nan) for column in answer]
    return np.column_stack(columns)


def _fastest(function: Callable[[], Matrix]) -> Timed:
    best = float("inf")
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        value = function()
        best = min(best, time.perf_counter() - begin)
    return Timed(best, value)


def _differing(ours: Matrix, theirs: Matrix) -> float:
    """Share of the views' values that are not equal to the last bit but one of float32."""
    shared = ours[:, : theirs.shape[1]]
    return 1.0 - float(np.isclose(shared, theirs, rtol=2.0**-22, atol=0, equal_nan=True).mean())
