"""The best of the scores, and picking some of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.retrieval.base import pick, top
from rankloop.vocabulary import UNKNOWN

scores_of_few = st.lists(st.sampled_from([0.0, 1.0, 2.0, float("nan"), -1.0]), max_size=12)


@given(values=scores_of_few, k=st.integers(-1, 14))
def test_the_best_are_those_of_a_stable_sort_without_nan(values, k):
    scores = np.array(values, np.float32)
    expected = [code for code in np.argsort(-scores, kind="stable") if not np.isnan(scores[code])][: max(k, 0)]
    assert top(scores, k).items.tolist() == expected
    assert top(scores, k).scores.tolist() == scores[expected].tolist()


def test_picked_scores_are_a_copy_and_unknown_is_nan():
    scores = np.array([1.0, 2.0], np.float32)
    pick(scores, None)[:] = 9
    assert scores.tolist() == [1, 2]
    assert pick(scores, np.array([1, UNKNOWN])).tolist() == pytest.approx([2, float("nan")], nan_ok=True)


def test_an_empty_catalogue_has_no_scores():
    assert np.isnan(pick(np.empty(0, np.float32), np.array([UNKNOWN]))).all()
