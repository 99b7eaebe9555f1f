"""Rows looked up as they were known: the same as a DuckDB ASOF JOIN, latest, saved and loaded."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloop.contracts import UTC as UTC_TIMES
from rankloop.contracts import Tables
from rankloop.errors import BundleError, DataError
from rankloop.features import FeatureStore, FeatureView, compute, load_views
from rankloop.features.snapshots import ABSENT

At = Callable[..., datetime]
Codes = npt.NDArray[np.int64]
START = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = "-- A view.\n-- key: {}\n-- feature: {} | a number | count | default 7\n-- feature: {} | since then | days\nSELECT 1"
ONE = FeatureView.parse("one", HEAD.format("item_id", "number", "moment"))
TWO = FeatureView.parse("two", HEAD.format("user_id, item_id", "pair_number", "pair_moment"))


def microseconds(moments: pl.Series) -> Codes:
    """Times as `lookup` takes them."""
    return moments.dt.epoch("us").to_numpy()


def random_rows(draw: np.random.Generator, view: FeatureView, rows: int, ids: int) -> pl.DataFrame:
    """Rows with gaps: some keys have none, some values are null, keys and times are unique."""
    number, moment = (feature.name for feature in view.features)
    valid = [START + timedelta(hours=int(hour)) for hour in draw.integers(0, 60, rows)]
    then = [None if draw.random() < 0.1 else at - timedelta(hours=int(draw.integers(1, 9))) for at in valid]
    values = {
        "valid_from": pl.Series(valid, dtype=UTC_TIMES),
        number: pl.Series([None if draw.random() < 0.1 else float(n) for n in draw.integers(0, 9, rows)], dtype=pl.Float32),
        moment: pl.Series(then, dtype=UTC_TIMES),
    }
    keys = {key: [f"{key[0]}{i}" for i in draw.integers(0, ids, rows)] for key in view.keys}
    frame = pl.DataFrame({**keys, **values}, schema_overrides=dict.fromkeys(keys, pl.String))
    return frame.unique([*view.keys, "valid_from"], keep="first", maintain_order=True).sort(*view.keys, "valid_from")


def asof(view: FeatureView, frame: pl.DataFrame, asked: pl.DataFrame) -> npt.NDArray[np.float32]:
    """The same lookup, as DuckDB does it."""
    number, moment = (feature.name for feature in view.features)
    same = " AND ".join(f"asked.{key} = frame.{key}" for key in view.keys)
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("frame", frame.to_arrow())
        connection.register("asked", asked.to_arrow())
        joined = connection.sql(
            f"""SELECT CASE WHEN valid_from IS NULL THEN 7 ELSE {number} END AS n,
                (epoch_us(ts) - epoch_us({moment})) / 86400000000.0 AS age
            FROM asked ASOF LEFT JOIN frame ON {same} AND asked.ts >= frame.valid_from ORDER BY row"""
        ).to_arrow_table()
    columns = [joined.column(name).to_numpy(zero_copy_only=False).astype(np.float64) for name in ("n", "age")]
    return np.column_stack(columns).astype(np.float32)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.integers(1, 6))
def test_a_lookup_is_an_asof_join(seed: int, rows: int, ids: int) -> None:
    draw = np.random.default_rng(seed)
    frames = {view.name: random_rows(draw, view, rows, ids) for view in (ONE, TWO)}
    n = 80
    asked = pl.DataFrame({"row": range(n), "user_id": [f"u{i}" for i in draw.integers(0, ids + 1, n)]}).with_columns(
        item_id=pl.Series([f"i{i}" for i in draw.integers(0, ids + 1, n)]),
        ts=pl.Series([START + timedelta(hours=int(hour)) for hour in draw.integers(-5, 70, n)], dtype=UTC_TIMES),
    )
    store = FeatureStore((ONE, TWO), frames)
    shown = {"item_id": store.vocabularies["item_id"].encode(asked["item_id"])}
    by_user = {"user_id": store.vocabularies["user_id"].encode(asked["user_id"])}
    found = store.lookup(by_user, shown, microseconds(asked["ts"]), np.arange(n))
    expected = np.hstack([asof(view, frames[view.name], asked) for view in (ONE, TWO)])
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60))
def test_the_latest_rows_answer_as_the_whole_store_does_after_the_end(seed: int, rows: int) -> None:
    draw = np.random.default_rng(seed)
    store = FeatureStore((ONE, TWO), {view.name: random_rows(draw, view, rows, 4) for view in (ONE, TWO)})
    latest = store.latest()
    n = 50
    ts = microseconds(pl.Series([START + timedelta(hours=60 + i) for i in range(n)]))
    users, items = (draw.integers(-2, len(store.vocabularies[key].terms), n) for key in ("user_id", "item_id"))
    answers = [own.lookup({"user_id": users}, {"item_id": items}, ts, np.arange(n)) for own in (store, latest)]
    assert store.vocabularies["item_id"].terms == latest.vocabularies["item_id"].terms
    np.testing.assert_array_equal(answers[0], answers[1])
    for view in latest.views:
        assert latest.frames[view.name].height == latest.frames[view.name].unique(view.keys).height


def row_of_one(valid: datetime, then: datetime) -> pl.DataFrame:
    """A row of the view `one`."""
    frame = pl.DataFrame({"item_id": ["i0"], "valid_from": [valid], "number": [1.0], "moment": [then]})
    return frame.with_columns(pl.col("valid_from", "moment").cast(UTC_TIMES), pl.col("number").cast(pl.Float32))


def test_a_key_never_seen_has_the_default_and_an_absent_one_has_nothing(at: At) -> None:
    whole = FeatureStore([ONE], {"one": row_of_one(at(1), at(1))})
    for store in (whole, whole.latest()):
        found = store.lookup({}, {"item_id": np.array([0, -1, ABSENT])}, microseconds(pl.Series([at(2)])), np.zeros(3, np.int64))
        np.testing.assert_array_equal(found, np.array([[1, 1], [7, np.nan], [np.nan, np.nan]], np.float32))


def test_a_row_is_used_from_its_very_moment_on(at: At) -> None:
    store = FeatureStore([ONE], {"one": row_of_one(at(5), at(4))})
    moments = pl.Series([at(5) - timedelta(microseconds=1), at(5)])
    found = store.lookup({}, {"item_id": np.zeros(2, np.int64)}, microseconds(moments), np.arange(2))
    np.testing.assert_array_equal(found, np.array([[7, np.nan], [1, 1]], np.float32))


@pytest.mark.parametrize("latest", [False, True])
def test_a_store_that_was_saved_is_the_store_that_is_loaded(
    random_tables: Callable[..., Tables], tmp_path: Path, latest: bool
) -> None:
    views = load_views()
    store = FeatureStore(views, compute(views, random_tables(1)))
    store = store.latest() if latest else store
    store.save(tmp_path)
    again = FeatureStore.load(tmp_path)
    assert (again.views, again.names, again.is_latest, again.fingerprint) == (store.views, store.names, latest, store.fingerprint)
    assert all(again.frames[view.name].equals(store.frames[view.name]) for view in views)
    assert load_views(tmp_path / "views") == views


def test_the_same_store_is_saved_as_the_same_bytes(random_tables: Callable[..., Tables], tmp_path: Path) -> None:
    views = load_views()
    for name in ("one", "two"):
        FeatureStore(views, compute(views, random_tables(2))).save(tmp_path / name)
    for file in sorted((tmp_path / "one").rglob("*.*")):
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()


def test_a_store_whose_sql_was_changed_is_refused(tiny: Tables, tmp_path: Path) -> None:
    views = load_views()[:2]
    FeatureStore(views, compute(views, tiny)).save(tmp_path)
    file = tmp_path / "views" / views[0].file
    file.write_text(file.read_text() + "-- another recipe\n")
    with pytest.raises(BundleError, match="is not what its rows were computed with"):
        FeatureStore.load(tmp_path)


def test_a_store_of_another_format_or_without_a_file_is_refused(tiny: Tables, tmp_path: Path) -> None:
    views = load_views()[:2]
    FeatureStore(views, compute(views, tiny)).save(tmp_path)
    manifest = json.loads((tmp_path / "store.json").read_text())
    (tmp_path / "store.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(BundleError, match="has format 99; this version reads 1"):
        FeatureStore.load(tmp_path)
    (tmp_path / "store.json").write_text(json.dumps(manifest))
    (tmp_path / f"{views[1].name}.parquet").unlink()
    with pytest.raises(BundleError, match="is no feature store"):
        FeatureStore.load(tmp_path)
    with pytest.raises(BundleError, match="is no feature store"):
        FeatureStore.load(tmp_path / "elsewhere")


def test_rows_that_lack_a_column_are_refused(tiny: Tables) -> None:
    views = load_views()
    frames = compute(views, tiny)
    with pytest.raises(DataError, match="the rows of view 'item_rates' lack 'item_coec'"):
        FeatureStore(views, {**frames, "item_rates": frames["item_rates"].drop("item_coec")})
    with pytest.raises(DataError, match="the rows of view 'user_item' lack 'user_id'"):
        FeatureStore(views, {name: frame for name, frame in frames.items() if name != "user_item"})
