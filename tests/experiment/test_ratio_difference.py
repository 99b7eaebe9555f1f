"""Differences of ratios by unit: the delta method's variance, phases as strata."""

import math

import numpy as np
import pytest

from rankloop.canary import Ratio
from rankloop.experiment.ratio import mean, ratio_difference, spread, unit_effect, variance


def people(rng: np.random.Generator, units: int, rate: float = 0.1, spread_: float = 0.5, lists: float = 3.0) -> Ratio:
    """Units with lists of their own number and a rate of their own."""
    y = 1 + rng.poisson(lists, units)
    own = np.clip(rate * np.exp(rng.normal(-(spread_**2) / 2, spread_, units)), 0, 1)
    x = rng.binomial(y, own)
    return Ratio(units=units, x=float(x.sum()), y=float(y.sum()), xx=float(x @ x), yy=float(y @ y), xy=float(x @ y))


def test_the_variance_is_that_of_repeated_draws() -> None:
    rng = np.random.default_rng(1)
    drawn = [people(rng, 500) for _ in range(600)]
    assert np.mean([variance(one) for one in drawn]) == pytest.approx(np.var([mean(one) for one in drawn]), rel=0.15)
    assert np.mean([unit_effect(one) for one in drawn]) > 1.05, "lists of one person are alike"


def test_equal_arms_differ_by_as_much_as_their_variance_says() -> None:
    rng = np.random.default_rng(2)
    z = []
    for _ in range(500):
        found = ratio_difference([(people(rng, 9_900), people(rng, 100)), (people(rng, 2_000), people(rng, 2_000))])
        z.append(found.relative / found.variance**0.5)
    assert abs(np.mean(z)) < 0.15
    assert 0.85 < np.std(z) < 1.1


def test_a_change_of_the_share_makes_no_difference_where_there_is_none() -> None:
    rng = np.random.default_rng(3)
    night = (people(rng, 90_000, rate=0.05), people(rng, 1_000, rate=0.05))
    day = (people(rng, 50_000, rate=0.15), people(rng, 50_000, rate=0.15))
    found = ratio_difference([night, day])
    pooled = sum(two.x for _, two in (night, day)) / sum(two.y for _, two in (night, day))
    pooled /= sum(one.x for one, _ in (night, day)) / sum(one.y for one, _ in (night, day))
    assert pooled > 1.5, "added up, the canary seems better by half"
    assert abs(found.relative) < 3 * found.variance**0.5


def test_a_handful_that_did_nothing_is_not_sure_of_it() -> None:
    rng = np.random.default_rng(4)
    silent = Ratio(units=20, x=0.0, y=60.0, xx=0.0, yy=200.0, xy=0.0)
    found = ratio_difference([(people(rng, 10_000, rate=0.02), silent)])
    assert found.relative == -1.0
    assert found.variance**0.5 > 0.5


def test_it_says_nothing_where_there_is_nothing() -> None:
    none = Ratio()
    assert ratio_difference([(none, none)]) is None
    assert math.isinf(variance(Ratio(units=1, x=1.0, y=1.0, xx=1.0, yy=1.0, xy=1.0)))
    assert math.isnan(mean(none))
    assert math.isnan(spread(none))
    assert unit_effect(none) == 1.0
    zero = ratio_difference([(Ratio(units=2, y=2.0, yy=2.0), Ratio(units=2, x=1.0, y=2.0, xx=1.0, yy=2.0, xy=1.0))])
    assert math.isnan(zero.relative)
    assert math.isinf(zero.variance)
