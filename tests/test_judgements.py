"""Judgements against a plain count by hand."""

from dataclasses import replace
from datetime import UTC as ZONE
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.contracts import GRADES, KINDS, SCHEMAS, Tables
from rankloop.errors import DataError
from rankloop.judgements import ATTRIBUTION, graded, has_negatives, judged_requests
from rankloop.request import Request

START = datetime(2026, 1, 1, tzinfo=ZONE)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
END = START + 100 * DAY


def log(shown: list[dict[str, object]], acted: list[dict[str, object]]) -> Tables:
    defaults = {"surface": "job_feed", "user_id": "u", "ts": START}
    return replace(
        Tables.empty(),
        impressions=pl.DataFrame([defaults | row for row in shown], schema=SCHEMAS["impressions"]),
        outcomes=pl.DataFrame([{"user_id": "u", "ts": START + HOUR} | row for row in acted], schema=SCHEMAS["outcomes"]),
    )


def shown(request: str, *items: str, **more: object) -> list[dict[str, object]]:
    return [{"request_id": request, "item_id": item, "position": n} | more for n, item in enumerate(items, 1)]


def grades(tables: Tables, **more: datetime) -> list[list[int]]:
    return [list(own) for own in judged_requests(tables, START, END, **more).grades]


def test_a_request_keeps_its_order_and_says_who_asked_for_what():
    tables = log(shown("r", "b", "a", "c", query="logo", surface="job_search", ts=START + HOUR)[::-1], [])
    judged = judged_requests(tables, START, END)
    assert judged.requests == [Request("u", "job_search", START + HOUR, "logo")]
    assert judged.items == [["b", "a", "c"]]
    assert [list(own) for own in judged.positions] == [[1, 2, 3]]
    assert judged.grades[0].dtype == judged.positions[0].dtype == np.int32


def test_requests_come_in_order_of_time():
    tables = log(shown("late", "a", ts=START + HOUR) + shown("b", "a") + shown("a", "a"), [])
    log_of = judged_requests(tables, START, END)
    assert [request.ts for request in log_of.requests] == [START, START, START + HOUR]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_grade(kind):
    tables = log(shown("r", "a"), [{"request_id": "r", "item_id": "a", "kind": kind}])
    assert grades(tables) == [[GRADES[kind]]]


def test_of_several_outcomes_the_highest_counts():
    acted = [{"request_id": "r", "item_id": "a", "kind": kind} for kind in ("click", "apply", "dismiss", "save")]
    assert grades(log(shown("r", "a", "b"), acted)) == [[GRADES["apply"], 0]]


def test_an_outcome_judges_only_the_request_it_names():
    tables = log(shown("r", "a") + shown("s", "a"), [{"request_id": "s", "item_id": "a", "kind": "save"}])
    assert grades(tables) == [[0], [GRADES["save"]]]


def test_an_outcome_without_a_request_judges_the_latest_impression_before_it():
    tables = log(
        shown("r", "a") + shown("s", "a", ts=START + HOUR) + shown("t", "a", ts=START + 3 * HOUR),
        [{"item_id": "a", "kind": "hire", "ts": START + 2 * HOUR}],
    )
    assert grades(tables) == [[0], [GRADES["hire"]], [0]]


@pytest.mark.parametrize(("delay", "grade"), [(timedelta(0), 1), (ATTRIBUTION, 1), (ATTRIBUTION + timedelta(microseconds=1), 0)])
def test_an_outcome_without_a_request_counts_within_the_attribution_window(delay, grade):
    tables = log(shown("r", "a"), [{"item_id": "a", "kind": "click", "ts": START + delay}])
    assert grades(tables) == [[grade]]


def test_an_outcome_of_another_person_or_another_item_judges_nothing():
    acted = [{"item_id": "a", "kind": "click", "user_id": "v"}, {"item_id": "b", "kind": "click"}]
    assert grades(log(shown("r", "a"), acted)) == [[0]]


def test_a_label_never_knows_what_happened_at_or_after_the_horizon():
    acted = [
        {"request_id": "r", "item_id": "a", "kind": "click", "ts": START + HOUR},
        {"request_id": "r", "item_id": "a", "kind": "hire", "ts": START + DAY},
    ]
    tables = log(shown("r", "a"), acted)
    assert grades(tables, horizon=START + DAY) == [[GRADES["click"]]]
    assert grades(tables, horizon=START + DAY + HOUR) == [[GRADES["hire"]]]


def test_without_a_horizon_the_end_of_the_window_is_the_horizon():
    tables = log(shown("r", "a"), [{"request_id": "r", "item_id": "a", "kind": "click", "ts": START + DAY}])
    assert list(judged_requests(tables, START, START + DAY).grades[0]) == [0]


def test_a_window_holds_its_start_and_not_its_end():
    tables = log(shown("r", "a") + shown("s", "a", ts=START + DAY), [])
    assert [request.ts for request in judged_requests(tables, START, START + DAY).requests] == [START]


def test_an_earlier_impression_outside_the_window_takes_no_later_ones_outcome():
    tables = log(shown("r", "a") + shown("s", "a", ts=START + DAY), [{"item_id": "a", "kind": "click", "ts": START + HOUR}])
    assert [list(own) for own in judged_requests(tables, START + HOUR, END).grades] == [[0]]


def test_a_window_without_requests_has_none():
    assert judged_requests(Tables.empty(), START, END) == ([], [], [], [])


def test_a_window_must_not_end_before_it_starts():
    with pytest.raises(DataError, match="must not end before it starts"):
        judged_requests(Tables.empty(), END, START)


def test_a_log_of_choices_only_has_no_negatives():
    chosen = [{"request_id": "r", "item_id": item, "kind": "click"} for item in "ab"]
    assert not has_negatives(log(shown("r", "a", "b"), chosen))
    assert has_negatives(log(shown("r", "a", "b", "c"), chosen))
    assert has_negatives(log(shown("r", "a", "b", "c"), [*chosen, {"request_id": "r", "item_id": "c", "kind": "dismiss"}]))


def test_an_empty_log_has_no_negatives():
    assert not has_negatives(Tables.empty())


def test_one_lost_click_in_a_thousand_makes_no_negatives():
    items = [f"i{n}" for n in range(1000)]
    chosen = [{"request_id": "r", "item_id": item, "kind": "click"} for item in items]
    assert not has_negatives(log(shown("r", *items), chosen[1:]))
    assert has_negatives(log(shown("r", *items), chosen[10:]))


moments = st.integers(0, 200).map(lambda h: START + h * HOUR)
impressions = st.lists(
    st.tuples(st.sampled_from("rstu"), st.sampled_from("abc"), moments), unique_by=lambda row: row[:2], max_size=12
)
outcomes = st.lists(
    st.tuples(st.sampled_from(["r", "s", "t", "u", None]), st.sampled_from("abc"), moments, st.sampled_from(KINDS)), max_size=12
)


@given(impressions, outcomes, moments)
def test_every_grade_is_what_a_person_would_count(seen, acted, horizon):
    tables = log(
        [{"request_id": r, "item_id": i, "ts": ts, "position": n} for n, (r, i, ts) in enumerate(seen, 1)],
        [{"request_id": r, "item_id": i, "ts": ts, "kind": kind} for r, i, ts, kind in acted],
    )
    expected = [0] * len(seen)
    for request, item, ts, kind in acted:
        if ts >= horizon:
            continue
        rows = [
            (at, n)
            for n, (r, i, at) in enumerate(seen)
            if i == item and (r == request if request else at <= ts <= at + ATTRIBUTION)
        ]
        for _, n in rows if request else sorted(rows)[-1:]:
            expected[n] = max(expected[n], GRADES[kind])
    assert graded(tables, horizon=horizon)["grade"].to_list() == expected
