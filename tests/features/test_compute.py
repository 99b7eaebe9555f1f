"""Views run: bad ones are named, none leaks, and the result does not depend on threads or row order."""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloop.contracts import Tables
from rankloop.errors import DataError, SettingsError
from rankloop.features import DuckDb, FeatureView, check_leaks, compute, load_views

At = Callable[..., datetime]
HEAD = "-- A view.\n-- key: item_id\n-- feature: clicks | clicks on it | count | default 0\n"
DAILY = "SELECT item_id, (day + 1)::TIMESTAMPTZ AS valid_from, count(*) AS clicks FROM outcomes GROUP BY ALL"


def view(sql: str, head: str = HEAD) -> FeatureView:
    """A view of one feature."""
    return FeatureView.parse("mine", head + sql)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("I am no SQL", r"mine\.sql: DuckDB refuses it: Parser Error"),
        ("DELETE FROM items", r"mine\.sql: DuckDB refuses it"),
        (DAILY.replace("outcomes", "sessions"), r"mine\.sql: DuckDB refuses it: .*sessions does not exist"),
        (DAILY.replace("AS clicks", "AS klicks"), r"mine\.sql: column 'clicks' is in the header but not returned; .*'klicks'"),
        (DAILY.replace("count(*)", "1 AS more, count(*)"), r"mine\.sql: column 'more' is returned but not in the header"),
        (DAILY.replace("::TIMESTAMPTZ", ""), r"mine\.sql: column 'valid_from' is DATE; it must be TIMESTAMP WITH TIME ZONE"),
        (DAILY.replace("count(*)", "'many'"), r"mine\.sql: column 'clicks' is VARCHAR; a feature is a number"),
        (
            DAILY.replace("count(*)", "max(ts)"),
            r"mine\.sql: column 'clicks' is a time, served as an age: its unit is days, not 'count'",
        ),
        (DAILY.replace("GROUP BY ALL", "GROUP BY item_id, day, user_id"), r"column 'valid_from' repeats for a key in 1 rows"),
        (DAILY.replace("(day + 1)", "nullif(day, day)"), r"mine\.sql: column 'valid_from' is null in \d+ rows"),
        ("SELECT * FROM read_csv('/etc/passwd')", r"mine\.sql: DuckDB refuses it: Permission Error"),
    ],
)
def test_a_bad_view_is_named_with_its_column(tiny: Tables, sql: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        compute([view(sql)], tiny)


def test_two_views_of_one_name_are_refused(tiny: Tables) -> None:
    other = view(DAILY.replace("clicks", "taps"), HEAD.replace("clicks", "taps"))
    with pytest.raises(DataError, match="feature view 'mine' is there twice"):
        compute([view(DAILY), other], tiny)


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        (DAILY.replace("(day + 1)", "day"), "valid_from|clicks"),
        ("SELECT item_id, created_at AS valid_from, (SELECT count(*) FROM outcomes) AS clicks FROM items", "clicks"),
        ("SELECT item_id, created_at AS valid_from, (closed_at IS NULL)::INT AS clicks FROM items", "clicks"),
        ("SELECT item_id, min(ts) - INTERVAL 1 HOUR AS valid_from, 1 AS clicks FROM outcomes GROUP BY item_id", "valid_from"),
    ],
)
def test_a_view_that_uses_the_future_is_named(tiny: Tables, at: At, sql: str, column: str) -> None:
    closing = Tables(tiny.items.with_columns(closed_at=pl.lit(at(9))), tiny.users, tiny.impressions, tiny.outcomes)
    with pytest.raises(DataError, match=rf"mine\.sql: column '({column})' leaks: the row .*item_id.* strictly before"):
        check_leaks([view(sql)], closing, [at(2, 9, 30), at(3, 9), at(12, 9, 1)])


@settings(max_examples=4)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 40))
def test_no_view_of_rankloop_uses_the_future(random_tables: Callable[..., Tables], at: At, seed: int, day: float) -> None:
    moment = at(1) + timedelta(days=day)
    check_leaks(load_views(), random_tables(seed), [moment, at(1) + timedelta(days=int(day))])


def test_threads_and_the_order_of_rows_do_not_change_a_bit(random_tables: Callable[..., Tables]) -> None:
    tables = random_tables(7, requests=300)
    draw = np.random.default_rng(1)
    shuffled = Tables.from_frames({name: frame[draw.permutation(frame.height)] for name, frame in tables})
    one = compute(load_views(), tables, engine=DuckDb(threads=1))
    for other in (compute(load_views(), tables, engine=DuckDb(threads=4)), compute(load_views(), shuffled)):
        assert all(one[name].equals(other[name]) for name in one)


def test_start_leaves_out_only_what_no_later_request_meets(tiny: Tables, at: At) -> None:
    whole, late = compute([view(DAILY)], tiny)["mine"], compute([view(DAILY)], tiny, start=at(6))["mine"]
    superseded = [("j2", at(4)), ("j2", at(5))]
    assert [row for row in whole.rows() if row[:2] not in superseded] == late.rows()


def test_rows_that_become_valid_after_the_end_are_left_out(tiny: Tables, at: At) -> None:
    popularity = [view for view in load_views() if view.name == "item_popularity"]
    assert compute(popularity, tiny)["item_popularity"]["valid_from"].max() == at(13)
    decayed = compute(popularity, tiny, end=at(60))["item_popularity"]
    last = decayed.filter(pl.col("item_id") == "j3").row(-1, named=True)
    assert (last["valid_from"], last["item_clicks_28d"]) == (at(12 + 29), 0)


def test_rows_with_a_null_key_are_dropped(random_tables: Callable[..., Tables]) -> None:
    frames = compute(load_views(), random_tables(3))
    assert frames["owner_quality"]["owner_id"].null_count() == 0
    assert frames["owner_quality"].height > 0


def test_empty_tables_give_empty_views_with_their_columns() -> None:
    frames = compute(load_views(), Tables.empty())
    for own in load_views():
        assert frames[own.name].columns == list(own.columns)
        assert frames[own.name].is_empty()


def test_a_view_may_read_further_numeric_columns_of_a_table(tiny: Tables) -> None:
    rated = Tables(tiny.items.with_columns(rating=pl.Series([1.0, 2.0, 3.0])), tiny.users, tiny.impressions, tiny.outcomes)
    sql = "SELECT item_id, created_at AS valid_from, rating AS clicks FROM items"
    assert compute([view(sql)], rated)["mine"]["clicks"].to_list() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("engine", [DuckDb(memory_limit="plenty"), DuckDb(threads=0)])
def test_a_setting_that_duckdb_does_not_take_is_named(tiny: Tables, engine: DuckDb) -> None:
    with pytest.raises(SettingsError, match=r"DuckDB does not take memory_limit=.*plenty|threads=0"):
        compute(load_views(), tiny, engine=engine)


def test_a_small_memory_limit_spills_and_gives_the_same(random_tables: Callable[..., Tables]) -> None:
    tables = random_tables(5, requests=200)
    own = [view for view in load_views() if view.name == "user_item"]
    small = compute(own, tables, engine=DuckDb(memory_limit="60MB", threads=1))
    assert small["user_item"].equals(compute(own, tables)["user_item"])
