"""Crosses of both sides of a row, the overlap beneath them, and views of one's own beside them."""

from collections.abc import Callable
from datetime import datetime
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.contracts import Tables
from rankloop.features import Assembler, FeatureStore, FeatureView, compute, load_views
from rankloop.features.overlap import Overlap
from rankloop.request import Request
from rankloop.vocabulary import Vocabulary

At = Callable[..., datetime]
TERMS = st.lists(st.sampled_from("abcdef"), max_size=5)


@given(st.lists(TERMS, min_size=1, max_size=5), st.lists(TERMS, min_size=1, max_size=4))
def test_an_overlap_is_the_size_of_the_intersection_of_sets(items: list[list[str]], requests: list[list[str]]) -> None:
    overlap = Overlap(items)
    pairs = [(r, i) for r in range(len(requests)) for i in range(len(items))]
    owner, item = (np.array(column) for column in zip(*pairs, strict=True))
    found = overlap.match(item, [overlap.codes(terms) for terms in requests], owner)

    def weight(term: str) -> float:
        return log((sum(map(bool, items)) + 1) / (sum(term in own for own in items) + 1)) + 1

    shared = [set(requests[r]) & set(items[i]) for r, i in pairs]
    assert found.number.tolist() == [len(terms) for terms in shared]
    assert found.weight.tolist() == pytest.approx([sum(map(weight, terms)) for terms in shared])
    assert overlap.weights.tolist() == pytest.approx([sum(map(weight, set(own))) for own in items])
    for terms in requests:
        assert overlap.weight(terms) == pytest.approx(sum(map(weight, set(terms))))


@pytest.fixture(scope="module")
def assembler(tiny: Tables) -> Assembler:
    views = load_views()
    store = FeatureStore(views, compute(views, tiny))
    return Assembler(store, tiny.items, tiny.users, Vocabulary(["j1", "j2", "j3"]), [])


def values(assembler: Assembler, name: str, user: str, ts: datetime, query: str | None = None) -> list[float]:
    """One feature of all three jobs."""
    matrix = assembler.assemble([Request(user, "job_search", ts, query)], [np.arange(3)])
    found: list[float] = matrix[:, assembler.names.index(name)].tolist()
    return found


NAN = float("nan")


def rarity(holders: int, jobs: int) -> float:
    """The weight of a term that `holders` of the `jobs` with any term have."""
    return log((jobs + 1) / (holders + 1)) + 1


@pytest.mark.parametrize(
    ("name", "query", "expected"),
    [
        # u1 names Logo and 3d; j1 asks for logo and 3D, j2 for nothing, j3 for c++, 3d and opengl
        ("skill_overlap", None, [2, 0, 1]),
        ("skill_share", None, [2 / 2, NAN, 1 / 3]),
        ("skill_weighted_share", None, [1, NAN, rarity(2, 2) / (rarity(2, 2) + 2 * rarity(1, 2))]),
        ("same_country", None, [1, 0, NAN]),
        # titles: Logo design | Poster | 3D engine in C++; u1's headline is Logo designer
        ("query_tokens", "logo poster logo", [2, 2, 2]),
        ("query_title_share", "logo poster", [1 / 2, 1 / 2, 0]),
        ("query_title_share", "logo zebra", [rarity(1, 3) / (rarity(1, 3) + rarity(0, 3)), 0, 0]),
        ("query_skill_share", "3D 3d", [1, 0, 1]),
        ("query_skill_share", "3D poster", [rarity(2, 2) / (rarity(2, 2) + rarity(0, 2)), 0, 1 / (1 + rarity(0, 2))]),
        ("title_query_share", "logo poster", [1 / 2, 1, 0]),
        ("title_headline_share", None, [2 / 2, 0, 0]),
        # j1 pays 800 over 4 days, j2 200 in half a day, j3 450 without a duration; u1 asks 50 an hour
        ("rate_fit", None, [log(200 / 400), log(200 / 400), log(450 / 400)]),
    ],
)
def test_a_cross_by_hand(assembler: Assembler, at: At, name: str, query: str | None, expected: list[float]) -> None:
    assert values(assembler, name, "u1", at(12), query) == pytest.approx(expected, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("name", ["skill_overlap", "skill_share", "title_headline_share", "rate_fit"])
def test_a_profile_that_says_nothing_gives_nothing(assembler: Assembler, at: At, name: str) -> None:
    assert np.isnan(values(assembler, name, "u2", at(12))).all()


def test_the_clock_is_the_freelancers(assembler: Assembler, at: At) -> None:
    sunday_night = at(8, 23, 30)
    assert values(assembler, "local_hour", "u1", sunday_night) == [0.5] * 3
    assert values(assembler, "local_weekday", "u1", sunday_night) == [0] * 3
    assert values(assembler, "local_hour", "u2", sunday_night) == [23.5] * 3
    assert values(assembler, "local_weekday", "u2", sunday_night) == [6] * 3


def test_a_ratio_is_left_out_where_the_store_lacks_a_side(tiny: Tables) -> None:
    views = [view for view in load_views() if view.name != "user_taste"]
    assembler = Assembler(FeatureStore(views, compute(views, tiny)), tiny.items, tiny.users, Vocabulary(["j1"]), [])
    assert {"rate_fit", "price_level"} <= set(assembler.names)
    assert not {"budget_fit", "duration_fit", "pay_fit"} & set(assembler.names)


def test_a_view_of_ones_own_may_be_keyed_by_surface(tiny: Tables, at: At) -> None:
    view = FeatureView.parse(
        "surface_item",
        """-- Clicks of a job by surface.
        -- key: surface, item_id
        -- feature: surface_item_clicks | clicks there | count | default 0
        SELECT surface, item_id, (max(day) + 1)::TIMESTAMPTZ AS valid_from, count(*) AS surface_item_clicks
        FROM outcomes WHERE kind = 'click' GROUP BY surface, item_id""",
    )
    store = FeatureStore([view], compute([view], tiny))
    assembler = Assembler(store, tiny.items, tiny.users, Vocabulary(["j1", "j2", "j3"]), [])
    requests = [Request("u1", surface, at(13)) for surface in ("job_feed", "job_search", "talent_search")]
    clicks = assembler.assemble(requests, [np.arange(3)] * 3)[:, 0].reshape(3, 3)
    # the click on j3 answers no impression, so it belongs to no surface
    assert clicks.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
