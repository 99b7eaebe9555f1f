"""Bm25 and its index: the contract, the formula by hand, fields, spelling."""

import math

import numpy as np
import polars as pl
import pytest

from rankloop.contracts import SCHEMAS, Columns, Tables
from rankloop.errors import ModelError
from rankloop.request import Request
from rankloop.retrieval import Bm25
from rankloop.testing import RetrieverContract
from rankloop.vocabulary import Vocabulary

RNG = np.random.default_rng(0)


class TestBm25(RetrieverContract):
    answers_strangers = True

    def make(self):
        return Bm25()


def _tables(*items: dict[str, object]) -> Tables:
    rows = [dict.fromkeys(SCHEMAS["items"]) | {Columns.ITEM_ID: f"i{n}"} | item for n, item in enumerate(items)]
    empty = Tables.empty()
    return Tables(pl.DataFrame(rows, schema=SCHEMAS["items"]), empty.users, empty.impressions, empty.outcomes)


def _fit(*items: dict[str, object], **settings) -> Bm25:
    return Bm25(**settings).fit(_tables(*items), Vocabulary([f"i{n}" for n in range(len(items))]), rng=RNG)


def _search(bm25: Bm25, query: str | None) -> list[float]:
    return bm25.score(Request("x", "job_search", None, query)).tolist()


def test_a_score_is_idf_times_saturated_term_frequency():
    bm25 = _fit({"title": "red"}, {"title": "red red blue"}, {"title": "green"}, fields={"title": (2.0, 0.5)}, k1=1.5)
    mean, idf = 5 / 3, math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    tf = [2 * n / (0.5 + 0.5 * length / mean) for n, length in ((1, 1), (2, 3))]
    assert _search(bm25, "red") == pytest.approx([*(idf * t / (1.5 + t) for t in tf), math.nan], nan_ok=True)


def test_fields_are_added_before_saturation():
    bm25 = _fit(
        {"title": "red", "description": "red"}, {"title": "blue"}, fields={"title": (3.0, 0.0), "description": (1.0, 0.0)}, k1=1.0
    )
    assert _search(bm25, "red")[0] == pytest.approx(math.log(1 + 1.5 / 1.5) * 4 / (1 + 4))


def test_a_word_repeated_in_the_query_counts_as_often():
    bm25 = _fit({"title": "red"}, {"title": "blue"})
    assert _search(bm25, "red red")[0] == pytest.approx(2 * _search(bm25, "red")[0])


def test_the_order_of_the_words_does_not_change_a_bit():
    bm25 = _fit({"title": "red blue green"}, {"title": "green red"}, {"description": "blue blue red"})
    assert _search(bm25, "red blue green") == _search(bm25, "green red blue")


def test_a_title_word_counts_more_than_one_of_the_description():
    scores = _search(_fit({"title": "red"}, {"title": "blue", "description": "red"}), "red")
    assert scores[0] > scores[1]


def test_skills_are_searched_word_by_word():
    bm25 = _fit({"title": "help", "skills": ["graphic design", "c++"]}, {"title": "help"})
    for query in ("design", "c++", "graphic"):
        assert _search(bm25, query)[0] > 0


def test_items_without_a_word_of_the_query_are_nan_not_0():
    assert np.isnan(_search(_fit({"title": "red"}, {"title": "blue"}), "red")).tolist() == [False, True]


@pytest.mark.parametrize("query", [None, "", "  ?! ", "zzzzzzzz"])
def test_a_query_without_a_known_word_has_no_answer(query):
    assert np.isnan(_search(_fit({"title": "red"}), query)).all()


def test_a_misspelled_word_finds_what_was_meant_unless_spelling_is_off():
    items = ({"title": "plumbing help"}, {"title": "piano lessons"})
    assert _search(_fit(*items), "plumbign")[0] == _search(_fit(*items), "plumbing")[0]
    assert np.isnan(_search(_fit(*items, spelling=False), "plumbign")).all()


def test_only_the_beginning_of_an_endless_query_is_read():
    bm25 = _fit({"title": "red"}, {"title": "blue"})
    assert bm25.words("red " + "wrod " * 200_000) == bm25.words(("red " + "wrod " * 200)[:1000])


def test_signs_that_carry_the_meaning_survive_beside_a_misspelled_word():
    bm25 = _fit({"title": "C++ engineer, node.js"})
    assert bm25.words("enginere, C++ node.js") == bm25.words("engineer C++ node.js")


def test_a_known_word_is_never_corrected():
    bm25 = _fit(*({"title": "designer"} for _ in range(9)), {"title": "resigner"})
    assert bm25.words("resigner") != bm25.words("designer")


def test_an_item_of_the_catalogue_that_is_not_in_the_tables_is_nan():
    bm25 = Bm25().fit(_tables({"title": "red"}), Vocabulary(["i0", "i9"]), rng=RNG)
    assert np.isnan(_search(bm25, "red")).tolist() == [False, True]


def test_items_come_in_catalogue_order_whatever_the_order_of_the_table():
    tables = _tables({"title": "red"}, {"title": "blue"})
    bm25 = Bm25().fit(tables, Vocabulary(["i1", "i0"]), rng=RNG)
    assert np.isnan(_search(bm25, "red")).tolist() == [True, False]


def test_a_catalogue_without_texts_has_no_answer():
    assert np.isnan(_search(_fit({}, {}), "red")).all()


@pytest.mark.parametrize(
    "wrong", [{"k1": 0}, {"fields": {"colour": (1, 1)}}, {"fields": {"title": (-1, 0)}}, {"fields": {"title": (1, 2)}}]
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ModelError, match=r"k1|field"):
        Bm25(**wrong)
