"""Budgets, breaches, the quarantine and what is written."""

import json
from datetime import UTC as ZONE
from datetime import datetime, timedelta

import polars as pl
import pytest

from rankloop.contracts import Budget, Budgets, Columns, Tables, examine, validate
from rankloop.errors import ContractBreach, DataError, SettingsError

START = datetime(2026, 1, 1, tzinfo=ZONE)
NOON = START + timedelta(hours=12)

NO_LIMIT = Budgets(every=Budget())


def test_the_quarantine_holds_the_row_as_the_source_gave_it(frames):
    frames["items"] = frames["items"].with_columns(budget=pl.Series(["12", "a lot"]))
    quarantine = examine(frames, NO_LIMIT).quarantine["items"]
    assert quarantine.select("item_id", "budget", Columns.REASONS).to_dicts() == [
        {"item_id": "i2", "budget": "a lot", "reasons": ["budget is a number"]}
    ]


def test_a_mended_quarantine_can_be_validated_again(frames):
    frames["items"] = frames["items"].with_columns(budget=pl.Series([-1.0, 2.0]))
    mended = examine(frames, NO_LIMIT).quarantine["items"].with_columns(budget=pl.lit(1.0))
    validated = validate(frames | {"items": pl.concat([mended, frames["items"].tail(1)], how="diagonal")})
    assert validated.tables.items["budget"].to_list() == [1.0, 2.0]
    assert "reasons" not in validated.tables.items.columns


def test_a_breach_names_table_rule_count_three_examples_and_the_remedy(rows, framed):
    rows["items"] += [dict(rows["items"][0], item_id=None, title=f"t{i}") for i in range(5)]
    with pytest.raises(ContractBreach, match="Fill it in at the source") as breach:
        validate(framed(rows))
    assert (breach.value.table, breach.value.rule, breach.value.count) == ("items", "item_id is present", 5)
    assert [example["title"] for example in breach.value.examples] == ["t0", "t1", "t2"]


def test_a_breach_is_the_cause_and_not_its_consequence(rows, framed):
    rows["items"][0]["item_id"] = None
    with pytest.raises(ContractBreach, match=r"3 more rules are over budget") as breach:
        validate(framed(rows))
    assert breach.value.rule == "item_id is present"


@pytest.mark.parametrize(
    ("budget", "holds"), [(Budget(0.5), True), (Budget(0.49), False), (Budget(count=1), True), (Budget(0.5, 0), False)]
)
def test_a_budget_is_a_fraction_a_count_or_both(budget, holds, rows, framed):
    rows["items"][0]["budget"] = -1.0
    rows["impressions"], rows["outcomes"] = rows["impressions"][1:], rows["outcomes"][1:]
    budgets = Budgets({("items", "budget is 0 or more"): budget})
    [result] = [result for result in examine(framed(rows), budgets).report if result.count]
    assert (result.rule, result.rows, result.count, result.holds) == ("budget is 0 or more", 2, 1, holds)


def test_a_budget_for_an_unknown_rule_names_the_nearest_one():
    with pytest.raises(SettingsError, match="did you mean 'budget is 0 or more'"):
        Budgets({("items", "budget is zero or more"): Budget()})


def test_a_negative_budget_is_refused():
    with pytest.raises(SettingsError, match="a limit is 0 or more"):
        Budgets({("items", "item_id is unique"): Budget(count=-1)})


def test_a_missing_table_is_named(frames):
    with pytest.raises(DataError, match="table 'outcomes' is a NoneType"):
        validate({name: frame for name, frame in frames.items() if name != "outcomes"})


def test_the_tables_do_not_depend_on_the_order_of_the_rows(frames):
    turned = {name: frame.reverse() for name, frame in frames.items()}
    for (_, one), (_, other) in zip(validate(frames).tables, validate(turned).tables, strict=True):
        assert one.equals(other)


def test_what_is_written_can_be_read_and_the_report_is_json(tmp_path, rows, framed):
    rows["items"][0]["closed_at"] = START
    validated = examine(framed(rows), NO_LIMIT)
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


def test_examples_are_cut_to_what_a_terminal_can_show(frames):
    frames["items"] = frames["items"].with_columns(title=pl.lit("x" * 500), budget=pl.lit(-1.0))
    [fired] = [result for result in examine(frames, NO_LIMIT).report if result.table == "items" and result.count]
    assert fired.examples[0]["title"] == "x" * 99 + "…"


def test_the_report_is_json_even_where_a_number_is_not(rows, framed, tmp_path):
    rows["outcomes"][1]["value"] = float("inf")
    rows["impressions"][1] |= {"position": 0, "features": [float("nan"), *range(20)]}
    examine(framed(rows), NO_LIMIT).write(tmp_path)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    report = json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    shown = {rule["rule"]: rule["examples"] for rule in report["rules"] if rule["examples"]}
    assert shown["value is finite"][0]["value"] == "inf"
    assert shown["position is 1 or more"][0]["features"] == ["nan", *range(9), "…"]
