"""Ranking metrics: known answers, a slow reference over every order of the ties, and properties of the whole family."""

import itertools
import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloop.errors import DataError
from rankloop.metrics import UndefinedMetric, average_precision, ndcg, precision, recall, reciprocal_rank

FAMILY = [ndcg, recall, precision, reciprocal_rank, average_precision]
ONE_WHEN_IDEAL = [ndcg, reciprocal_rank, average_precision]

cuts = st.integers(1, 8)
small = st.integers(0, 3).map(float)


@st.composite
def judged(draw: st.DrawFn, max_rows: int = 7, scores: st.SearchStrategy[float] = small) -> tuple[np.ndarray, np.ndarray]:
    """Scores and grades of one request with at least one positive grade."""
    rows = draw(st.integers(1, max_rows))
    grades = draw(st.lists(st.integers(0, 5), min_size=rows, max_size=rows).filter(any))
    drawn = draw(st.lists(scores, min_size=rows, max_size=rows))
    return np.array(drawn, np.float64), np.array(grades)


def slow(metric: Callable, grades: list[int], k: int) -> float:
    """The metric of one list without ties, by its formula."""
    hits = [g >= 1 for g in grades]
    total = sum(hits)
    if metric is ndcg:
        dcg = [sum((2**g - 1) / math.log2(r + 1) for r, g in enumerate(own[:k], 1)) for own in (grades, sorted(grades)[::-1])]
        return dcg[0] / dcg[1]
    if metric is recall:
        return sum(hits[:k]) / total
    if metric is precision:
        return sum(hits[:k]) / k
    if metric is reciprocal_rank:
        return max((1 / r for r, hit in enumerate(hits[:k], 1) if hit), default=0.0)
    return sum(sum(hits[:r]) / r for r, hit in enumerate(hits[:k], 1) if hit) / min(total, k)


def slow_with_ties(metric: Callable, scores: np.ndarray, grades: np.ndarray, k: int) -> float:
    """The mean over every order that agrees with the scores."""
    orders = [order for order in itertools.permutations(range(len(scores))) if all(np.diff(scores[list(order)]) <= 0)]
    return float(np.mean([slow(metric, [int(grades[row]) for row in order], k) for order in orders]))


@pytest.mark.parametrize("metric", FAMILY)
@given(list_=judged(max_rows=5), k=cuts)
def test_a_metric_is_the_mean_of_its_formula_over_every_order_of_the_ties(metric, list_, k):
    scores, grades = list_
    assert metric(scores, grades, [len(scores)], k=k)[0] == pytest.approx(slow_with_ties(metric, scores, grades, k), abs=1e-12)


@settings(deadline=None)
@given(list_=judged(max_rows=12), k=cuts)
def test_ndcg_agrees_with_scikit_learn_ties_included(list_, k):
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    scores, grades = list_
    if len(scores) == 1:
        return
    assert ndcg(scores, grades, [len(scores)], k=k, gain="linear")[0] == pytest.approx(
        sklearn_metrics.ndcg_score([grades], [scores], k=k), abs=1e-12
    )


@pytest.mark.parametrize("metric", FAMILY)
@given(lists=st.lists(judged(), min_size=1, max_size=5), k=cuts)
def test_requests_do_not_touch_each_other(metric, lists, k):
    together = metric(
        np.concatenate([s for s, _ in lists]), np.concatenate([g for _, g in lists]), [len(s) for s, _ in lists], k=k
    )
    apart = [metric(s, g, [len(s)], k=k)[0] for s, g in lists]
    assert together == pytest.approx(apart, abs=1e-12)


@pytest.mark.parametrize("metric", FAMILY)
@given(list_=judged(), k=cuts, seed=st.integers(0, 99))
def test_the_order_of_the_rows_does_not_matter(metric, list_, k, seed):
    scores, grades = list_
    order = np.random.default_rng(seed).permutation(len(scores))
    assert metric(scores[order], grades[order], [len(scores)], k=k) == pytest.approx(metric(scores, grades, [len(scores)], k=k))


@pytest.mark.parametrize("metric", FAMILY)
@given(list_=judged(), k=cuts, scale=st.sampled_from([2.0**-20, 0.5, 4.0, 2.0**30]), shift=st.integers(-5, 5))
def test_the_scale_of_the_scores_does_not_matter(metric, list_, k, scale, shift):
    scores, grades = list_
    assert metric(scale * (scores + shift), grades, [len(scores)], k=k) == metric(scores, grades, [len(scores)], k=k)


@pytest.mark.parametrize("metric", FAMILY)
@given(list_=judged(scores=st.floats(0, 1)), k=cuts, pair=st.tuples(st.integers(0, 6), st.integers(0, 6)))
def test_exchanging_a_worse_row_for_a_better_one_below_it_never_lowers_a_metric(metric, list_, k, pair):
    scores, grades = list_
    one, other = pair[0] % len(scores), pair[1] % len(scores)
    better = scores.copy()
    if (scores[one] - scores[other]) * (grades[one] - grades[other]) < 0:
        better[[one, other]] = scores[[other, one]]
    size = [len(scores)]
    assert metric(better, grades, size, k=k)[0] >= metric(scores, grades, size, k=k)[0] - 1e-12


@pytest.mark.parametrize("metric", FAMILY)
@given(list_=judged(), k=cuts)
def test_a_metric_is_between_0_and_1(metric, list_, k):
    scores, grades = list_
    assert 0 <= metric(scores, grades, [len(scores)], k=k)[0] <= 1


@pytest.mark.parametrize("metric", ONE_WHEN_IDEAL)
@given(list_=judged(), k=cuts)
def test_the_ideal_order_is_1_at_every_cut(metric, list_, k):
    _, grades = list_
    assert metric(grades, grades, [len(grades)], k=k)[0] == pytest.approx(1.0, abs=1e-12)


@given(list_=judged(), k=cuts)
def test_the_ideal_order_has_the_recall_and_precision_that_the_cut_allows(list_, k):
    _, grades = list_
    total = np.count_nonzero(grades)
    assert recall(grades, grades, [len(grades)], k=k)[0] == pytest.approx(min(k, total) / total)
    assert precision(grades, grades, [len(grades)], k=k)[0] == pytest.approx(min(k, total) / k)


@pytest.mark.parametrize("metric", FAMILY)
def test_a_scorer_that_says_nothing_gets_what_a_random_order_gets_not_the_logged_order(metric):
    best_first, worst_first = [5, 3, 0, 0], [0, 0, 3, 5]
    assert metric(np.zeros(4), best_first, [4], k=2) == pytest.approx(metric(np.zeros(4), worst_first, [4], k=2))
    assert metric(np.zeros(4), best_first, [4], k=2)[0] < metric([4, 3, 2, 1], best_first, [4], k=2)[0]


def test_ties_at_the_cut_share_it():
    assert recall([2, 1, 1, 1], [0, 1, 0, 0], [4], k=2)[0] == pytest.approx(1 / 3)


def test_the_first_of_many_tied_rows_has_the_mean_of_reciprocals():
    n = 1000
    expected = sum(1 / r for r in range(1, n + 1)) / n
    assert reciprocal_rank(np.zeros(n), np.eye(n)[0], [n], k=None)[0] == pytest.approx(expected)


def test_a_nan_score_ranks_last_and_nans_tie():
    nan = float("nan")
    assert reciprocal_rank([nan, -np.inf, -5.0], [1, 0, 0], [3], k=None)[0] == 1 / 3
    assert reciprocal_rank([nan, nan, -5.0], [1, 0, 0], [3], k=None)[0] == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_ndcg_discounts_by_the_binary_logarithm_of_rank_plus_one_and_gains_two_to_the_grade():
    value = ndcg([3, 2, 1], [1, 0, 2], [3], k=3)[0]
    assert value == pytest.approx((1 + 3 / math.log2(4)) / (3 + 1 / math.log2(3)))


def test_ndcg_cuts_the_ideal_list_at_k_too():
    assert ndcg([3, 2, 1], [1, 0, 2], [3], k=1)[0] == pytest.approx(1 / 3)


def test_the_linear_gain_is_the_grade_itself():
    value = ndcg([3, 2, 1], [1, 0, 2], [3], k=3, gain="linear")[0]
    assert value == pytest.approx((1 + 2 / math.log2(4)) / (2 + 1 / math.log2(3)))


def test_the_lowest_relevant_grade_is_a_choice():
    assert recall([3, 2, 1], [1, 3, 5], [3], k=2, relevant=3)[0] == 1 / 2


@pytest.mark.parametrize("metric", FAMILY)
def test_a_request_without_a_relevant_row_is_nan_and_one_warning_counts_them(metric):
    with pytest.warns(UndefinedMetric, match="2 of 3 requests") as caught:
        values = metric([1.0, 2.0, 3.0], [0, 0, 1], [2, 1, 0], k=5)
    assert len(caught) == 1
    assert np.isnan(values).tolist() == [True, False, True]


@pytest.mark.parametrize("metric", FAMILY)
def test_no_requests_give_no_values(metric):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metric([], [], [], k=5).shape == (0,)


@pytest.mark.parametrize(
    ("scores", "grades", "sizes", "k", "named"),
    [
        ([1.0], [1, 2], [1], 5, "differ in shape"),
        ([1.0, 2.0], [1, 2], [3], 5, "sizes sum to 3"),
        ([1.0, 2.0], [1, 2], [3, -1], 5, "sizes"),
        ([1.0], [-1], [1], 5, "negative"),
        ([1.0], [float("nan")], [1], 5, "NaN"),
        ([1.0], [1], [1], 0, "k is 0"),
    ],
)
@pytest.mark.parametrize("metric", FAMILY)
def test_a_call_that_cannot_be_right_says_why(metric, scores, grades, sizes, k, named):
    with pytest.raises(DataError, match=named):
        metric(scores, grades, sizes, k=k)


def test_an_unknown_gain_is_refused():
    with pytest.raises(DataError, match="exponential"):
        ndcg([1.0], [1], [1], k=1, gain="cubic")  # type: ignore[arg-type]


def test_a_relevant_grade_of_0_is_refused():
    with pytest.raises(DataError, match="above 0"):
        recall([1.0], [1], [1], k=1, relevant=0)
