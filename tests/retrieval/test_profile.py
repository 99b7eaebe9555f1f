"""Profile: the contract, and what of a person is searched for."""

import numpy as np
import polars as pl

from rankloop.contracts import Columns, Tables
from rankloop.request import Request
from rankloop.retrieval import Bm25, Profile
from rankloop.testing import RetrieverContract, known_world
from rankloop.vocabulary import Vocabulary


class TestProfile(RetrieverContract):
    def make(self):
        return Profile()


def _world(**changes: pl.Expr) -> tuple[Tables, Vocabulary]:
    world = known_world(days=1)
    users = world.users.with_columns(**changes)
    return Tables(world.items, users, world.impressions, world.outcomes), Vocabulary(world.items[Columns.ITEM_ID])


def _scores(tables: Tables, catalogue: Vocabulary, user: str = "logo-u0") -> np.ndarray:
    return Profile().fit(tables, catalogue, rng=np.random.default_rng(0)).score(Request(user, "job_feed", None))


def test_a_profile_is_a_search_for_its_different_words():
    tables, catalogue = _world(headline=pl.lit("logo logo poster"), skills=pl.lit(["poster", "soil"]))
    bm25 = Bm25(spelling=False).fit(tables, catalogue, rng=np.random.default_rng(0))
    expected = bm25.score(Request("x", "job_search", None, "logo poster soil"))
    np.testing.assert_array_equal(_scores(tables, catalogue), expected)


def test_a_person_without_a_headline_is_known_by_the_skills_and_the_other_way_round():
    null = pl.lit(None, pl.String)
    skilled, headed = _world(headline=null), _world(skills=pl.lit(None, pl.List(pl.String)))
    for tables, catalogue in (skilled, headed):
        assert not np.isnan(_scores(tables, catalogue)).all()


def test_an_empty_profile_has_nothing_to_say():
    tables, catalogue = _world(headline=pl.lit(None, pl.String), skills=pl.lit(None, pl.List(pl.String)))
    assert np.isnan(_scores(tables, catalogue)).all()


def test_the_search_text_is_not_looked_at():
    tables, catalogue = _world()
    profile = Profile().fit(tables, catalogue, rng=np.random.default_rng(0))
    asked = [profile.score(Request("logo-u0", "job_search", None, query)) for query in (None, "tax")]
    np.testing.assert_array_equal(*asked)
