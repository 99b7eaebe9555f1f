"""Views keyed by job, client, category or country, counted by hand in the tiny marketplace."""

from collections.abc import Callable
from datetime import datetime
from math import sqrt
from typing import Any

from rankloop.features import load_views

At = Callable[..., datetime]
AssertRows = Callable[[str, dict[tuple[Any, ...], tuple[Any, ...]]], None]

# position curves: (clicks + 1) / (impressions + 20) by surface and place, up to the end of the day
FEED_1_DAY_2, FEED_2_DAY_2, FEED_1_DAY_12 = 2 / 21, 1 / 21, 2 / 22
SEARCH_1_DAY_2, SEARCH_2_DAY_2, SEARCH_1_DAY_3, SEARCH_2_DAY_3 = 2 / 21, 1 / 21, 3 / 22, 1 / 22


def test_item_profile(assert_rows: AssertRows, at: At) -> None:
    expected = {
        ("j1", at(1, 10)): (at(1, 10), 800, 4, 800 / 4, 2, 11, 6),
        ("j2", at(1, 12)): (at(1, 12), 200, 0.5, 200 / 1, 0, 6, 0),
        ("j3", at(5, 12)): (at(5, 12), 450, None, 450 / 1, 3, 16, 0),
    }
    assert_rows("item_profile", expected)


def test_item_popularity_decays_when_days_leave_the_window(assert_rows: AssertRows, at: At) -> None:
    one, two, three, four = (at(day) for day in (3, 4, 5, 10))
    expected = {
        # shown, clicks 7d, clicks 28d, applies 7d, applies 28d, trend
        ("j1", one): (2, 2, 2, 1, 1, 3 / (2 / 4 + 1)),
        ("j1", two): (3, 2, 2, 1, 1, 3 / (2 / 4 + 1)),
        ("j1", four): (1, 0, 2, 0, 1, 1 / (2 / 4 + 1)),
        ("j1", at(11)): (0, 0, 2, 0, 1, 1 / (2 / 4 + 1)),
        ("j2", one): (2, 0, 0, 0, 0, 1),
        ("j2", two): (3, 1, 1, 0, 0, 2 / (1 / 4 + 1)),
        ("j2", three): (3, 1, 1, 1, 1, 2 / (1 / 4 + 1)),
        ("j2", at(6)): (3, 1, 1, 1, 1, 2 / (1 / 4 + 1)),
        ("j2", at(7)): (3, 1, 1, 1, 1, 2 / (1 / 4 + 1)),
        ("j2", four): (1, 1, 1, 1, 1, 2 / (1 / 4 + 1)),
        ("j2", at(11)): (0, 0, 1, 1, 1, 1 / (1 / 4 + 1)),
        ("j2", at(12)): (0, 0, 1, 0, 1, 1 / (1 / 4 + 1)),
        ("j2", at(13)): (0, 0, 1, 0, 1, 1 / (1 / 4 + 1)),
        ("j3", at(13)): (1, 1, 1, 0, 0, 2 / (1 / 4 + 1)),
    }
    assert_rows("item_popularity", expected)


def test_item_rates_are_debiased_by_position(assert_rows: AssertRows, at: At) -> None:
    first = FEED_1_DAY_2 + SEARCH_1_DAY_2
    second = FEED_2_DAY_2 + SEARCH_2_DAY_2
    expected = {
        ("j1", at(3)): ((2 + 2) / (first + 2), 2 / 12, 1 / 52, 0, at(2, 10, 5)),
        ("j1", at(4)): ((2 + 2) / (first + SEARCH_2_DAY_3 + 2), 2 / 12, 1 / 53, 0, at(2, 10, 5)),
        ("j2", at(3)): (2 / (second + 2), 1 / 10, 1 / 52, 0, None),
        ("j2", at(4)): (3 / (second + SEARCH_1_DAY_3 + 2), 1 / 11, 1 / 53, 0, at(3, 9, 5)),
        ("j2", at(5)): (3 / (second + SEARCH_1_DAY_3 + 2), 2 / 11, 1 / 53, 0, at(3, 9, 5)),
        ("j2", at(6)): (3 / (second + SEARCH_1_DAY_3 + 2), 2 / 11, 1 / 53, 0, at(3, 9, 5)),
        ("j2", at(7)): (3 / (second + SEARCH_1_DAY_3 + 2), 2 / 11, 1 / 53, 1, at(3, 9, 5)),
        # a click without a request has no position, so it promises nothing and counts for no position
        ("j3", at(13)): (2 / (FEED_1_DAY_12 + 2), 1 / 11, 2 / 51, 0, at(12, 9, 2)),
    }
    assert_rows("item_rates", expected)


def test_owner_quality(assert_rows: AssertRows, at: At) -> None:
    expected = {
        ("o1", at(2)): (2, 0, 1 / 6, 1 / 10),
        ("o1", at(3)): (2, 0, 1 / 6, 1 / 11),
        ("o1", at(4)): (2, 0, 1 / 6, 1 / 11),
        ("o1", at(5)): (2, 0, 1 / 6, 1 / 12),
        ("o1", at(6)): (2, 0, 1 / 6, 2 / 12),
        ("o1", at(7)): (2, 1, 2 / 6, 2 / 12),
        ("o2", at(6)): (1, 0, 1 / 5, 1 / 10),
        ("o2", at(13)): (1, 0, 1 / 5, 1 / 10),
    }
    assert_rows("owner_quality", expected)


def test_category_demand(assert_rows: AssertRows, at: At) -> None:
    clicks_3_applies_2 = (2, 3, 3 / 3)
    expected = {
        # jobs 28d, clicks 28d, applies a job, trend
        ("design", at(2)): (2, 0, 1 / 3, 1),
        ("design", at(3)): (2, 2, 2 / 3, 3 / (2 / 4 + 1)),
        ("design", at(4)): (2, 3, 2 / 3, 4 / (3 / 4 + 1)),
        ("design", at(5)): (*clicks_3_applies_2, 4 / (3 / 4 + 1)),
        ("design", at(6)): (*clicks_3_applies_2, 4 / (3 / 4 + 1)),
        ("design", at(7)): (*clicks_3_applies_2, 4 / (3 / 4 + 1)),
        ("design", at(9)): (*clicks_3_applies_2, 4 / (3 / 4 + 1)),
        ("design", at(10)): (*clicks_3_applies_2, 2 / (3 / 4 + 1)),
        ("design", at(11)): (*clicks_3_applies_2, 1 / (3 / 4 + 1)),
        ("design", at(12)): (*clicks_3_applies_2, 1 / (3 / 4 + 1)),
        ("design", at(13)): (*clicks_3_applies_2, 1 / (3 / 4 + 1)),
        ("coding", at(6)): (1, 0, 1 / 2, 1),
        ("coding", at(13)): (1, 1, 1 / 2, 2 / (1 / 4 + 1)),
    }
    assert_rows("category_demand", expected)


def test_category_price_is_a_geometric_mean(assert_rows: AssertRows, at: At) -> None:
    expected = {("design", at(2)): (sqrt(800 * 200),), ("coding", at(6)): (450,)}
    assert_rows("category_price", expected)


def test_country_category(assert_rows: AssertRows, at: At) -> None:
    expected = {
        ("DE", "design", at(3)): (1,),
        ("DE", "design", at(4)): (1,),
        ("FR", "design", at(3)): (1,),
        ("FR", "design", at(13)): (1 / 2,),
        ("FR", "coding", at(13)): (1 / 2,),
    }
    assert_rows("country_category", expected)


def test_every_view_has_a_test_here_or_among_the_views_of_users() -> None:
    here = {"item_profile", "item_popularity", "item_rates", "owner_quality", "category_demand", "category_price"}
    users = {"user_profile", "user_activity", "user_taste", "user_category", "user_owner", "user_item"}
    queries = {"query_item", "query_category", "query_demand", "country_category"}
    assert {view.name for view in load_views()} == here | users | queries
