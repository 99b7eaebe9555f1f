"""Bounds that hold at every look: simulated, and in agreement with each other."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.errors import DataError
from rankloop.experiment.sequential import always_valid, half_width, mixing, p_value

ALPHA = 0.05
RUNS = 2000


def walks(rng: int = 5, steps: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Means of normal noise after each step, `(runs, steps)`, and their variances, `(steps,)`."""
    noise = np.random.default_rng(rng).normal(size=(RUNS, steps)).cumsum(axis=1)
    counts = np.arange(1, steps + 1)
    return noise / counts, 1 / counts


@pytest.mark.parametrize("scale", [0.05, 0.2, 1.0])
def test_peeking_at_every_step_errs_no_more_often_than_alpha(scale: float) -> None:
    means, variances = walks()
    widths = np.array([half_width(one, ALPHA, mixing(ALPHA, scale)) for one in variances])
    ever = (means > widths).any(axis=1).mean()
    once = (means > 1.645 * np.sqrt(variances)).any(axis=1).mean()
    assert ever <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
    assert once > 4 * ALPHA, "as a fixed-sample bound does"


def test_a_true_difference_is_found_in_the_end() -> None:
    means, variances = walks()
    bounds = [always_valid(0.5, one, alpha_lower=ALPHA, alpha_upper=ALPHA, scale=0.2) for one in variances]
    lower = np.array([one.lower - one.difference for one in bounds])
    assert (means[:, -1] + 0.5 + lower[-1] > 0).mean() > 0.99


@given(st.floats(1e-6, 10), st.floats(0.001, 0.4), st.floats(0.001, 1))
def test_the_p_value_is_alpha_where_the_bound_is(variance: float, alpha: float, scale: float) -> None:
    rho = mixing(0.05, scale)
    assert p_value(half_width(variance, alpha, rho), variance, rho) == pytest.approx(alpha, rel=1e-6)


@given(st.floats(1e-4, 1), st.floats(1.01, 50))
def test_more_information_is_never_wider(variance: float, more: float) -> None:
    rho = mixing(ALPHA, 0.1)
    assert half_width(variance / more, ALPHA, rho) < half_width(variance, ALPHA, rho)


def test_the_bound_is_about_its_scale_where_it_was_made_for() -> None:
    for scale in (0.01, 0.3):
        rho = mixing(ALPHA, scale)
        k = 2 * math.log(1 / ALPHA) + math.log1p(2 * math.log(1 / ALPHA))
        assert half_width(1 / (k * rho), ALPHA, rho) == pytest.approx(scale, rel=0.01)


def test_nothing_known_says_nothing_and_no_variance_is_refused() -> None:
    rho = mixing(ALPHA, 0.1)
    assert half_width(math.inf, ALPHA, rho) == math.inf
    assert (p_value(3.0, math.inf, rho), p_value(-1.0, 0.1, rho), p_value(100.0, 1e-6, rho)) == (1.0, 1.0, 0.0)
    for wrong in (0.0, math.nan):
        with pytest.raises(DataError, match="variance"):
            half_width(wrong, ALPHA, rho)
        with pytest.raises(DataError, match="variance"):
            p_value(1.0, wrong, rho)
    with pytest.raises(DataError, match="scale"):
        mixing(ALPHA, 0.0)
