"""Every rule, silent then firing, with the exact reasons."""

import json
from datetime import UTC as ZONE
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from rankloop.contracts import RULES, Budget, Budgets, Columns, Tables, Validated, examine, validate
from rankloop.errors import ContractBreach, DataError, SettingsError

START = datetime(2026, 1, 1, tzinfo=ZONE)
NOON = START + timedelta(hours=12)
LATER = NOON + timedelta(minutes=1)

NO_LIMIT = Budgets(every=Budget())


def rows() -> dict[str, list[dict[str, object]]]:
    """A small marketplace in which nothing is wrong: two of everything."""
    item = {
        "title": "a job",
        "description": "work",
        "category": "design",
        "skills": ["sql"],
        "country": "PT",
        "budget": 100.0,
        "duration_days": 3.0,
        "owner_id": "o",
        "created_at": START,
        "closed_at": NOON + timedelta(days=9),
    }
    user = {
        "headline": "I draw",
        "skills": ["sql"],
        "country": "PT",
        "hourly_rate": 10.0,
        "experience_years": 2.0,
        "utc_offset_hours": 1.0,
        "created_at": START,
    }
    shown = {"ts": NOON, "surface": "job_feed", "query": None, "propensity": 0.5, "release_id": "r", "features": [1.0]}
    acted = {"ts": LATER, "request_id": "r1", "kind": "click", "value": 1.0}
    return {
        "items": [{"item_id": "i1", **item}, {"item_id": "i2", **item}],
        "users": [{"user_id": "u1", **user}, {"user_id": "u2", **user}],
        "impressions": [
            {"request_id": "r1", "user_id": "u1", "item_id": "i1", "position": 1, **shown},
            {"request_id": "r1", "user_id": "u1", "item_id": "i2", "position": 2, **shown},
        ],
        "outcomes": [{"user_id": "u1", "item_id": "i1", **acted}, {"user_id": "u1", "item_id": "i2", **acted}],
    }


def frames(changed: dict[str, list[dict[str, object]]] | None = None) -> dict[str, pl.DataFrame]:
    return {name: pl.DataFrame(table, infer_schema_length=None) for name, table in (changed or rows()).items()}


def reasons(validated: Validated) -> dict[str, list[list[str]]]:
    """The reasons of every row in quarantine, for the tables that have any."""
    return {name: frame["reasons"].to_list() for name, frame in validated.quarantine.items() if frame.height}


def test_a_clean_marketplace_passes_with_no_row_in_quarantine():
    validated = validate(frames())
    assert reasons(validated) == {}
    assert validated.tables.rows() == {"items": 2, "users": 2, "impressions": 2, "outcomes": 2}
    assert all(result.holds and result.count == 0 for result in validated.report)
    assert [(result.table, result.rule) for result in validated.report] == [(rule.table, rule.name) for rule in RULES]


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


@pytest.mark.parametrize(("table", "column", "value", "expected"), ONE_VALUE)
def test_one_wrong_value_puts_its_row_into_quarantine_with_exactly_these_reasons(table, column, value, expected):
    changed = rows()
    changed[table][1][column] = value
    assert reasons(examine(frames(changed), NO_LIMIT))[table] == [expected]


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
def test_a_column_of_the_wrong_type_is_unreadable_and_not_absent(table, column, values, reason):
    changed = frames()
    changed[table] = changed[table].with_columns(pl.Series(column, values))
    validated = examine(changed, NO_LIMIT)
    assert all(reason in row and f"{column} is present" not in row for row in reasons(validated)[table])


def test_every_rule_but_the_two_cascades_fires_in_the_tables_above():
    fired = {(table, reason) for table, _, _, expected in ONE_VALUE for reason in expected}
    fired |= {(table, reason) for table, _, _, reason in UNREADABLE}
    cascades = {"item_id is not in quarantine", "user_id is not in quarantine", "the impression is not in quarantine"}
    # the features and positions of one impression have no rule of their own beyond these
    assert {(rule.table, rule.name) for rule in RULES} - fired == {
        (table, name)
        for table in ("impressions", "outcomes")
        for name in cascades
        if table == "outcomes" or "impression" not in name
    }


def test_a_fallen_item_takes_its_impressions_and_their_outcomes_along():
    changed = rows()
    changed["items"][0]["budget"] = -5.0
    assert reasons(examine(frames(changed), NO_LIMIT)) == {
        "items": [["budget is 0 or more"]],
        "impressions": [["item_id is not in quarantine"]],
        "outcomes": [["item_id is not in quarantine", "the impression is not in quarantine"]],
    }


def test_a_fallen_user_takes_every_request_along():
    changed = rows()
    changed["users"][0]["hourly_rate"] = -5.0
    assert reasons(examine(frames(changed), NO_LIMIT)) == {
        "users": [["hourly_rate is 0 or more"]],
        "impressions": [["user_id is not in quarantine"]] * 2,
        "outcomes": [["user_id is not in quarantine", "the impression is not in quarantine"]] * 2,
    }


def test_a_doubled_item_still_counts_as_known_through_its_first_row():
    changed = rows()
    changed["items"].append(dict(changed["items"][0], title="a newer title"))
    validated = examine(frames(changed), NO_LIMIT)
    assert reasons(validated) == {"items": [["item_id is unique"]]}
    assert validated.tables.items["title"].to_list() == ["a job", "a job"]


def test_an_outcome_that_names_no_request_needs_no_impression():
    changed = rows()
    changed["outcomes"][1] |= {"request_id": None, "ts": NOON - timedelta(hours=1)}
    assert reasons(validate(frames(changed))) == {}


def test_times_of_other_zones_are_the_same_moments_in_utc():
    changed = frames()
    lisbon = changed["items"]["created_at"].dt.convert_time_zone("Asia/Tokyo").dt.cast_time_unit("ms")
    changed["items"] = changed["items"].with_columns(lisbon)
    items = validate(changed).tables.items
    assert items.schema["created_at"] == pl.Datetime("us", "UTC")
    assert items["created_at"].to_list() == [START.astimezone(ZoneInfo("UTC"))] * 2


def test_a_time_as_text_is_read_if_it_says_its_zone():
    changed = frames()
    texts = pl.Series("created_at", ["2026-01-01T02:00:00.5+02:00", "2026-01-01 00:00:00"])
    changed["items"] = changed["items"].with_columns(texts)
    validated = examine(changed, NO_LIMIT)
    assert validated.tables.items["created_at"].to_list() == [START + timedelta(milliseconds=500)]
    assert reasons(validated)["items"] == [["created_at is a UTC time"]]


def test_ids_may_be_whole_numbers_even_as_floats():
    changed = rows()
    for table in changed.values():
        for row in table:
            row["item_id"] = float(str(row.get("item_id", "i0"))[1:])
    changed["users"] = [{k: v for k, v in row.items() if k != "item_id"} for row in changed["users"]]
    assert validate(frames(changed)).tables.items["item_id"].to_list() == ["1", "2"]


def test_nan_is_a_missing_number():
    changed = rows()
    changed["items"][0]["budget"] = float("nan")
    assert validate(frames(changed)).tables.items["budget"].to_list() == [None, 100.0]


def test_optional_columns_are_added_as_nulls_in_the_order_of_the_contract():
    changed = frames()
    changed["items"] = changed["items"].select("created_at", "title", "item_id")
    items = validate(changed).tables.items
    assert items.schema == Tables.empty().items.schema
    assert items["skills"].to_list() == [None, None]


def test_further_numbers_are_kept_and_further_texts_are_named_as_left_out():
    changed = frames()
    changed["items"] = changed["items"].with_columns(rating=pl.lit(4), verified=pl.lit(True), colour=pl.lit("red"))
    validated = validate(changed)
    assert validated.tables.items.columns[-2:] == ["rating", "verified"]
    assert validated.tables.items["verified"].to_list() == [1.0, 1.0]
    assert validated.left_out == {"items": ("colour",), "users": (), "impressions": (), "outcomes": ()}


def test_a_further_number_must_be_finite():
    changed = frames()
    changed["items"] = changed["items"].with_columns(rating=pl.Series([1.0, INF]))
    assert reasons(examine(changed, NO_LIMIT))["items"] == [["rating is finite"]]


def test_the_quarantine_holds_the_row_as_the_source_gave_it():
    changed = frames()
    changed["items"] = changed["items"].with_columns(budget=pl.Series(["12", "a lot"]))
    quarantine = examine(changed, NO_LIMIT).quarantine["items"]
    assert quarantine.select("item_id", "budget", Columns.REASONS).to_dicts() == [
        {"item_id": "i2", "budget": "a lot", "reasons": ["budget is a number"]}
    ]


def test_a_mended_quarantine_can_be_validated_again():
    changed = frames()
    changed["items"] = changed["items"].with_columns(budget=pl.Series([-1.0, 2.0]))
    mended = examine(changed, NO_LIMIT).quarantine["items"].with_columns(budget=pl.lit(1.0))
    validated = validate(frames() | {"items": pl.concat([mended, changed["items"].tail(1)], how="diagonal")})
    assert validated.tables.items["budget"].to_list() == [1.0, 2.0]
    assert "reasons" not in validated.tables.items.columns


def test_a_breach_names_table_rule_count_three_examples_and_the_remedy():
    changed = rows()
    changed["items"] += [dict(changed["items"][0], item_id=None, title=f"t{i}") for i in range(5)]
    with pytest.raises(ContractBreach, match="Fill it in at the source") as breach:
        validate(frames(changed))
    assert (breach.value.table, breach.value.rule, breach.value.count) == ("items", "item_id is present", 5)
    assert [example["title"] for example in breach.value.examples] == ["t0", "t1", "t2"]


def test_a_breach_is_the_cause_and_not_its_consequence():
    changed = rows()
    changed["items"][0]["item_id"] = None
    with pytest.raises(ContractBreach, match=r"3 more rules are over budget") as breach:
        validate(frames(changed))
    assert breach.value.rule == "item_id is present"


@pytest.mark.parametrize(
    ("budget", "holds"), [(Budget(0.5), True), (Budget(0.49), False), (Budget(count=1), True), (Budget(0.5, 0), False)]
)
def test_a_budget_is_a_fraction_a_count_or_both(budget, holds):
    changed = rows()
    changed["items"][0]["budget"] = -1.0
    changed["impressions"], changed["outcomes"] = changed["impressions"][1:], changed["outcomes"][1:]
    budgets = Budgets({("items", "budget is 0 or more"): budget})
    [result] = [result for result in examine(frames(changed), budgets).report if result.count]
    assert (result.rule, result.rows, result.count, result.holds) == ("budget is 0 or more", 2, 1, holds)


def test_a_budget_for_an_unknown_rule_names_the_nearest_one():
    with pytest.raises(SettingsError, match="did you mean 'budget is 0 or more'"):
        Budgets({("items", "budget is zero or more"): Budget()})


def test_a_negative_budget_is_refused():
    with pytest.raises(SettingsError, match="a limit is 0 or more"):
        Budgets({("items", "item_id is unique"): Budget(count=-1)})


def test_a_missing_required_column_is_named_with_what_is_there():
    changed = frames()
    changed["items"] = changed["items"].rename({"item_id": "itemid"})
    with pytest.raises(DataError, match=r"'items' has no column 'item_id'.*did you mean 'itemid'"):
        validate(changed)


def test_a_missing_table_is_named():
    with pytest.raises(DataError, match="table 'outcomes' is a NoneType"):
        validate({name: frame for name, frame in frames().items() if name != "outcomes"})


def test_python_objects_are_refused():
    changed = frames()
    changed["users"] = changed["users"].with_columns(pl.Series("headline", [object(), object()], dtype=pl.Object))
    with pytest.raises(DataError, match=r"\['headline'\] hold Python objects"):
        validate(changed)


def test_the_tables_do_not_depend_on_the_order_of_the_rows():
    turned = {name: frame.reverse() for name, frame in frames().items()}
    for (_, one), (_, other) in zip(validate(frames()).tables, validate(turned).tables, strict=True):
        assert one.equals(other)


def test_what_is_written_can_be_read_and_the_report_is_json(tmp_path):
    changed = rows()
    changed["items"][0]["closed_at"] = START
    validated = examine(frames(changed), NO_LIMIT)
    validated.write(tmp_path / "out")
    validated.write(tmp_path / "out")
    assert Tables.read(tmp_path / "out").items.equals(validated.tables.items)
    kept = pl.read_parquet(tmp_path / "out" / "quarantine" / "impressions.parquet")
    assert kept["reasons"].to_list() == [["item_id is not in quarantine"]]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["rows"]["items"] == 1
    assert report["quarantined"] == {"items": 1, "users": 0, "impressions": 1, "outcomes": 1}
    [fired] = [rule for rule in report["rules"] if rule["rule"] == "closed_at is after created_at"]
    assert fired["examples"][0]["closed_at"] == "2026-01-01 00:00:00+00:00"
    assert not list((tmp_path / "out").rglob("*.part"))


def test_examples_are_cut_to_what_a_terminal_can_show():
    changed = frames()
    changed["items"] = changed["items"].with_columns(title=pl.lit("x" * 500), budget=pl.lit(-1.0))
    [fired] = [result for result in examine(changed, NO_LIMIT).report if result.table == "items" and result.count]
    assert fired.examples[0]["title"] == "x" * 99 + "…"
