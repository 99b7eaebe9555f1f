"""Vectors of texts: what is a skew, and what is only another mix of the same texts."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rankloop.drift import Column, ColumnDrift, DriftPolicy, compare, profile
from rankloop.drift.sources import Sources
from rankloop.retrieval import Semantic
from rankloop.testing import known_world, tiny_encoder
from rankloop.text import Encoder
from rankloop.vocabulary import Vocabulary
from rankloop.watch.vectors import ITEMS, QUERIES, WordVectors, encoder_of, vectors_of, with_vectors, words_of

WIDTH, GROUPS = 24, 8
WORDS = [[f"word{group}x{at}" for at in range(12)] for group in range(GROUPS)]
CENTRES = np.random.default_rng(0).normal(size=(GROUPS, WIDTH))
TURN = np.linalg.qr(np.random.default_rng(1).normal(size=(WIDTH, WIDTH)))[0]


def drawn(groups: range, seed: int, rows: int = 2_000) -> np.ndarray:
    """Vectors of length 1 around the centres of some groups, all of them a little to one side, as those of encoders are."""
    draw = np.random.default_rng(seed)
    found = CENTRES[draw.choice(groups, rows)] + draw.normal(size=(rows, WIDTH)) + 1
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def judged(window: np.ndarray) -> ColumnDrift:
    frames = [
        pl.DataFrame({"v": pl.Series(rows.tolist(), dtype=pl.List(pl.Float32))}) for rows in (drawn(range(GROUPS), 2), window)
    ]
    reference = profile(frames[0], [Column("v", "embedding", "items")])
    return compare(reference, profile(frames[1], bins=reference.bins), DriftPolicy()).columns[0]


def test_vectors_of_the_same_encoder_are_stable() -> None:
    assert judged(drawn(range(GROUPS), 3)).verdict == "stable"


@pytest.mark.parametrize(
    "skewed",
    [
        drawn(range(GROUPS), 3) * np.random.default_rng(4).uniform(2, 9, (2_000, 1)),
        np.zeros((2_000, WIDTH)),
        np.repeat(drawn(range(GROUPS), 3)[:1], 2_000, axis=0),
        drawn(range(GROUPS), 3) @ TURN,
    ],
    ids=["not normalised", "zeros", "constant", "another encoder"],
)
def test_vectors_that_no_text_of_the_reference_has_are_skewed(skewed: np.ndarray) -> None:
    found = judged(skewed)
    assert (found.verdict, found.change) == ("broken", "skew")
    assert "the median of the vectors' " in found.says


def test_vectors_of_which_a_quarter_of_the_groups_is_gone_are_not_skewed() -> None:
    assert judged(drawn(range(GROUPS - GROUPS // 4), 3)).change in ("", "taste")


def texts(groups: range, seed: int, rows: int = 600) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS[draw.choice(groups)], 6)) for _ in range(rows)]


def test_a_text_is_as_long_as_what_is_known_of_it() -> None:
    made = WordVectors.fit(texts(range(GROUPS), 0))
    known, half, foreign = (
        float(np.median(np.linalg.norm(made.encode(own), axis=1)))
        for own in (
            texts(range(GROUPS), 1),
            [f"{own} ein ganz anderes wort mehr" for own in texts(range(GROUPS), 1)],
            ["ein anderes"],
        )
    )
    assert 1 >= known > half > foreign
    assert foreign < 0.1


def test_the_same_texts_give_the_same_vectors() -> None:
    one, two = (WordVectors.fit(texts(range(GROUPS), 0)).encode(texts(range(GROUPS), 1)) for _ in range(2))
    assert (one == two).all()


def relation(titles: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({"items.title": titles, "items.description": [None] * len(titles), "ts": range(len(titles))}).cast(
        {"items.title": pl.String, "items.description": pl.String}
    )


def test_rows_without_a_text_have_no_vector_and_few_rows_no_words() -> None:
    rows = relation([*texts(range(GROUPS), 0), None, "", "  "])
    found = vectors_of({"items": rows}, encoder_of([], words_of(rows)))
    assert found["item-vectors"].height == rows.height - 3
    assert found["item-vectors"].schema[ITEMS] == pl.List(pl.Float32)
    assert words_of(relation(["a text"] * 10)) == {}
    assert vectors_of({"items": rows}, None) == {}


def test_a_release_with_an_encoder_is_watched_by_it(tmp_path: Path) -> None:
    world = known_world(days=1)
    model = Semantic(encoder=tiny_encoder(tmp_path)).fit(world, Vocabulary(world.items["item_id"]), rng=np.random.default_rng(0))
    encoder = encoder_of([model], {})
    assert isinstance(encoder, Encoder)
    found = vectors_of({"items": relation(["a logo", "a piano", "a logo"])}, encoder)["item-vectors"][ITEMS]
    lengths = np.linalg.norm(np.array(found.to_list()), axis=1)
    assert lengths == pytest.approx(np.ones(3), abs=1e-4)
    assert found[0].to_list() == found[2].to_list()


def test_features_of_texts_are_made_of_their_vectors_too() -> None:
    made = with_vectors(
        {
            "query_title_share": Sources(frozenset({"impressions.query", "items.title"})),
            "item_daily_pay": Sources(frozenset({"items.budget"})),
        }
    )
    assert made["query_title_share"].values == {"impressions.query", "items.title", ITEMS, QUERIES}
    assert made["item_daily_pay"].values == {"items.budget"}
    assert made[ITEMS].values == {"items.title", "items.description"}
    assert made[QUERIES].tables == {"impressions"}
