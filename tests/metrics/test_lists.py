"""Full-catalogue metrics: known answers and a slow reference."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.errors import DataError
from rankloop.metrics import UndefinedMetric, catalogue_coverage, exposure_gini, of_lists

items = st.integers(0, 9)
some_lists = st.lists(st.tuples(st.lists(items, unique=True), st.lists(items, min_size=1)), min_size=1, max_size=6)


def slow(retrieved: list[int], wanted: set[int], k: int) -> dict[str, float]:
    ranks = [rank for rank, item in enumerate(retrieved[:k], 1) if item in wanted]
    return {
        "recall": len(ranks) / len(wanted),
        "ndcg": sum(1 / math.log2(r + 1) for r in ranks) / sum(1 / math.log2(r + 1) for r in range(1, min(len(wanted), k) + 1)),
        "reciprocal_rank": 1 / ranks[0] if ranks else 0.0,
        "hit": float(bool(ranks)),
    }


@pytest.mark.parametrize("as_what", [np.array, [str(item) for item in range(10)].__getitem__], ids=["codes", "ids"])
@given(lists=some_lists, k=st.integers(1, 12))
def test_values_follow_the_formulas_for_codes_and_for_ids(as_what, lists, k):
    def named(own):
        return np.array(own, np.int64) if as_what is np.array else [as_what(item) for item in own]

    found = of_lists([named(a) for a, _ in lists], [named(b) for _, b in lists], k=k)
    for name, values in found.items():
        assert values == pytest.approx([slow(a, set(b), k)[name] for a, b in lists], abs=1e-12)


def test_a_matrix_of_codes_with_empty_places_is_a_list_of_lists():
    matrix = np.array([[3, 1, -1], [-1, -1, -1]])
    assert of_lists(matrix, [[1, 2], [1]], k=3)["recall"].tolist() == [1 / 2, 0]


def test_a_wanted_item_outside_the_catalogue_is_never_found_but_counts():
    assert of_lists([[-1, 1]], [[1, -1, -1]], k=2)["recall"].tolist() == [1 / 3]


def test_only_the_first_k_places_count():
    assert of_lists([["a", "b"]], [["b"]], k=1)["hit"].tolist() == [0]


def test_ids_of_different_lengths_are_told_apart():
    assert of_lists([["j1", "j10"]], [["j10"]], k=2)["reciprocal_rank"].tolist() == [1 / 2]


def test_a_request_that_wanted_nothing_is_nan_with_a_warning():
    with pytest.warns(UndefinedMetric, match="1 of 2"):
        found = of_lists([["a"], ["a"]], [[], ["a"]], k=1)
    assert all(np.isnan(values[0]) and values[1] == 1 for values in found.values())


def test_no_requests_give_no_values():
    assert of_lists([], [], k=3)["recall"].shape == (0,)


def test_empty_lists_find_nothing():
    assert of_lists([[], []], [["a"], ["b"]], k=3)["recall"].tolist() == [0, 0]


def test_an_item_retrieved_twice_is_refused():
    with pytest.raises(DataError, match="twice"):
        of_lists([["a", "a"]], [["a"]], k=2)


def test_the_same_item_in_two_lists_is_fine():
    assert of_lists([["a"], ["a"]], [["a"], ["b"]], k=2)["hit"].tolist() == [1, 0]


def test_two_lengths_are_refused():
    with pytest.raises(DataError, match="1 retrieved lists for 2"):
        of_lists([["a"]], [["a"], ["b"]], k=2)


def test_coverage_is_the_share_of_the_catalogue_shown_at_least_once():
    assert catalogue_coverage([["a", "b"], ["b"]], 8) == 2 / 8
    assert catalogue_coverage(np.array([[0, 1], [1, -1]]), 8) == 2 / 8
    assert catalogue_coverage([], 8) == 0


def test_coverage_above_the_catalogue_is_refused():
    with pytest.raises(DataError, match="catalogue_size is 1"):
        catalogue_coverage([["a", "b"]], 1)


def test_gini_is_0_when_all_are_shown_alike_and_near_1_when_one_takes_all():
    assert exposure_gini([[0, 1, 2, 3]], 4) == 0
    assert exposure_gini([[0]] * 5, 4) == 3 / 4
    assert math.isnan(exposure_gini([], 4))
