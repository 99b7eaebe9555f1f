"""Rare events: exact with few, honest about none, valid whenever one looks."""

import math

import numpy as np
import pytest

from rankloop.errors import DataError
from rankloop.experiment.counting import Counts, log_e_of_ratio, rate_bounds, rate_ratio_bounds

ALPHA = 0.05


def bounds(*phases: Counts, alpha: float = 0.005):
    return rate_ratio_bounds(phases, alpha_lower=alpha, alpha_upper=alpha)


def test_three_errors_of_nothing_are_no_proof_of_a_rate() -> None:
    rate = rate_bounds(3, 300, near=0.003, alpha_lower=0.005, alpha_upper=0.05)
    assert rate.estimate == 3 / 300
    assert rate.lower < 0.003 < rate.upper


def test_the_ratio_is_mantel_and_haenszels() -> None:
    found = bounds(Counts(10, 9900, 3, 100), Counts(20, 5000, 40, 5000))
    assert found.estimate == pytest.approx((3 * 9900 / 10_000 + 40 / 2) / (10 * 100 / 10_000 + 20 / 2))
    assert found.lower < found.estimate < found.upper


def test_without_events_nothing_is_known() -> None:
    for phases in ((), (Counts(0, 1000, 0, 10),), (Counts(0, 0, 3, 10),)):
        found = bounds(*phases)
        assert (found.lower, found.upper) == (0.0, math.inf)
        assert math.isnan(found.estimate)


def test_the_arms_are_treated_alike() -> None:
    one, two = bounds(Counts(12, 4000, 30, 1000)), bounds(Counts(30, 1000, 12, 4000))
    assert one.estimate == pytest.approx(1 / two.estimate)
    assert one.lower == pytest.approx(1 / two.upper, rel=0.05)


def test_a_bad_hour_of_both_is_no_evidence_against_one() -> None:
    calm, storm = Counts(9, 9000, 1, 1000), Counts(4500, 9000, 500, 1000)
    found = bounds(calm, storm)
    assert found.lower < 1 < found.upper


def test_looking_after_every_event_errs_no_more_often_than_alpha() -> None:
    rng, runs, share = np.random.default_rng(3), 400, 0.05
    ever = 0
    for _ in range(runs):
        second = (rng.random(60) < share).cumsum()
        first = np.arange(1, 61) - second
        log_e = [log_e_of_ratio([[a]], [[b]], [(1 - share, share)])[0] for a, b in zip(first, second, strict=True)]
        ever += max(log_e) >= math.log(1 / ALPHA)
    assert ever / runs <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs)


def test_an_evidence_is_on_average_at_most_one() -> None:
    n, share = 12, 0.2
    own = np.arange(n + 1)
    log_e = log_e_of_ratio((n - own)[:, None], own[:, None], [(1 - share, share)])
    chance = np.array([math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in own])
    assert chance @ np.exp(log_e) == pytest.approx(1.0)
    lower = np.array([math.comb(n, k) * 0.1**k * 0.9 ** (n - k) for k in own])
    assert lower @ np.exp(log_e) < 1.0


def test_the_rate_is_covered_at_every_look() -> None:
    rng, runs, rate = np.random.default_rng(8), 300, 0.01
    events = rng.binomial(50, rate, (runs, 60)).cumsum(axis=1)
    missed = 0
    for run in events:
        found = [
            rate_bounds(count, 50 * (look + 1), near=0.003, alpha_lower=ALPHA, alpha_upper=ALPHA)
            for look, count in enumerate(run)
        ]
        missed += any(one.lower > rate or one.upper < rate for one in found)
    assert missed / runs <= 2 * ALPHA


def test_a_rate_without_trials_or_without_a_place_to_look() -> None:
    found = rate_bounds(0, 0, near=0.01, alpha_lower=ALPHA, alpha_upper=ALPHA)
    assert (found.lower, found.upper) == (0.0, math.inf)
    with pytest.raises(DataError, match="near is 0"):
        rate_bounds(1, 10, near=0, alpha_lower=ALPHA, alpha_upper=ALPHA)
