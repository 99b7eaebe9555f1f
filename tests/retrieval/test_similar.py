"""Similar: the contract, both similarities by their formulas, and the neighbours of an item."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from rankloop.contracts import SCHEMAS, Tables
from rankloop.errors import ModelError
from rankloop.request import Recent, Request, microseconds
from rankloop.retrieval import Similar
from rankloop.testing import RetrieverContract
from rankloop.vocabulary import UNKNOWN, Vocabulary

END = datetime(2026, 1, 31, tzinfo=UTC)
ITEMS = ("a", "b", "c", "d")


class TestSimilar(RetrieverContract):
    def make(self):
        return Similar()


class TestSimilarByTextAlone(RetrieverContract):
    def make(self):
        return Similar(content=1.0)


class TestSimilarByBehaviourAlone(RetrieverContract):
    def make(self):
        return Similar(content=0.0)


def _tables(titles: dict[str, str], *acts: tuple[str, str, float]) -> Tables:
    """Items with titles, and clicks (user, item, days before the end)."""
    item_rows = [dict.fromkeys(SCHEMAS["items"]) | {"item_id": item, "title": title} for item, title in titles.items()]
    rows = [
        dict.fromkeys(SCHEMAS["outcomes"]) | {"ts": END - timedelta(days=age), "user_id": user, "item_id": item, "kind": "click"}
        for user, item, age in acts
    ]
    empty = Tables.empty()
    outcomes = pl.DataFrame(rows, schema=SCHEMAS["outcomes"])
    return Tables(pl.DataFrame(item_rows, schema=SCHEMAS["items"]), empty.users, empty.impressions, outcomes)


def _fit(tables: Tables, **settings: object) -> Similar:
    return Similar(**settings).fit(tables, Vocabulary(ITEMS), rng=np.random.default_rng(0))


def _scores(similar: Similar, user: str) -> list[float]:
    return similar.score(Request(user, "job_feed", END)).tolist()


def test_items_that_the_same_people_acted_on_are_alike():
    acts = [("ann", "a", 1), ("ann", "b", 1), ("bo", "a", 1), ("bo", "b", 1), ("cy", "a", 1), ("cy", "c", 1)]
    similar = _fit(_tables({}, *acts), content=0.0, shrinkage=2.0)
    found = similar.similar(0, 9)
    assert found.items.tolist() == [1, 2]
    assert found.scores == pytest.approx([2 / (math.sqrt(3 * 2) + 2), 1 / (math.sqrt(3 * 1) + 2)])


def test_items_with_the_same_rare_words_are_alike():
    similar = _fit(_tables({"a": "red blue", "b": "red blue", "c": "green", "d": "green"}), content=1.0)
    found = similar.similar(0, 9)
    assert found.items.tolist() == [1]
    assert found.scores == pytest.approx([1.0])


def test_the_two_similarities_are_mixed_by_their_share():
    tables = _tables({"a": "red", "b": "red", "c": "green", "d": "blue"}, ("ann", "a", 1), ("ann", "c", 1))
    found = _fit(tables, content=0.25, shrinkage=0.0).similar(0, 9)
    assert dict(zip(found.items.tolist(), found.scores.tolist(), strict=True)) == pytest.approx({2: 0.75, 1: 0.25})


def test_an_item_is_no_neighbour_of_itself_but_may_be_one_of_another_of_the_users_items():
    tables = _tables({"a": "red", "b": "red", "c": "green", "d": "blue"}, ("ann", "a", 1))
    assert np.isnan(_scores(_fit(tables, content=1.0), "ann")).tolist() == [True, False, True, True]
    both = _tables({"a": "red", "b": "red", "c": "green", "d": "blue"}, ("ann", "a", 1), ("ann", "b", 1))
    assert _scores(_fit(both, content=1.0), "ann")[:2] == pytest.approx([1 / 2, 1 / 2])


def test_a_last_item_that_is_no_longer_in_the_catalogue_still_has_neighbours():
    tables = _tables({"a": "red", "b": "green", "c": "green", "x": "red"}, ("ann", "x", 1), ("bo", "x", 1), ("bo", "b", 1))
    scores = [_scores(_fit(tables, content=content, shrinkage=0.0), "ann") for content in (1.0, 0.0)]
    assert np.isnan(scores).tolist() == [[False, True, True, True], [True, False, True, True]]


def test_an_older_item_counts_half_after_each_half_life():
    tables = _tables({"a": "red", "b": "red", "c": "green", "d": "green"}, ("ann", "a", 3), ("ann", "c", 8))
    scores = _scores(_fit(tables, content=1.0, half_life_days=5.0), "ann")
    assert [scores[1], scores[3]] == pytest.approx([1 / 1.5, 0.5 / 1.5])


def test_what_a_request_says_was_done_since_counts_as_if_the_log_held_it():
    titles = {"a": "blue red", "b": "blue green", "c": "red green", "d": "grey"}
    log = [("u", "a", 9.0), ("u", "b", 2.0), ("v", "a", 3.0), ("v", "d", 2.5)]
    items, then, whole = Vocabulary(ITEMS), _tables(titles, *log), _tables(titles, *log, ("u", "c", 1.0), ("u", "a", 0.5))
    since = [("c", 1.0), ("a", 0.5)]
    recent = tuple(Recent(items.code(item), "click", microseconds(END - timedelta(days=age))) for item, age in since)
    fitted = Similar().fit(then, items, rng=np.random.default_rng(0))
    told = fitted.score(Request("u", "job_feed", END, recent=recent))
    np.testing.assert_array_equal(told, fitted.follow(whole, items).score(Request("u", "job_feed", END)))
    assert not np.array_equal(told, fitted.score(Request("u", "job_feed", END)), equal_nan=True)


def test_somebody_new_has_neighbours_of_what_they_just_did():
    fitted = Similar().fit(
        _tables({"a": "blue red", "b": "blue green", "c": "grey", "d": "pink"}), Vocabulary(ITEMS), rng=np.random.default_rng(0)
    )
    recent = (Recent(0, "click", microseconds(END) - 1),)
    assert fitted.retrieve(Request("nobody", "job_feed", END, recent=recent), 9).items.tolist() == [1]
    dismissed = (Recent(0, "dismiss", microseconds(END) - 1),)
    assert not len(fitted.retrieve(Request("nobody", "job_feed", END, recent=dismissed), 9).items)


def test_only_the_last_items_count():
    tables = _tables({"a": "red", "b": "red", "c": "green", "d": "green"}, ("ann", "a", 3), ("ann", "c", 8))
    assert np.isnan(_scores(_fit(tables, content=1.0, history=1), "ann")).tolist() == [True, False, True, True]


def test_an_item_keeps_its_nearest_neighbours_only():
    acts = [(user, item, 1) for user, items in (("ann", "ab"), ("bo", "abc"), ("cy", "abcd")) for item in items]
    assert _fit(_tables({}, *acts), content=0.0, neighbours=1).similar(0, 9).items.tolist() == [1]


def test_neighbours_are_taken_from_the_allowed():
    similar = _fit(_tables({"a": "red blue", "b": "red", "c": "blue", "d": "green"}), content=1.0)
    assert similar.similar(0, 9, allowed=np.array([True, False, True, True])).items.tolist() == [2]


def test_an_unknown_item_has_no_neighbours():
    assert len(_fit(_tables({"a": "red", "b": "red"})).similar(UNKNOWN, 9).items) == 0


def test_items_without_text_are_alike_by_behaviour():
    tables = _tables({}, ("ann", "a", 1), ("ann", "b", 2))
    assert _fit(tables).similar(0, 9).items.tolist() == [1]


def test_many_items_are_paired_in_parts(monkeypatch):
    from rankloop.retrieval import _neighbours

    rng = np.random.default_rng(0)
    acts = [(f"u{rng.integers(9)}", ITEMS[rng.integers(4)], float(n)) for n in range(40)]
    whole = _fit(_tables({}, *acts), content=0.0).similar(2, 9)
    monkeypatch.setattr(_neighbours, "_ROWS_AT_ONCE", 1)
    parts = _fit(_tables({}, *acts), content=0.0).similar(2, 9)
    assert whole.items.tolist() == parts.items.tolist()
    assert whole.scores.tolist() == parts.scores.tolist()


@pytest.mark.parametrize(
    "wrong", [{"content": 1.5}, {"history": 0}, {"neighbours": 0}, {"half_life_days": 0}, {"shrinkage": -1}, {"k1": -1}]
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ModelError, match=next(iter(wrong))):
        Similar(**wrong)
