"""How much slower a quantile is: right at the edge, quick beyond it, and not misled by what slows both."""

import numpy as np
import pytest

from rankloop.canary import LATENCY_EDGES
from rankloop.canary.slowness import slowness

EDGE = LATENCY_EDGES[2] / LATENCY_EDGES[0]  # two steps: 10 per cent, rounded up
ALPHA = 0.05


def histogram(rng: np.random.Generator, lists: int, slower: float) -> np.ndarray:
    seconds = 0.012 * slower * np.exp(0.5 * rng.normal(size=lists))
    return np.bincount(np.searchsorted(LATENCY_EDGES, seconds), minlength=len(LATENCY_EDGES) + 1)


def compared(phases, quantile: float):
    both = [(stable.tolist(), canary.tolist()) for stable, canary in phases]
    return slowness(both, quantile, alpha_lower=ALPHA, alpha_upper=ALPHA)


@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_at_the_edge_of_what_is_tolerated_it_is_rarely_called_slower_however_often_one_looks(quantile: float) -> None:
    rng, runs, called = np.random.default_rng(6), 60, 0
    for _ in range(runs):
        stable, canary = histogram(rng, 0, 1.0), histogram(rng, 0, EDGE)
        for _look in range(30):
            stable, canary = stable + histogram(rng, 1900, 1.0), canary + histogram(rng, 100, EDGE)
            found = compared([(stable, canary)], quantile)
            if found is not None and found.lower > 0.1:
                called += 1
                break
    assert called / runs <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / runs) ** 0.5


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
def test_the_bounds_hold_the_true_slowness(quantile: float) -> None:
    rng = np.random.default_rng(7)
    found = compared([(histogram(rng, 90_000, 1.0), histogram(rng, 30_000, 1.2))], quantile)
    assert found.canary / found.stable == pytest.approx(1.2, rel=0.03)
    assert 0.05 < found.lower < 0.2 < found.upper < 0.4


def test_an_hour_in_which_both_are_slow_says_nothing_of_one() -> None:
    rng = np.random.default_rng(8)
    quiet = (histogram(rng, 99_000, 1.0), histogram(rng, 1_000, 1.0))
    busy = (histogram(rng, 50_000, 2.0), histogram(rng, 50_000, 2.0))
    for quantile in (0.5, 0.95):
        found = compared([quiet, busy], quantile)
        assert found.lower <= 0 <= found.upper


def test_too_few_lists_know_no_quantile() -> None:
    rng = np.random.default_rng(9)
    assert compared([(histogram(rng, 100, 1.0), histogram(rng, 100, 1.0))], 0.95) is None
    assert compared([], 0.5) is None
    assert compared([(histogram(rng, 9000, 1.0), histogram(rng, 0, 1.0))], 0.5) is None


def test_beyond_the_last_bound_it_is_at_least_that() -> None:
    rng = np.random.default_rng(10)
    found = compared([(histogram(rng, 5000, 1.0), histogram(rng, 5000, 1000.0))], 0.5)
    assert found.canary == LATENCY_EDGES[-1]
    assert found.lower > 5
