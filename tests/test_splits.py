"""Splits by time: nothing later, nothing cut in two, nothing lost."""

from dataclasses import replace
from datetime import UTC as ZONE
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.contracts import SCHEMAS, Columns, Tables
from rankloop.errors import DataError
from rankloop.splits import Split, before, between, by_share, by_time

START = datetime(2026, 1, 1, tzinfo=ZONE)
DAY = timedelta(days=1)


def log(shown: list[tuple[str, str, timedelta]], acted: list[tuple[str | None, str, timedelta]] = []) -> Tables:  # noqa: B006
    """Impressions `(request, item, after START)` and outcomes of the same form; every item is as old as its first row."""
    impressions: list[dict[str, object]] = [
        {"request_id": r, "ts": START + after, "surface": "job_feed", "user_id": "u", "item_id": i, "position": n}
        for n, (r, i, after) in enumerate(shown, 1)
    ]
    outcomes: list[dict[str, object]] = [
        {"ts": START + after, "user_id": "u", "item_id": i, "request_id": r, "kind": "click"} for r, i, after in acted
    ]
    empty = Tables.empty()
    return replace(
        empty,
        impressions=_frame("impressions", impressions),
        outcomes=_frame("outcomes", outcomes),
        items=_frame("items", [{"item_id": i, "title": i, "created_at": START + after} for _, i, after in shown]).unique(
            "item_id"
        ),
        users=_frame("users", [{"user_id": "u", "created_at": START}]),
    )


def _frame(name: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMAS[name])


def daily(days: int) -> Tables:
    """One request at nine o'clock each day."""
    return log([(f"r{d}", f"i{d}", d * DAY + timedelta(hours=9)) for d in range(days)])


def test_windows_are_whole_days_counted_back_from_the_day_after_the_last_request():
    split = by_time(daily(10), train_days=4, validation_days=1, test_days=2)
    assert split == Split(START + 3 * DAY, START + 7 * DAY, START + 8 * DAY, START + 10 * DAY)


def test_a_last_request_at_midnight_is_still_before_the_end():
    split = by_time(
        log([("a", "a", 0 * DAY), ("b", "b", DAY), ("c", "c", 2 * DAY), ("d", "d", 3 * DAY)]),
        train_days=1,
        validation_days=1,
        test_days=1,
    )
    assert split.end == START + 4 * DAY


def test_a_log_without_history_says_how_long_it_is():
    with pytest.raises(DataError, match=r"from 2026-01-01 to 2026-01-10, which leaves no history"):
        by_time(daily(10), train_days=7, validation_days=1, test_days=2)


def test_an_empty_window_is_named():
    sparse = log([("a", "a", 0 * DAY), ("b", "b", 2 * DAY), ("c", "c", 9 * DAY)])
    with pytest.raises(DataError, match="no request falls into validation, from 2026-01-08"):
        by_time(sparse, train_days=6, validation_days=1, test_days=2)


def test_a_window_of_no_days_is_refused():
    with pytest.raises(DataError, match="validation_days is 0"):
        by_time(daily(10), train_days=1, validation_days=0, test_days=2)


@pytest.mark.parametrize("split", [lambda t: by_time(t, train_days=1, validation_days=1, test_days=1), by_share])
def test_an_empty_log_cannot_be_split(split):
    with pytest.raises(DataError, match="there are no impressions"):
        split(Tables.empty())


def test_shares_are_shares_of_requests():
    split = by_share(daily(10), training=0.3, validation=0.1, test=0.2)
    nine = START + timedelta(hours=9)
    assert split == Split(nine + 4 * DAY, nine + 7 * DAY, nine + 8 * DAY, nine + 9 * DAY + timedelta(microseconds=1))


def test_requests_of_one_moment_share_a_window():
    with pytest.raises(DataError, match="no request falls into history"):
        by_share(log([(f"r{n}", f"i{n}", DAY) for n in range(10)]))


@pytest.mark.parametrize("shares", [{"training": 0.0}, {"test": -0.1}, {"training": 0.9, "test": 0.2}])
def test_shares_must_leave_history(shares):
    with pytest.raises(DataError, match="leave something for history"):
        by_share(daily(10), **shares)


def test_before_knows_nothing_of_the_moment_itself():
    tables = before(daily(3), START + DAY + timedelta(hours=9))
    assert tables.impressions["request_id"].to_list() == ["r0"]
    assert tables.items["item_id"].to_list() == ["i0"]


def test_a_closing_that_lies_ahead_is_not_known():
    tables = daily(2)
    closing = tables.items.sort("item_id").with_columns(
        closed_at=pl.Series([START + DAY, START + 2 * DAY]).dt.cast_time_unit("us")
    )
    known = before(replace(tables, items=closing), START + 2 * DAY).items
    assert known["closed_at"].is_null().to_list() == [False, True]


def test_a_request_that_crosses_the_cut_is_left_out_with_its_outcomes():
    tables = log(
        [("r", "a", DAY - timedelta(seconds=1)), ("r", "b", DAY + timedelta(seconds=1)), ("s", "a", timedelta(0))],
        [("r", "a", DAY - timedelta(microseconds=1)), (None, "a", timedelta(hours=1))],
    )
    known = before(tables, START + DAY)
    assert known.impressions["request_id"].to_list() == ["s"]
    assert known.outcomes["request_id"].to_list() == [None]
    assert between(tables, START + DAY, START + 2 * DAY).impressions["item_id"].to_list() == ["a", "b"]


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(DataError, match="has no time zone"):
        before(daily(2), datetime(2026, 1, 2))


def test_a_window_must_not_end_before_it_starts():
    with pytest.raises(DataError, match="must not end before it starts"):
        between(daily(2), START + DAY, START)


minutes = st.integers(0, 20 * 24 * 60).map(lambda m: timedelta(minutes=m))
events = st.lists(st.tuples(st.sampled_from("rstuvw"), st.sampled_from("abcd"), minutes), min_size=1, max_size=30)
cuts = st.lists(minutes, min_size=2, max_size=4).map(sorted)


@given(events, cuts)
def test_adjoining_windows_hold_every_request_once_and_whole(shown, moments):
    tables = log(shown)
    edges = [START - DAY, *(START + moment for moment in moments), START + 30 * DAY]
    parts = [between(tables, a, b).impressions for a, b in pairwise(edges)]
    assert pl.concat(parts).sort(pl.all()).equals(tables.impressions.sort(pl.all()))
    homes = [set(part["request_id"]) for part in parts]
    assert sum(map(len, homes)) == len(set.union(*homes))


@given(events, events, minutes)
def test_what_was_known_before_is_strictly_before_and_names_only_what_is_known(shown, acted, moment):
    tables = log(shown, [(r, i, after) for r, i, after in acted if r in {s for s, _, _ in shown}])
    known = before(tables, START + moment)
    for frame, column in [(known.impressions, "ts"), (known.outcomes, "ts"), (known.items, "created_at")]:
        assert (frame[column] < START + moment).all()
    late = set(tables.impressions.filter(pl.col(Columns.TS) >= START + moment)["request_id"])
    assert not late & set(known.impressions["request_id"])
    crossing = late & set(tables.impressions.filter(pl.col(Columns.TS) < START + moment)["request_id"])
    assert not crossing & set(known.outcomes["request_id"])


@given(events, st.integers(1, 5), st.integers(1, 3), st.integers(1, 3))
def test_windows_by_time_follow_one_another_and_none_is_empty(shown, train, validation, test):
    tables = log(shown)
    try:
        split = by_time(tables, train_days=train, validation_days=validation, test_days=test)
    except DataError:
        return
    _assert_filled(tables, split)
    assert all(moment == moment.replace(hour=0, minute=0, second=0, microsecond=0) for moment in split)
    assert (split.validation_from - split.training_from, split.end - split.test_from) == (train * DAY, test * DAY)


@given(events)
def test_windows_by_share_follow_one_another_and_none_is_empty(shown):
    tables = log(shown)
    try:
        split = by_share(tables)
    except DataError:
        return
    _assert_filled(tables, split)


def _assert_filled(tables: Tables, split: Split) -> None:
    assert list(split) == sorted(split)
    edges = [START - DAY, *split]
    assert all(between(tables, a, b).impressions.height for a, b in pairwise(edges))
    assert before(tables, split.end).impressions.height == tables.impressions.height
