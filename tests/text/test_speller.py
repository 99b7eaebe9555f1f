"""Misspelled tokens become known ones."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.errors import DataError
from rankloop.text import Speller
from rankloop.text.speller import _distance

KNOWN = {"design": 90, "python": 40, "logo": 70, "java": 30, "javascript": 35, "illustr": 12, "c++": 9, "lago": 1}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("desing", "design"),
        ("pyhton", "python"),
        ("javasript", "javascript"),
        ("ilustr", "illustr"),
        ("jvaa", "java"),
        ("jvaascrpt", "javascript"),
        ("lgoo", "logo"),
    ],
)
def test_a_misspelling_is_corrected(written: str, meant: str) -> None:
    assert Speller(KNOWN).correct([written]) == [meant]


@pytest.mark.parametrize("token", ["lago", "c++", "c--", "3d", "py3", "go", "jva", "dezigm", "xyzzyx", "jo", ""])
def test_known_short_signed_and_strange_tokens_stay(token: str) -> None:
    assert Speller(KNOWN).correct([token]) == [token]


def test_of_equally_close_terms_the_more_frequent_wins() -> None:
    assert Speller({"cart": 2, "card": 3}).correct(["carx"]) == ["card"]
    assert Speller({"cart": 3, "card": 2}).correct(["carx"]) == ["cart"]


def test_equal_frequencies_are_settled_by_the_alphabet_not_by_the_order_given() -> None:
    for terms in itertools.permutations(["card", "cart", "care"]):
        assert Speller(dict.fromkeys(terms, 5)).correct(["carx"]) == ["card"]


def test_the_same_first_letter_beats_frequency() -> None:
    assert Speller({"mobile": 1, "nobile": 99}).correct(["mobilee"]) == ["mobile"]


def test_a_speller_without_terms_changes_nothing() -> None:
    assert Speller({}).correct(["desing"]) == ["desing"]


def test_a_frequency_below_one_is_refused() -> None:
    with pytest.raises(DataError, match="'logo' has frequency 0"):
        Speller({"logo": 0})


WORD = st.text("abc", min_size=1, max_size=7)


@given(WORD, WORD)
def test_the_bounded_distance_is_the_distance_where_it_is_within_the_bound(a: str, b: str) -> None:
    exact = _distance(a, b, 99)
    for limit in (1, 2):
        assert _distance(a, b, limit) == min(exact, limit + 1)
    assert exact == _distance(b, a, 99)
    assert (exact == 0) == (a == b)


@given(WORD, st.data())
def test_one_edit_is_a_distance_of_at_most_one(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(word) - 1))
    assert _distance(word, word[:at] + word[at + 1 :], 99) == 1
    assert _distance(word, word[:at] + "x" + word[at:], 99) == 1
    assert _distance(word, word[:at] + word[at : at + 2][::-1] + word[at + 2 :], 99) <= 1
