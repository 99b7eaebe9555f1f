"""Every rule, silent then firing, with the exact reasons."""

import re
from datetime import UTC as ZONE
from datetime import datetime, timedelta

import pytest

from rankloop.contracts import RULES, Budget, Budgets, examine, validate

START = datetime(2026, 1, 1, tzinfo=ZONE)
NOON = START + timedelta(hours=12)

NO_LIMIT = Budgets(every=Budget())
INF = float("inf")
KINDS = "kind is one of click, save, apply, interview, hire, dismiss"
SURFACES = "surface is one of job_feed, job_search, talent_search"

# table, column, value that the second row gets instead, every reason it then has
ONE_VALUE = [
    ("items", "item_id", None, ["item_id is present"]),
    ("items", "item_id", "", ["item_id is present"]),
    ("items", "title", None, ["title is present"]),
    ("items", "created_at", None, ["created_at is present"]),
    ("items", "item_id", "i1", ["item_id is unique"]),
    ("items", "budget", -1.0, ["budget is 0 or more"]),
    ("items", "duration_days", -1.0, ["duration_days is 0 or more"]),
    ("items", "closed_at", START, ["closed_at is after created_at"]),
    ("items", "budget", INF, ["budget is finite"]),
    ("items", "duration_days", -INF, ["duration_days is 0 or more", "duration_days is finite"]),
    ("users", "user_id", None, ["user_id is present"]),
    ("users", "created_at", None, ["created_at is present"]),
    ("users", "user_id", "u1", ["user_id is unique"]),
    ("users", "hourly_rate", -0.1, ["hourly_rate is 0 or more"]),
    ("users", "hourly_rate", INF, ["hourly_rate is finite"]),
    ("users", "experience_years", -2.0, ["experience_years is 0 or more"]),
    ("users", "experience_years", INF, ["experience_years is finite"]),
    ("users", "utc_offset_hours", 120.0, ["utc_offset_hours is from -12 to 14"]),
    ("users", "utc_offset_hours", INF, ["utc_offset_hours is from -12 to 14", "utc_offset_hours is finite"]),
    ("impressions", "request_id", None, ["request_id is present"]),
    ("impressions", "ts", None, ["ts is present"]),
    ("impressions", "surface", None, ["surface is present", "a request has one user, surface and query"]),
    ("impressions", "user_id", None, ["user_id is present", "a request has one user, surface and query"]),
    ("impressions", "item_id", None, ["item_id is present"]),
    ("impressions", "position", None, ["position is present"]),
    ("impressions", "surface", "attic", [SURFACES, "a request has one user, surface and query"]),
    ("impressions", "position", 0, ["position is 1 or more"]),
    ("impressions", "propensity", 0.0, ["propensity is above 0 and at most 1"]),
    ("impressions", "propensity", 1.01, ["propensity is above 0 and at most 1"]),
    ("impressions", "propensity", INF, ["propensity is above 0 and at most 1", "propensity is finite"]),
    ("impressions", "item_id", "i9", ["item_id is in items"]),
    ("impressions", "user_id", "u9", ["user_id is in users", "a request has one user, surface and query"]),
    ("impressions", "ts", START - timedelta(1), ["item was created before it was shown", "user was created before the request"]),
    ("impressions", "item_id", "i1", ["item is once in a request"]),
    ("impressions", "position", 1, ["position is once in a request"]),
    ("impressions", "user_id", "u2", ["a request has one user, surface and query"]),
    ("impressions", "query", "logo", ["a request has one user, surface and query"]),
    ("outcomes", "ts", None, ["ts is present"]),
    ("outcomes", "user_id", None, ["user_id is present"]),
    ("outcomes", "item_id", None, ["item_id is present", "request_id and item_id name an impression"]),
    ("outcomes", "kind", None, ["kind is present"]),
    ("outcomes", "kind", "glance", [KINDS]),
    ("outcomes", "value", INF, ["value is finite"]),
    ("outcomes", "item_id", "i9", ["item_id is in items", "request_id and item_id name an impression"]),
    ("outcomes", "user_id", "u9", ["user_id is in users", "user_id is the one it was shown to"]),
    ("outcomes", "request_id", "r9", ["request_id and item_id name an impression"]),
    ("outcomes", "user_id", "u2", ["user_id is the one it was shown to"]),
    ("outcomes", "ts", NOON - timedelta(seconds=1), ["ts is not before the impression"]),
    ("outcomes", "item_id", "i1", ["the event is there once"]),
]


def test_a_clean_marketplace_passes_with_no_row_in_quarantine(frames, reasons):
    validated = validate(frames)
    assert reasons(validated) == {}
    assert validated.tables.rows() == {"items": 2, "users": 2, "impressions": 2, "outcomes": 2}
    assert all(result.holds and result.count == 0 for result in validated.report)
    assert [(result.table, result.rule) for result in validated.report] == [(rule.table, rule.name) for rule in RULES]


@pytest.mark.parametrize(("table", "column", "value", "expected"), ONE_VALUE)
def test_one_wrong_value_gives_its_row_exactly_these_reasons(table, column, value, expected, rows, framed, reasons):
    rows[table][1][column] = value
    assert reasons(examine(framed(rows), NO_LIMIT))[table] == [expected]


def test_every_rule_on_values_fires_above_or_by_a_cascade_below():
    fired = {(table, reason) for table, _, _, expected in ONE_VALUE for reason in expected}
    of_types = re.compile(r"\w+ is (text|a number|a whole number|a UTC time|a list of texts|a list of numbers)")
    left = {(rule.table, rule.name) for rule in RULES if not of_types.fullmatch(rule.name)} - fired
    by_cascade = {("outcomes", "the impression is not in quarantine")}
    by_cascade |= {(t, f"{i} is not in quarantine") for t in ("impressions", "outcomes") for i in ("item_id", "user_id")}
    assert left == by_cascade


def test_a_fallen_item_takes_its_impressions_and_their_outcomes_along(rows, framed, reasons):
    rows["items"][0]["budget"] = -5.0
    assert reasons(examine(framed(rows), NO_LIMIT)) == {
        "items": [["budget is 0 or more"]],
        "impressions": [["item_id is not in quarantine"]],
        "outcomes": [["item_id is not in quarantine", "the impression is not in quarantine"]],
    }


def test_a_fallen_user_takes_every_request_along(rows, framed, reasons):
    rows["users"][0]["hourly_rate"] = -5.0
    assert reasons(examine(framed(rows), NO_LIMIT)) == {
        "users": [["hourly_rate is 0 or more"]],
        "impressions": [["user_id is not in quarantine"]] * 2,
        "outcomes": [["user_id is not in quarantine", "the impression is not in quarantine"]] * 2,
    }


def test_a_doubled_item_still_counts_as_known_through_its_first_row(rows, framed, reasons):
    rows["items"].append(dict(rows["items"][0], title="a newer title"))
    validated = examine(framed(rows), NO_LIMIT)
    assert reasons(validated) == {"items": [["item_id is unique"]]}
    assert validated.tables.items["title"].to_list() == ["a job", "a job"]


def test_an_outcome_that_names_no_request_needs_no_impression(rows, framed, reasons):
    rows["outcomes"][1] |= {"request_id": None, "ts": NOON - timedelta(hours=1)}
    assert reasons(validate(framed(rows))) == {}
