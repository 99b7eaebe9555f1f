"""Bootstrap intervals: known means, pairing, and coverage on known distributions."""

import numpy as np
import pytest

from rankloop.errors import DataError
from rankloop.metrics import Interval, UndefinedMetric, bootstrap_difference, bootstrap_mean


def test_the_mean_is_over_queries_not_over_units():
    found = bootstrap_mean([1, 1, 1, 0], ["ann", "ann", "ann", "bo"], rng=0)
    assert (found.mean, found.queries, found.units) == (3 / 4, 4, 2)


def test_queries_without_a_value_are_dropped_and_counted():
    found = bootstrap_mean([1, np.nan, 0], ["ann", "bo", "cy"], rng=0)
    assert (found.mean, found.queries, found.units, found.dropped) == (1 / 2, 2, 2, 1)


def test_nothing_to_average_is_nan_with_a_warning():
    with pytest.warns(UndefinedMetric, match="none of 2 queries"):
        found = bootstrap_mean([np.nan, np.nan], ["ann", "bo"], rng=0)
    assert np.isnan(found[:3]).all()
    assert found[3:] == (0, 0, 2)


def test_one_unit_has_a_mean_and_no_interval():
    found = bootstrap_mean([1, 0], ["ann", "ann"], rng=0)
    assert found.mean == 1 / 2
    assert np.isnan([found.lower, found.upper]).all()


def test_the_same_seed_gives_the_same_interval_whatever_the_order_of_queries():
    values, units = np.random.default_rng(0).random(50).round(2), np.arange(50) // 3
    order = np.random.default_rng(1).permutation(50)
    once, again = bootstrap_mean(values, units, rng=7), bootstrap_mean(values[order], units[order], rng=7)
    assert once == pytest.approx(again)


def test_many_units_are_resampled_in_parts():
    values = np.random.default_rng(0).random(30_000)
    found = bootstrap_mean(values, np.arange(30_000), rng=0, resamples=300)
    half_width = 1.96 * values.std() / np.sqrt(len(values))
    assert (found.upper - found.lower) / 2 == pytest.approx(half_width, rel=0.15)


@pytest.mark.parametrize("queries_each", [1, 6])
def test_95_of_100_intervals_cover_the_true_mean_when_one_users_queries_are_alike(queries_each):
    rng = np.random.default_rng(3)
    covered = []
    for _ in range(400):
        users = np.repeat(rng.exponential(1.0, 80), queries_each)
        values = users + rng.normal(0, 0.1, len(users))
        found = bootstrap_mean(values, np.repeat(np.arange(80), queries_each), rng=rng, resamples=400)
        covered.append(found.lower <= 1.0 <= found.upper)
    # the binomial standard error of 400 trials is 1.1 %; a skewed mean of 80 loses another 1-2 %
    assert 0.90 <= np.mean(covered) <= 0.98


def test_taking_one_users_queries_as_independent_would_be_too_narrow():
    rng = np.random.default_rng(4)
    users = np.repeat(rng.normal(0, 1, 40), 25)
    clustered = bootstrap_mean(users, np.repeat(np.arange(40), 25), rng=1)
    pretended = bootstrap_mean(users, np.arange(1000), rng=1)
    assert clustered.upper - clustered.lower > 3 * (pretended.upper - pretended.lower)


def test_a_paired_difference_is_narrow_where_queries_are_hard_for_both():
    rng = np.random.default_rng(5)
    hardness = rng.random(200)
    found = bootstrap_difference(hardness + 0.01, hardness, np.arange(200), rng=1)
    assert (found.lower, found.mean, found.upper) == pytest.approx((0.01, 0.01, 0.01))


def test_a_query_that_is_undefined_for_one_is_left_out_for_both():
    found = bootstrap_difference([1, 5, np.nan], [0, np.nan, 7], ["ann", "bo", "cy"], rng=0)
    assert (found.mean, found.queries, found.dropped) == (1, 1, 2)


def test_an_interval_is_a_named_tuple_whose_last_field_has_a_default():
    assert Interval(0.5, 0.4, 0.6, 10, 5).dropped == 0


@pytest.mark.parametrize(
    ("values", "units", "options", "named"),
    [
        ([1.0], ["a", "b"], {}, "2 units"),
        ([1.0], ["a"], {"level": 95}, "level is 95"),
        ([1.0], ["a"], {"resamples": 0}, "resamples is 0"),
    ],
)
def test_a_call_that_cannot_be_right_says_why(values, units, options, named):
    with pytest.raises(DataError, match=named):
        bootstrap_mean(values, units, rng=0, **options)


def test_differences_need_the_same_queries():
    with pytest.raises(DataError, match="same queries"):
        bootstrap_difference([1.0], [1.0, 2.0], ["a"], rng=0)
