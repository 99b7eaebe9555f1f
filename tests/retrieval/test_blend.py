"""Blend: the contract, the fusion by its formula, sources, and the registry."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pytest

from rankloop.contracts import Tables
from rankloop.errors import ModelError, NotFitted
from rankloop.request import Request
from rankloop.retrieval import RETRIEVERS, Als, Blend, Bm25, Popular, Profile, Retriever, Semantic, Similar
from rankloop.retrieval.base import pick
from rankloop.testing import RetrieverContract, known_request, known_world
from rankloop.vocabulary import Vocabulary

REQUEST = Request("ann", "job_feed", None)  # type: ignore[arg-type]
NAN = float("nan")


class TestBlend(RetrieverContract):
    answers_strangers = True

    def make(self):
        return Blend([Als(dims=8), Bm25(), Profile(), Similar()], depths={"als": 14, "profile": 12}, depth=13)


class _Fixed(Retriever):
    """Scores what it was told."""

    name: ClassVar[str] = "fixed"

    def __init__(self, name: str, *scores: float) -> None:
        self.name, self.scores = name, np.array(scores, np.float32)  # type: ignore[misc]

    def fit(self, tables: Tables, catalogue: Vocabulary, *, rng: np.random.Generator) -> Self:
        self.drawn = rng.random()
        return self

    def score(self, request, items=None):
        return pick(self.scores, items)

    def save(self, folder: Path) -> None:
        raise NotFitted("never")

    @classmethod
    def load(cls, folder: Path) -> Self:
        raise NotFitted("never")


def test_a_score_is_the_sum_of_reciprocal_ranks():
    blend = Blend([_Fixed("one", 9, 8, NAN, 7), _Fixed("two", NAN, 2, 3, NAN)])
    found = blend.retrieve(REQUEST, 9)
    assert found.items.tolist() == [1, 0, 2, 3]
    assert found.scores == pytest.approx([1 / 62 + 1 / 62, 1 / 61, 1 / 61, 1 / 63])
    assert blend.score(REQUEST).tolist() == pytest.approx([1 / 61, 2 / 62, 1 / 61, 1 / 63])


def test_retrievers_asked_at_the_same_time_give_the_same_list():
    world = known_world()
    jobs = Vocabulary(world.items["item_id"])
    one = Blend([Als(dims=8), Bm25(), Profile(), Similar()]).fit(world, jobs, rng=np.random.default_rng(0))
    several = Blend(one.retrievers, threads=3)
    for asked in ("piano-u0", "logo-u1"):
        for request in (known_request(world, asked), replace(known_request(world, asked), query=None)):
            found, alone = several.retrieve_with_sources(request, 20), one.retrieve_with_sources(request, 20)
            assert (found.items.tolist(), found.sources) == (alone.items.tolist(), alone.sources)


def test_the_source_is_the_retriever_that_ranks_an_item_highest_and_the_first_named_of_equals():
    blend = Blend([_Fixed("one", 9, 8, NAN, 7), _Fixed("two", NAN, 2, 3, 1)])
    found = blend.retrieve_with_sources(REQUEST, 9)
    assert dict(zip(found.items.tolist(), found.sources, strict=True)) == {0: "one", 1: "one", 2: "two", 3: "one"}


def test_a_retriever_gives_no_more_than_its_depth():
    blend = Blend([_Fixed("one", 9, 8, 7, 6), _Fixed("two", 1, 2, 3, 4)], depths={"two": 2}, depth=1)
    assert sorted(blend.retrieve(REQUEST, 9).items.tolist()) == [0, 2, 3]


def test_ranks_are_counted_among_the_allowed():
    blend = Blend([_Fixed("one", 9, 8, 7)])
    assert blend.retrieve(REQUEST, 9, allowed=np.array([False, False, True])).scores == pytest.approx([1 / 61])


def test_nothing_from_anybody_is_an_empty_list():
    found = Blend([_Fixed("one", NAN), _Fixed("two", NAN)]).retrieve_with_sources(REQUEST, 9)
    assert (len(found.items), len(found.scores), found.sources) == (0, 0, ())


def test_each_retriever_draws_from_a_generator_of_its_own():
    drawn = []
    for _ in range(2):
        one, two = _Fixed("one", 1), _Fixed("two", 1)
        Blend([one, two]).fit(Tables.empty(), Vocabulary(["a"]), rng=np.random.default_rng(0))
        drawn.append((one.drawn, two.drawn))
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[0][1]


@pytest.mark.parametrize(
    ("retrievers", "settings"),
    [([], {}), (["one", "one"], {}), (["one"], {"depth": 0}), (["one"], {"depths": {"one": 0}}), (["one"], {"depths": {"x": 1}})],
)
def test_a_blend_that_cannot_be_is_refused(retrievers, settings):
    with pytest.raises(ModelError, match=r"blend"):
        Blend([_Fixed(name, 1) for name in retrievers], **settings)


def test_a_saved_blend_with_a_retriever_of_another_version_is_refused(tmp_path):
    (tmp_path / "blend.json").write_text('{"retrievers": ["oracle"], "depths": {}, "depth": 3}')
    with pytest.raises(ModelError, match="oracle"):
        Blend.load(tmp_path)


def test_every_retriever_is_registered_under_its_own_name_and_made_without_arguments():
    classes = (Popular, Als, Bm25, Profile, Similar, Semantic)
    assert dict(RETRIEVERS) == dict(zip(("popular", "als", "bm25", "profile", "similar", "semantic"), classes, strict=True))
    assert all(RETRIEVERS[name]().name == name for name in RETRIEVERS)


class _Reader(_Fixed):
    """Looks at the search text."""

    reads_query: ClassVar[bool] = True


@pytest.mark.parametrize(("query", "text", "sources"), [
    ("piano", (NAN, NAN, 1.0), ["text"]),
    ("piano", (NAN, NAN, NAN), ["taste", "taste", "taste"]),
    (None, (NAN, NAN, 1.0), ["text", "taste", "taste"]),
])  # fmt: skip
def test_a_search_is_answered_by_those_who_read_its_text_while_anything_matches(query, text, sources):
    blend = Blend([_Fixed("taste", 3, 2, 1), _Reader("text", *text)])
    found = blend.retrieve_with_sources(Request("ann", "job_search", None, query), 9)  # type: ignore[arg-type]
    assert list(found.sources) == sources
