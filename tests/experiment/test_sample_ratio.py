"""The split's test: valid at every look, and quick where units are missing."""

import math

import numpy as np
import pytest

from rankloop.errors import DataError
from rankloop.experiment import sample_ratio


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5])
def test_a_sound_split_is_rarely_suspected_however_often_one_looks(share: float) -> None:
    rng, alpha, runs = np.random.default_rng(2), 0.05, 300
    own = rng.binomial(100, share, (runs, 60)).cumsum(axis=1)
    whole = 100 * np.arange(1, 61)
    ever = sum(
        min(sample_ratio([n - k, k], [1 - share, share]).p_value for k, n in zip(run, whole, strict=True)) <= alpha for run in own
    )
    assert ever / runs <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)


def test_a_tenth_of_the_canarys_units_missing_is_found() -> None:
    assert sample_ratio([75_000, 22_500], [0.75, 0.25]).p_value < 1e-6


def test_nobody_says_nothing() -> None:
    assert sample_ratio([0, 0], [0.9, 0.1]) == ((0.0, 0.0), 1.0)


def test_it_takes_any_number_of_arms() -> None:
    shares = [0.5, 0.3, 0.2]
    assert sample_ratio([500, 300, 200], shares).expected == pytest.approx((500, 300, 200))


@pytest.mark.parametrize(
    ("counts", "shares"), [([1], [0.5, 0.5]), ([1, 1], [0.5, 0.6]), ([1, 1], [1.0, 0.0]), ([-1, 1], [0.5, 0.5])]
)
def test_counts_that_fit_no_split_are_refused(counts: list[int], shares: list[float]) -> None:
    with pytest.raises(DataError, match="as many of both"):
        sample_ratio(counts, shares)
