"""Views keyed by freelancer or query, counted by hand in the tiny marketplace."""

from collections.abc import Callable
from datetime import datetime
from math import sqrt
from typing import Any

At = Callable[..., datetime]
AssertRows = Callable[[str, dict[tuple[Any, ...], tuple[Any, ...]]], None]

FEED_1_DAY_2, FEED_2_DAY_2, FEED_1_DAY_12 = 2 / 21, 1 / 21, 2 / 22
SEARCH_1_DAY_2, SEARCH_2_DAY_2, SEARCH_1_DAY_3, SEARCH_2_DAY_3 = 2 / 21, 1 / 21, 3 / 22, 1 / 22


def test_user_profile(assert_rows: AssertRows, at: At) -> None:
    expected = {("u1", at(1)): (at(1), 50, 3, 2), ("u2", at(2)): (at(2), None, None, 0)}
    assert_rows("user_profile", expected)


def test_user_activity_decays_and_remembers_the_last_action(assert_rows: AssertRows, at: At) -> None:
    expected = {
        # clicks 7d, clicks 28d, applies 28d, click rate, last action
        ("u1", at(3)): (1, 1, 0, 2 / 22, at(2, 9, 5)),
        ("u1", at(4)): (2, 2, 0, 3 / 24, at(3, 9, 5)),
        ("u1", at(5)): (2, 2, 1, 3 / 24, at(4, 12)),
        ("u1", at(6)): (2, 2, 1, 3 / 24, at(5, 12)),
        ("u1", at(7)): (2, 2, 1, 3 / 24, at(6, 12)),
        ("u1", at(10)): (1, 2, 1, 3 / 24, at(6, 12)),
        ("u1", at(11)): (0, 2, 1, 3 / 24, at(6, 12)),
        ("u1", at(12)): (0, 2, 1, 3 / 24, at(6, 12)),
        ("u1", at(13)): (0, 2, 1, 3 / 24, at(6, 12)),
        ("u2", at(3)): (1, 1, 1, 2 / 22, at(2, 10, 30)),
        ("u2", at(10)): (0, 1, 1, 2 / 22, at(2, 10, 30)),
        ("u2", at(13)): (1, 2, 1, 3 / 23, at(12, 9, 2)),
    }
    assert_rows("user_activity", expected)


def test_user_taste_is_geometric(assert_rows: AssertRows, at: At) -> None:
    expected = {
        ("u1", at(3)): (800, 4, None),
        ("u1", at(4)): (sqrt(800 * 200), sqrt(4 * 0.5), None),
        ("u1", at(5)): (sqrt(800 * 200), sqrt(4 * 0.5), 200),
        ("u2", at(3)): (800, 4, 800 / 4),
        ("u2", at(13)): (sqrt(800 * 450), 4, 800 / 4),
    }
    assert_rows("user_taste", expected)


def test_user_category_share_falls_when_another_category_rises(assert_rows: AssertRows, at: At) -> None:
    u1_day_2, u1_day_3 = FEED_1_DAY_2 + FEED_2_DAY_2, SEARCH_1_DAY_3 + SEARCH_2_DAY_3
    u2_day_2 = SEARCH_1_DAY_2 + SEARCH_2_DAY_2
    coec = 3 / (u1_day_2 + u1_day_3 + 1)
    expected = {
        # clicks, applies, share, coec, last click
        ("u1", "design", at(3)): (1, 0, 1, 2 / (u1_day_2 + 1), at(2, 9, 5)),
        ("u1", "design", at(4)): (2, 0, 1, coec, at(3, 9, 5)),
        ("u1", "design", at(5)): (2, 1, 1, coec, at(3, 9, 5)),
        ("u1", "design", at(6)): (2, 1, 1, coec, at(3, 9, 5)),
        ("u1", "design", at(7)): (2, 1, 1, coec, at(3, 9, 5)),
        ("u2", "design", at(3)): (1, 1, 1, 2 / (u2_day_2 + 1), at(2, 10, 5)),
        ("u2", "design", at(13)): (1, 1, 1 / 2, 2 / (u2_day_2 + 1), at(2, 10, 5)),
        ("u2", "coding", at(13)): (1, 0, 1 / 2, 1 / (FEED_1_DAY_12 + 1), at(12, 9, 2)),
    }
    assert_rows("user_category", expected)


def test_user_owner(assert_rows: AssertRows, at: At) -> None:
    expected = {
        ("u1", "o1", at(3)): (1, 0, 0),
        ("u1", "o1", at(4)): (2, 0, 0),
        ("u1", "o1", at(5)): (2, 1, 0),
        ("u1", "o1", at(6)): (2, 1, 0),
        ("u1", "o1", at(7)): (2, 1, 1),
        ("u2", "o1", at(3)): (1, 1, 0),
        ("u2", "o2", at(13)): (1, 0, 0),
    }
    assert_rows("user_owner", expected)


def test_user_item(assert_rows: AssertRows, at: At) -> None:
    expected = {
        # shown, clicks, applies, dismisses, last seen
        ("u1", "j1", at(3)): (1, 1, 0, 0, at(2, 9)),
        ("u1", "j1", at(4)): (2, 1, 0, 0, at(3, 9)),
        ("u1", "j2", at(3)): (1, 0, 0, 0, at(2, 9)),
        ("u1", "j2", at(4)): (2, 1, 0, 0, at(3, 9)),
        ("u1", "j2", at(5)): (2, 1, 1, 0, at(3, 9)),
        ("u1", "j2", at(6)): (2, 1, 1, 0, at(3, 9)),
        ("u1", "j2", at(7)): (2, 1, 1, 0, at(3, 9)),
        ("u2", "j1", at(3)): (1, 1, 1, 0, at(2, 10)),
        ("u2", "j2", at(3)): (1, 0, 0, 0, at(2, 10)),
        ("u2", "j3", at(13)): (1, 1, 0, 1, at(12, 9)),
    }
    assert_rows("user_item", expected)


def test_query_item_counts_spellings_of_a_query_together(assert_rows: AssertRows, at: At) -> None:
    expected = {
        ("logo design", "j1", at(3)): (1, 1, 2 / (SEARCH_1_DAY_2 + 1)),
        ("logo design", "j1", at(4)): (2, 1, 2 / (SEARCH_1_DAY_2 + SEARCH_2_DAY_3 + 1)),
        ("logo design", "j2", at(3)): (1, 0, 1 / (SEARCH_2_DAY_2 + 1)),
        ("logo design", "j2", at(4)): (2, 1, 2 / (SEARCH_2_DAY_2 + SEARCH_1_DAY_3 + 1)),
    }
    assert_rows("query_item", expected)


def test_query_category(assert_rows: AssertRows, at: At) -> None:
    expected = {("logo design", "design", at(3)): (1, 1), ("logo design", "design", at(4)): (2, 1)}
    assert_rows("query_category", expected)


def test_query_demand(assert_rows: AssertRows, at: At) -> None:
    expected = {("logo design", at(3)): (1, 2 / 22, 1 / 1), ("logo design", at(4)): (2, 3 / 24, 2 / 2)}
    assert_rows("query_demand", expected)
