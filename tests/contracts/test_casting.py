"""What is read as the contract's types, and what is not."""

from datetime import UTC as ZONE
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from rankloop.contracts import SCHEMAS, Budget, Budgets, Tables, examine, validate
from rankloop.errors import DataError

START = datetime(2026, 1, 1, tzinfo=ZONE)
NOON = START + timedelta(hours=12)

NO_LIMIT = Budgets(every=Budget())

INF = float("inf")

# what a column may look like that cannot be read as its type
UNREADABLE = [
    ("items", "item_id", [1.5, 2.5], "item_id is text"),
    ("items", "title", [["a"], ["b"]], "title is text"),
    ("items", "description", [["a"], ["b"]], "description is text"),
    ("items", "category", [["a"], ["b"]], "category is text"),
    ("items", "skills", ["a,b", "c"], "skills is a list of texts"),
    ("items", "country", [["a"], ["b"]], "country is text"),
    ("items", "budget", ["much", "little"], "budget is a number"),
    ("items", "duration_days", ["long", "short"], "duration_days is a number"),
    ("items", "owner_id", [["a"], ["b"]], "owner_id is text"),
    ("items", "created_at", [datetime(2026, 1, 1)] * 2, "created_at is a UTC time"),
    ("items", "closed_at", [datetime(2026, 1, 1)] * 2, "closed_at is a UTC time"),
    ("users", "user_id", [1.5, 2.5], "user_id is text"),
    ("users", "headline", [["a"], ["b"]], "headline is text"),
    ("users", "skills", ["a,b", "c"], "skills is a list of texts"),
    ("users", "country", [["a"], ["b"]], "country is text"),
    ("users", "hourly_rate", ["much", "little"], "hourly_rate is a number"),
    ("users", "experience_years", ["much", "little"], "experience_years is a number"),
    ("users", "utc_offset_hours", ["+1", "west"], "utc_offset_hours is a number"),
    ("users", "created_at", ["2026-01-01", "2026-01-01"], "created_at is a UTC time"),
    ("impressions", "request_id", [1.5, 1.5], "request_id is text"),
    ("impressions", "ts", [datetime(2026, 1, 2)] * 2, "ts is a UTC time"),
    ("impressions", "surface", [["a"], ["b"]], "surface is text"),
    ("impressions", "user_id", [1.5, 1.5], "user_id is text"),
    ("impressions", "query", [["a"], ["b"]], "query is text"),
    ("impressions", "item_id", [1.5, 2.5], "item_id is text"),
    ("impressions", "position", [1.5, 2.5], "position is a whole number"),
    ("impressions", "propensity", ["often", "rarely"], "propensity is a number"),
    ("impressions", "release_id", [["a"], ["b"]], "release_id is text"),
    ("impressions", "features", [1.0, 2.0], "features is a list of numbers"),
    ("outcomes", "ts", [datetime(2026, 1, 2)] * 2, "ts is a UTC time"),
    ("outcomes", "user_id", [1.5, 1.5], "user_id is text"),
    ("outcomes", "item_id", [1.5, 1.5], "item_id is text"),
    ("outcomes", "request_id", [1.5, 1.5], "request_id is text"),
    ("outcomes", "kind", [["a"], ["b"]], "kind is text"),
    ("outcomes", "value", ["much", "little"], "value is a number"),
]


@pytest.mark.parametrize(("table", "column", "values", "reason"), UNREADABLE)
def test_a_column_of_the_wrong_type_is_unreadable_and_not_absent(table, column, values, reason, frames, reasons):
    frames[table] = frames[table].with_columns(pl.Series(column, values))
    validated = examine(frames, NO_LIMIT)
    assert all(reason in row and f"{column} is present" not in row for row in reasons(validated)[table])


def test_every_column_of_every_table_is_above():
    assert [(table, column) for table, column, _, _ in UNREADABLE] == [(t, c) for t, columns in SCHEMAS.items() for c in columns]


def test_times_of_other_zones_are_the_same_moments_in_utc(frames):
    lisbon = frames["items"]["created_at"].dt.convert_time_zone("Asia/Tokyo").dt.cast_time_unit("ms")
    frames["items"] = frames["items"].with_columns(lisbon)
    items = validate(frames).tables.items
    assert items.schema["created_at"] == pl.Datetime("us", "UTC")
    assert items["created_at"].to_list() == [START.astimezone(ZoneInfo("UTC"))] * 2


def test_a_time_as_text_is_read_if_it_says_its_zone(frames, reasons):
    texts = pl.Series("created_at", ["2026-01-01T02:00:00.5+02:00", "2026-01-01 00:00:00"])
    frames["items"] = frames["items"].with_columns(texts)
    validated = examine(frames, NO_LIMIT)
    assert validated.tables.items["created_at"].to_list() == [START + timedelta(milliseconds=500)]
    assert reasons(validated)["items"] == [["created_at is a UTC time"]]


def test_ids_may_be_whole_numbers_even_as_floats(rows, framed):
    for table in rows.values():
        for row in table:
            row["item_id"] = float(str(row.get("item_id", "i0"))[1:])
    rows["users"] = [{k: v for k, v in row.items() if k != "item_id"} for row in rows["users"]]
    assert validate(framed(rows)).tables.items["item_id"].to_list() == ["1", "2"]


def test_nan_is_a_missing_number(rows, framed):
    rows["items"][0]["budget"] = float("nan")
    assert validate(framed(rows)).tables.items["budget"].to_list() == [None, 100.0]


def test_optional_columns_are_added_as_nulls_in_the_order_of_the_contract(frames):
    frames["items"] = frames["items"].select("created_at", "title", "item_id")
    items = validate(frames).tables.items
    assert items.schema == Tables.empty().items.schema
    assert items["skills"].to_list() == [None, None]


def test_further_numbers_are_kept_and_further_texts_are_named_as_left_out(frames):
    frames["items"] = frames["items"].with_columns(rating=pl.lit(4), verified=pl.lit(True), colour=pl.lit("red"))
    validated = validate(frames)
    assert validated.tables.items.columns[-2:] == ["rating", "verified"]
    assert validated.tables.items["verified"].to_list() == [1.0, 1.0]
    assert validated.left_out == {"items": ("colour",), "users": (), "impressions": (), "outcomes": ()}


def test_a_further_number_must_be_finite(frames, reasons):
    frames["items"] = frames["items"].with_columns(rating=pl.Series([1.0, INF]))
    assert reasons(examine(frames, NO_LIMIT))["items"] == [["rating is finite"]]


def test_a_missing_required_column_is_named_with_what_is_there(frames):
    frames["items"] = frames["items"].rename({"item_id": "itemid"})
    with pytest.raises(DataError, match=r"'items' has no column 'item_id'.*did you mean 'itemid'"):
        validate(frames)


def test_python_objects_are_refused(frames):
    frames["users"] = frames["users"].with_columns(pl.Series("headline", [object(), object()], dtype=pl.Object))
    with pytest.raises(DataError, match=r"\['headline'\] hold Python objects"):
        validate(frames)
