"""Agreement of two rankings: hand-computed values, the published properties, and an independent implementation."""

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.errors import DataError
from rankloop.metrics import UndefinedMetric, kendall_tau, overlap, rank_biased_overlap

ITEMS = st.permutations(list("abcdefgh"))
LISTS = st.builds(lambda items, n: items[:n], ITEMS, st.integers(1, 8))
P = st.floats(0.05, 0.98)


def rbo(a, b, p=0.9, **scores) -> float:
    """Of one pair."""
    return float(rank_biased_overlap([a], [b], p=p, **scores)[0])


@pytest.mark.parametrize(
    ("a", "b", "k", "expected"),
    [
        ("abc", "abc", 3, 1),
        ("abc", "cba", 3, 1),
        ("abc", "cba", 1, 0),
        ("abc", "cba", 2, 1 / 2),
        ("abcd", "abxy", 4, 2 / 4),
        ("ab", "ab", 10, 1),
        ("ab", "abcd", 10, 2 / 4),
        ("ab", "abcd", None, 2 / 4),
        ("", "ab", 5, 0),
    ],
)
def test_overlap_counts_shared_items_of_the_longer_cut_list(a: str, b: str, k: int | None, expected: float) -> None:
    assert overlap([a], [b], k=k)[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("a", "b", "p", "expected"),
    [
        ("abc", "abc", 0.9, 1),
        ("abc", "xyz", 0.9, 0),
        ("a", "b", 0.5, 0),
        # X = 0, 2: (1-p)/p * (2/2 p^2) + 2/2 p^2 = p
        ("ab", "ba", 0.7, 0.7),
        # X = 1, 1: (1-p)/p * (p + p^2/2) + p^2/2
        ("ax", "ay", 0.8, 0.2 / 0.8 * (0.8 + 0.32) + 0.32),
        # uneven, s = 1, L = 3, X = 1, 1, 1: agreement 1 is taken to go on
        ("a", "abc", 0.9, 1),
        # uneven, s = 1, L = 2, X = 0, 1: (1-p)/p * (1/2 p^2) + 1/2 p^2 = p/2
        ("b", "ab", 0.6, 0.3),
        # uneven, s = 2, L = 3, X = 1, 1, 1: (1-p)/p (p + p^2/2 + p^3/3 + 1 * 1/(2*3) p^3) + 1/2 p^3
        ("ax", "ayz", 0.5, 1 * (0.5 + 0.125 + 0.125 / 3 + 0.125 / 6) + 0.0625),
        ("", "ab", 0.9, 0),
    ],
)
def test_rank_biased_overlap_is_equation_32(a: str, b: str, p: float, expected: float) -> None:
    assert rbo(a, b, p) == pytest.approx(expected, abs=1e-12)


@given(LISTS, LISTS, P)
def test_rank_biased_overlap_is_symmetric_and_bounded(a: list[str], b: list[str], p: float) -> None:
    assert 0 <= rbo(a, b, p) <= 1
    assert rbo(a, b, p) == pytest.approx(rbo(b, a, p))


@given(LISTS, P)
def test_a_ranking_agrees_with_itself_fully(a: list[str], p: float) -> None:
    assert rbo(a, a, p) == pytest.approx(1)
    assert overlap([a], [a], k=3)[0] == 1
    assert rbo(a, [item.upper() for item in a], p) == 0


@given(ITEMS, LISTS, st.data(), P)
def test_losing_a_shared_item_never_raises_agreement(a: list[str], b: list[str], data, p: float) -> None:
    lost = data.draw(st.integers(0, len(b) - 1))
    less = [*b[:lost], "outside", *b[lost + 1 :]]
    assert rbo(a, less, p) <= rbo(a, b, p) + 1e-12
    assert overlap([a], [less], k=8)[0] <= overlap([a], [b], k=8)[0]


@given(ITEMS, st.integers(0, 5), P)
def test_a_swap_costs_more_the_higher_it_is(a: list[str], at: int, p: float) -> None:
    def swapped(n: int) -> list[str]:
        return [*a[:n], a[n + 1], a[n], *a[n + 2 :]]

    assert rbo(a, swapped(at), p) < rbo(a, swapped(at + 1), p) < 1 + 1e-12


@given(st.permutations(list("abcd")), st.permutations(list("abce")), st.lists(st.integers(0, 1), min_size=4, max_size=4), P)
def test_ties_are_worth_the_mean_over_every_order(a: list[str], b: list[str], levels: list[int], p: float) -> None:
    scores = sorted(levels, reverse=True)
    high = [item for item, score in zip(a, scores, strict=True) if score]
    low = a[len(high) :]
    orders = [[*one, *other] for one in itertools.permutations(high) for other in itertools.permutations(low)]
    expected = math.fsum(rbo(order, b, p) for order in orders) / len(orders)
    assert rbo(a, b, p, a_scores=[scores]) == pytest.approx(expected)


def test_without_equal_scores_the_scores_change_nothing() -> None:
    falling = [[5.0, 4.0, 1.0]]
    assert rbo("abc", "bca", a_scores=falling, b_scores=falling) == rbo("abc", "bca")


@given(LISTS, LISTS)
def test_an_independent_implementation_says_the_same(a: list[str], b: list[str]) -> None:
    theirs = pytest.importorskip("rbo")
    assert rbo(a, b, 0.85) == pytest.approx(theirs.RankingSimilarity(a, b).rbo_ext(p=0.85), abs=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [("abcd", "abcd", 1), ("abcd", "dcba", -1), ("abc", "bxac", 1 / 3), ("abcd", "xbyc", 1)],
)
def test_kendall_counts_ordered_pairs_of_shared_items(a: str, b: str, expected: float) -> None:
    assert kendall_tau([a], [b])[0] == pytest.approx(expected)


def test_what_cannot_be_said_is_nan_and_counted() -> None:
    with pytest.warns(UndefinedMetric, match="1 of 2 requests: neither ranking has an item"):
        assert np.isnan(overlap([[], ["a"]], [[], ["a"]], k=5)).tolist() == [True, False]
    with pytest.warns(UndefinedMetric, match="rank_biased_overlap"):
        assert math.isnan(rbo([], []))
    with pytest.warns(UndefinedMetric, match="fewer than two"):
        assert math.isnan(kendall_tau([["a", "b"]], [["b", "z"]])[0])


def test_no_requests_have_no_values_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [len(values) for values in (overlap([], [], k=1), rank_biased_overlap([], []), kendall_tau([], []))] == [0, 0, 0]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: overlap([["a"]], [], k=1), "a has 1 rankings and b 0"),
        (lambda: overlap([["a", "a"]], [["a"]], k=1), "holds one twice"),
        (lambda: overlap([["a"]], [["a"]], k=0), "k is 0"),
        (lambda: rbo("a", "a", p=1.0), "p is 1.0"),
        (lambda: rbo("ab", "a", a_scores=[[1.0]]), "a_scores does not fit a"),
        (lambda: rbo("ab", "a", a_scores=[[1.0, 2.0]]), "a_scores rise"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, says: str) -> None:
    with pytest.raises(DataError, match=says):
        call()
