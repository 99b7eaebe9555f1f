import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, false_discovery_control, wasserstein_distance

from rankloop.drift.measures import adjusted, distance, js, ks, p_value, psi, unbiased, wasserstein

SHARES = [np.array(each) for each in ([0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [1.0, 0.0, 0.0], [0.0, 0.5, 0.5])]


@pytest.mark.parametrize("p", SHARES)
@pytest.mark.parametrize("q", SHARES)
def test_jensen_shannon_is_the_distance_of_scipy_in_base_2_and_symmetric(p: np.ndarray, q: np.ndarray) -> None:
    assert js(p, q) == pytest.approx(jensenshannon(p, q, 2), abs=1e-7)
    assert js(p, q) == pytest.approx(js(q, p))


@pytest.mark.parametrize("p", SHARES[:2])
@pytest.mark.parametrize("q", SHARES)
def test_wasserstein_is_scipys_over_the_deviation_of_the_reference(p: np.ndarray, q: np.ndarray) -> None:
    centres = np.array([1.0, 2.0, 10.0])
    deviation = np.sqrt((p * centres**2).sum() - (p * centres).sum() ** 2)
    assert wasserstein(p, q, centres) == pytest.approx(wasserstein_distance(centres, centres, p, q) / deviation)


def test_psi_of_many_rows_is_its_textbook_formula() -> None:
    p, q = np.array([0.2, 0.8]), np.array([0.5, 0.5])
    assert psi(p * 1e9, q * 1e9) == pytest.approx(0.3 * np.log(0.5 / 0.2) - 0.3 * np.log(0.5 / 0.8))


def test_psi_of_a_bin_that_was_empty_is_finite() -> None:
    assert np.isfinite(psi(np.array([100.0, 0.0]), np.array([50.0, 50.0])))


def test_ks_is_the_largest_gap_of_the_distribution_functions() -> None:
    assert ks(np.array([0.25, 0.25, 0.5]), np.array([0.5, 0.25, 0.25])) == pytest.approx(0.25)


def test_the_p_value_is_that_of_the_contingency_table() -> None:
    one, two = np.array([120.0, 60.0, 20.0]), np.array([90.0, 80.0, 30.0])
    expected = chi2_contingency(np.stack([one, two]), correction=False).pvalue
    assert p_value(one / 200, two / 200, 200, 200) == pytest.approx(expected)


def test_rare_bins_are_put_together_so_that_one_row_in_each_of_a_hundred_is_no_evidence() -> None:
    draw = np.random.default_rng(0)
    shares = np.append(np.full(100, 0.0005), 0.95)
    pairs = [draw.multinomial(1000, shares, 2) / 1000 for _ in range(200)]
    found = [p_value(one, two, 1000, 1000) for one, two in pairs]
    assert np.mean(np.array(found) < 0.01) <= 0.03


def test_adjusted_p_values_are_those_of_benjamini_and_hochberg() -> None:
    p = np.random.default_rng(1).uniform(size=50) ** 3
    assert adjusted(p) == pytest.approx(false_discovery_control(p))
    assert adjusted(np.array([])).shape == (0,)


@pytest.mark.parametrize("rows", [500, 5_000, 100_000])
def test_what_chance_adds_is_taken_off(rows: int) -> None:
    draw = np.random.default_rng(rows)
    shares, centres = np.full(20, 0.05), np.arange(20.0)
    squared, raw, moved = [], [], []
    for _ in range(200):
        one, two = draw.multinomial(20_000, shares).astype(float), draw.multinomial(rows, shares).astype(float)
        apart = distance(one, two, 20_000, rows, centres)
        squared.append(apart.js**2)
        raw.append(js(one / 20_000, two / rows) ** 2)
        moved.append(apart.wasserstein)
    assert np.mean(squared) < 0.25 * np.mean(raw)
    assert np.mean(np.array(moved) >= 0.1) <= 0.02


def test_a_true_difference_is_found_as_large_as_it_is() -> None:
    p, q, centres = np.array([0.4, 0.4, 0.2]), np.array([0.2, 0.4, 0.4]), np.array([0.0, 1.0, 2.0])
    assert unbiased(p, q, centres, 1e7, 1e7) == pytest.approx(wasserstein(p, q, centres), rel=1e-3)
    assert distance(p * 1e7, q * 1e7, 1e7, 1e7).js == pytest.approx(js(p, q), rel=1e-3)


def test_people_who_repeat_themselves_are_worth_less() -> None:
    p, q = np.array([500.0, 500.0]), np.array([540.0, 460.0])
    assert distance(p, q, 1000, 1000).p < 0.1 < 0.3 < distance(p, q, 100, 100).p


def test_a_constant_reference_has_a_distance_too() -> None:
    assert wasserstein(np.array([1.0, 0.0]), np.array([0.5, 0.5]), np.array([3.0, 5.0])) == pytest.approx(0.5)
