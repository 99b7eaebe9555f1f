"""One matrix for training and serving: counted by hand, without the future, the same alone and among many."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import log
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloop.contracts import Tables
from rankloop.errors import DataError, ModelError
from rankloop.features import Assembler, FeatureStore, compute, load_views
from rankloop.request import Request
from rankloop.retrieval.base import Retriever
from rankloop.vocabulary import Vocabulary

At = Callable[..., datetime]
VIEWS = load_views()


class ByCode(Retriever):
    """Thinks most of the item with the highest code; knows no user `u2`."""

    name = "by_code"

    def fit(self, tables: Tables, catalogue: Vocabulary, *, rng: np.random.Generator) -> Self:
        return self

    def score(self, request: Request, items: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.float32]:
        assert items is not None
        assert (items >= 0).all()
        return np.where(request.user_id == "u2", np.nan, items * 10).astype(np.float32)

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> Self:
        raise NotImplementedError


def assembler_of(
    tables: Tables, *, events: Tables | None = None, retrievers: Sequence[Retriever] = (), latest: bool = False
) -> Assembler:
    """Over all items and users of `tables`, features from `events`."""
    store = FeatureStore(VIEWS, compute(VIEWS, tables if events is None else events))
    catalogue = Vocabulary(tables.items["item_id"].sort().to_list())
    return Assembler(store.latest() if latest else store, tables.items, tables.users, catalogue, retrievers)


def one(assembler: Assembler, request: Request, item: int) -> dict[str, float]:
    """A row by name."""
    row = assembler.assemble([request], [np.array([item])])[0]
    return dict(zip(assembler.names, row.tolist(), strict=True))


def test_a_row_is_what_was_known_at_its_moment(tiny: Tables, at: At) -> None:
    assembler = assembler_of(tiny, retrievers=[ByCode()])
    row = one(assembler, Request("u1", "job_feed", at(3, 6)), 1)
    expected = {
        "item_age_days": 1 + 18 / 24,  # posted on day 1 at 12:00
        "item_budget": 200,
        "item_clicks_7d": 0,
        "item_coec": 2 / (2 / 21 + 2),
        "user_clicks_7d": 1,
        "user_days_since_action": 20 / 24 + 55 / 1440,  # clicked on day 2 at 9:05
        "user_category_clicks": 1,
        "user_item_impressions": 1,
        "user_item_clicks": 0,
        "owner_jobs": 2,
        "category_jobs_28d": 2,
        "by_code_score": 10,
        "skill_overlap": 0,
        "same_country": 0,
        "local_hour": 7,
        "local_weekday": 1,  # 3 March 2026 was a Tuesday
        "rate_fit": log(200 / (8 * 50)),
        "budget_fit": log(200 / 800),
        "duration_fit": log(0.5 / 4),
        "price_level": log(200 / 400),
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-5)


def test_before_anything_happened_counts_are_zero_and_the_rest_is_undefined(tiny: Tables, at: At) -> None:
    row = one(assembler_of(tiny), Request("u1", "job_search", at(1, 13), "logo design"), 0)
    of_the_past = [feature for view in VIEWS if not view.name.endswith("_profile") for feature in view.features]
    for feature in of_the_past:
        assert row[feature.name] == 0 if feature.unit == "count" else np.isnan(row[feature.name]), feature


def test_without_a_query_its_features_are_undefined_and_with_a_new_one_its_counts_are_zero(tiny: Tables, at: At) -> None:
    assembler = assembler_of(tiny)
    feed = one(assembler, Request("u1", "job_feed", at(12)), 0)
    new = one(assembler, Request("u1", "job_search", at(12), "poster artist"), 0)
    empty = one(assembler, Request("u1", "job_search", at(12), "  ?!"), 0)
    queried = [name for name in assembler.names if "query" in name]
    assert all(np.isnan(feed[name]) and np.isnan(empty[name]) for name in queried)
    assert (new["query_requests"], new["query_item_clicks"], new["query_category_clicks"]) == (0, 0, 0)
    assert (new["query_tokens"], new["query_title_share"]) == (2, 0)
    assert np.isnan(new["query_item_coec"])


def test_a_query_is_recognised_however_it_is_spelled(tiny: Tables, at: At) -> None:
    assembler = assembler_of(tiny)
    rows = [one(assembler, Request("u1", "job_search", at(12), query), 0) for query in ("logo design", " LOGOS  Designing? ")]
    assert rows[0] == pytest.approx(rows[1], rel=0, nan_ok=True)
    assert rows[0]["query_requests"] == 2


def test_an_unknown_user_keeps_the_items_features(tiny: Tables, at: At) -> None:
    assembler = assembler_of(tiny, retrievers=[ByCode()])
    row = one(assembler, Request("nobody", "job_feed", at(12)), 0)
    assert (row["item_budget"], row["user_clicks_7d"], row["user_item_clicks"]) == (800, 0, 0)
    undefined = (
        "user_age_days",
        "user_hourly_rate",
        "skill_overlap",
        "same_country",
        "rate_fit",
        "country_category_click_share",
    )
    assert all(np.isnan(row[name]) for name in undefined)


def test_an_unknown_item_has_no_features_of_its_own(tiny: Tables, at: At) -> None:
    assembler = assembler_of(tiny, retrievers=[ByCode()])
    row = one(assembler, Request("u1", "job_feed", at(12)), -1)
    known = {name for name, value in row.items() if not np.isnan(value)}
    of_the_user = {feature.name for view in VIEWS if view.keys == ("user_id",) for feature in view.features}
    assert known == of_the_user


def test_a_retriever_with_nothing_to_say_gives_nan(tiny: Tables, at: At) -> None:
    row = one(assembler_of(tiny, retrievers=[ByCode()]), Request("u2", "job_feed", at(12)), 0)
    assert np.isnan(row["by_code_score"])


def test_names_are_the_views_the_crosses_and_the_retrievers_in_order(tiny: Tables) -> None:
    assembler = assembler_of(tiny, retrievers=[ByCode()])
    stored = [feature.name for view in VIEWS for feature in view.features]
    assert list(assembler.names[: len(stored)]) == stored
    assert assembler.names[len(stored)] == "skill_overlap"
    assert assembler.names[-1] == "by_code_score"
    assert len(set(assembler.names)) == len(assembler.names)
    assert "position" not in assembler.names


def requests_of(tables: Tables, draw: np.random.Generator, n: int) -> tuple[list[Request], list[npt.NDArray[np.int64]]]:
    """Known and unknown users, with and without a query, lists of 0 to 6 items, some unknown."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    queries = [None, "logo", "3D engine", "never asked"]
    moments = [start + timedelta(days=45) * float(part) for part in draw.random(n)]
    requests = [Request(f"u{draw.integers(6)}", "job_search", moment, queries[draw.integers(4)]) for moment in moments]
    return requests, [draw.integers(-1, tables.items.height, draw.integers(7)) for _ in range(n)]


@settings(max_examples=4)
@given(st.integers(0, 2**32 - 1))
def test_a_row_alone_equals_the_row_among_many(random_tables: Callable[..., Tables], seed: int) -> None:
    tables = random_tables(seed)
    assembler = assembler_of(tables, retrievers=[ByCode()])
    requests, items = requests_of(tables, np.random.default_rng(seed), 60)
    together = assembler.assemble(requests, items)
    pairs = [(request, item) for request, own in zip(requests, items, strict=True) for item in own]
    alone = [assembler.assemble([request], [np.array([item])]) for request, item in pairs]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_many_rows_are_assembled_in_parts_without_a_seam(tiny: Tables, at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    assembler = assembler_of(tiny)
    requests = [Request(f"u{i % 3}", "job_feed", at(3 + i % 9)) for i in range(50)]
    items = [np.arange(3)[: i % 4] for i in range(50)]
    whole = assembler.assemble(requests, items)
    monkeypatch.setattr("rankloop.features.assembler._ROWS_AT_ONCE", 7)
    np.testing.assert_array_equal(whole, assembler.assemble(requests, items))


@settings(max_examples=3)
@given(st.integers(0, 2**32 - 1), st.floats(1, 40))
def test_events_from_a_request_on_never_change_its_features(
    random_tables: Callable[..., Tables], at: At, seed: int, day: float
) -> None:
    tables, moment = random_tables(seed), at(1) + timedelta(days=day)
    gone = replace(
        tables,
        impressions=tables.impressions.filter(pl.col("ts") < moment),
        outcomes=tables.outcomes.filter(pl.col("ts") < moment),
    )
    later = pl.col("ts") >= moment
    other_item = pl.when(later).then(pl.lit("j0")).otherwise("item_id").alias("item_id")
    other_kind = pl.when(later).then(pl.lit("hire")).otherwise("kind").alias("kind")
    moved = tables.impressions.filter(later).with_columns(other_item, position=pl.lit(9, pl.Int32))
    changed = replace(
        tables,
        impressions=pl.concat([moved, gone.impressions]),
        outcomes=tables.outcomes.with_columns(other_item, other_kind),
    )
    requests = [Request(f"u{i}", "job_search", moment, query) for i in range(6) for query in (None, "logo", "3d engine")]
    items = [np.arange(tables.items.height)] * len(requests)
    first, *others = (assembler_of(tables, events=events).assemble(requests, items) for events in (tables, gone, changed))
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_the_latest_store_serves_what_the_whole_store_says_after_the_end(random_tables: Callable[..., Tables], at: At) -> None:
    tables = random_tables(11)
    requests = [Request(f"u{i}", "job_search", at(60), query) for i in range(6) for query in (None, "logos", "new")]
    items = [np.arange(-1, tables.items.height)] * len(requests)
    whole, latest = (assembler_of(tables, latest=latest).assemble(requests, items) for latest in (False, True))
    np.testing.assert_array_equal(whole, latest)


def test_nothing_asked_gives_an_empty_matrix(tiny: Tables, at: At) -> None:
    assembler = assembler_of(tiny, retrievers=[ByCode()])
    width = len(assembler.names)
    assert assembler.assemble([], []).shape == (0, width)
    assert assembler.assemble([Request("u1", "job_feed", at(3))], [np.empty(0, np.int64)]).shape == (0, width)


def test_bad_input_is_named(tiny: Tables, at: At) -> None:
    assembler, request = assembler_of(tiny), Request("u1", "job_feed", at(3))
    with pytest.raises(DataError, match="item code 3 is beyond the catalogue of 3 items"):
        assembler.assemble([request], [np.array([3])])
    with pytest.raises(DataError, match="1 requests came with 2 lists of items"):
        assembler.assemble([request], [np.array([0]), np.array([1])])
    with pytest.raises(DataError, match="has no time zone"):
        assembler.assemble([replace(request, ts=datetime(2026, 3, 3))], [np.array([0])])
    with pytest.raises(DataError, match=r"1 items of the catalogue are not in the items table, such as \['j9'\]"):
        Assembler(assembler.store, tiny.items, tiny.users, Vocabulary(["j1", "j9"]), [])
    with pytest.raises(DataError, match="user_id 'u1' is there twice"):
        Assembler(assembler.store, tiny.items, pl.concat([tiny.users, tiny.users]), Vocabulary(["j1"]), [])
    with pytest.raises(ModelError, match="feature 'by_code_score' is there twice"):
        assembler_of(tiny, retrievers=[ByCode(), ByCode()])
