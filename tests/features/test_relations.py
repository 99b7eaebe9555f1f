"""What views may read: joins done once, and nothing from after an event."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import polars as pl

from rankloop.contracts import Tables
from rankloop.features import relations

At = Callable[..., datetime]


def test_an_outcome_carries_the_place_of_the_impression_it_answers(tiny: Tables) -> None:
    done = relations(tiny)["outcomes"].select("surface", "query", "position", "category", "owner_id", "country")
    assert done.row(0) == ("job_feed", None, 1, "design", "o1", "DE")
    assert done.row(1) == ("job_search", "logo design", 1, "design", "o1", "FR")
    assert done.row(4) == (None, None, None, "design", "o1", "DE")


def test_an_outcome_before_its_impression_learns_nothing_from_it(tiny: Tables, at: At) -> None:
    early = replace(tiny, outcomes=tiny.outcomes.with_columns(ts=pl.lit(at(1))))
    assert relations(early)["outcomes"]["position"].null_count() == tiny.outcomes.height


def test_an_item_nobody_knows_has_no_category(tiny: Tables) -> None:
    done = relations(replace(tiny, items=tiny.items.head(0)))["outcomes"]
    assert done["category"].null_count() == tiny.outcomes.height


def test_expected_clicks_are_the_click_rate_of_the_place_up_to_the_end_of_the_day(tiny: Tables) -> None:
    shown = relations(tiny)["impressions"]
    nine = Decimal(1).scaleb(-9)
    expected = [Decimal(part).quantize(nine) for part in (2 / 21, 1 / 21, 2 / 21, 1 / 21, 3 / 22, 1 / 22, 2 / 22)]
    assert shown["expected_click"].to_list() == expected
    assert shown.height == tiny.impressions.height


def test_positions_beyond_fifty_share_one_rate(tiny: Tables) -> None:
    below = pl.Series([51, 52, 60, 70, 80, 90, 100], dtype=pl.Int32)
    deep = replace(tiny, impressions=tiny.impressions.with_columns(position=below))
    feed = relations(deep)["impressions"].filter(pl.col("surface") == "job_feed")
    assert feed["expected_click"].n_unique() == 2  # one a day


def test_logged_features_are_not_handed_to_views(tiny: Tables) -> None:
    assert "features" not in relations(tiny)["impressions"].columns
