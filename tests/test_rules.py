"""Which items may be shown to whom."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rankloop.contracts import SCHEMAS, Tables
from rankloop.request import Recent, Request, microseconds
from rankloop.rules import Rules
from rankloop.vocabulary import Vocabulary

DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
CATALOGUE = Vocabulary(["open", "closing", "later"])


def tables(outcomes: list[tuple[datetime, str, str, str]]) -> Tables:
    items = pl.DataFrame(
        {
            "item_id": ["closing", "later", "open"],
            "title": ["a", "b", "c"],
            "created_at": [DAY, DAY + 2 * HOUR, DAY],
            "closed_at": [DAY + HOUR, None, None],
        },
        schema_overrides={"created_at": pl.Datetime("us", "UTC"), "closed_at": pl.Datetime("us", "UTC")},
    )
    rows = pl.DataFrame(
        [{"ts": ts, "user_id": user, "item_id": item, "kind": kind} for ts, user, item, kind in outcomes],
        schema={name: SCHEMAS["outcomes"][name] for name in ("ts", "user_id", "item_id", "kind")},
    )
    empty = Tables.empty()
    return Tables(items, empty.users, empty.impressions, rows)


def shown(rules: Rules, ts: datetime, user: str = "u") -> list[str]:
    return CATALOGUE.decode(np.flatnonzero(rules.allowed(Request(user, "job_feed", ts))))


def test_an_item_is_shown_from_the_moment_it_is_created_until_just_before_it_closes() -> None:
    rules = Rules.from_tables(tables([]), CATALOGUE)
    assert shown(rules, DAY - HOUR) == []
    assert shown(rules, DAY) == ["open", "closing"]
    assert shown(rules, DAY + HOUR - timedelta(microseconds=1)) == ["open", "closing"]
    assert shown(rules, DAY + HOUR) == ["open"]
    assert shown(rules, DAY + 2 * HOUR) == ["open", "later"]


@pytest.mark.parametrize(("kind", "hidden"), [("apply", True), ("hire", True), ("dismiss", True), ("click", False)])
def test_an_item_is_not_shown_again_to_a_person_who_is_done_with_it(kind: str, hidden: bool) -> None:
    rules = Rules.from_tables(tables([(DAY + HOUR, "u", "open", kind)]), CATALOGUE)
    later = DAY + 3 * HOUR
    assert ("open" in shown(rules, later)) is not hidden
    assert "open" in shown(rules, later, user="somebody else")
    assert "open" in shown(rules, DAY + HOUR), "what happens at the moment of the request is not yet known"


@pytest.mark.parametrize(("kind", "hidden"), [("apply", True), ("dismiss", True), ("click", False)])
def test_what_a_request_says_was_done_since_is_not_shown_again(kind: str, hidden: bool) -> None:
    rules = Rules.from_tables(tables([]), CATALOGUE)
    recent = (Recent(CATALOGUE.code("open"), kind, microseconds(DAY) + 1),)
    allowed = rules.allowed(Request("u", "job_feed", DAY + HOUR / 2, recent=recent))
    assert CATALOGUE.decode(np.flatnonzero(allowed)) == (["closing"] if hidden else ["open", "closing"])


def test_rules_read_back_are_the_rules_written(tmp_path: Path) -> None:
    rules = Rules.from_tables(tables([(DAY + HOUR, "u", "open", "apply"), (DAY, "v", "gone", "apply")]), CATALOGUE)
    rules.save(tmp_path)
    again = Rules.load(tmp_path)
    for hours in range(4):
        assert shown(again, DAY + hours * HOUR) == shown(rules, DAY + hours * HOUR)


def test_microseconds_are_exact_where_a_float_would_not_be() -> None:
    ts = datetime(2026, 11, 22, 3, 34, 34, 123457, tzinfo=UTC)
    assert microseconds(ts) % 1_000_000 == 123457
    assert microseconds(ts + timedelta(microseconds=1)) == microseconds(ts) + 1
