"""A mean kept while queries come agrees with the one computed at the end, and can be put away and gone on with."""

import math

import numpy as np
import pytest

from rankloop.errors import DataError
from rankloop.metrics import Distinct, RunningMean, bootstrap_mean, resample_weights


def test_the_interval_is_as_wide_as_the_one_computed_at_the_end() -> None:
    rng = np.random.default_rng(5)
    people = [f"u{n}" for n in rng.integers(0, 150, 1500)]
    liking = {person: rng.random() for person in set(people)}
    values = [liking[person] + 0.1 * rng.random() for person in people]
    running = RunningMean(resamples=1000)
    for value, person in zip(values, people, strict=True):
        running.add(value, person)
    found, expected = running.interval(units=150), bootstrap_mean(values, people, rng=1)
    assert found.mean == pytest.approx(expected.mean)
    assert found.queries == expected.queries
    assert found.upper - found.lower == pytest.approx(expected.upper - expected.lower, rel=0.15)


def test_the_order_in_which_queries_come_does_not_matter() -> None:
    rows = [(float(n % 7), f"u{n % 5}") for n in range(40)]
    one, other = RunningMean(), RunningMean()
    for row in rows:
        one.add(*row)
    for row in reversed(rows):
        other.add(*row)
    assert one.interval(units=5) == pytest.approx(other.interval(units=5))


def test_a_mean_that_was_put_away_goes_on() -> None:
    whole, first = RunningMean(), RunningMean()
    for n in range(20):
        whole.add(n, f"u{n}")
        if n < 10:
            first.add(n, f"u{n}")
    second = RunningMean(first.sums.tolist(), first.counts.tolist(), first.dropped)
    for n in range(10, 20):
        second.add(n, f"u{n}")
    assert second.interval(units=20) == whole.interval(units=20)


def test_what_is_not_known_is_nan() -> None:
    running = RunningMean()
    running.add(float("nan"), "ann")
    assert math.isnan(running.interval(units=1).mean)
    assert running.interval(units=1).dropped == 1
    running.add(0.5, "ann")
    found = running.interval(units=1)
    assert found.mean == 0.5
    assert math.isnan(found.lower)


def test_parts_of_two_means_do_not_fit() -> None:
    with pytest.raises(DataError, match="do not fit"):
        RunningMean([0.0, 1.0, 2.0], [1.0, 1.0])


def test_a_person_weighs_the_same_at_every_query() -> None:
    assert (resample_weights("ann", 200) == resample_weights("ann", 200)).all()
    drawn = np.stack([resample_weights(f"u{n}", 200) for n in range(400)])
    assert drawn.mean() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("people", [0, 3, 255])
def test_few_people_are_counted_exactly(people: int) -> None:
    seen = Distinct()
    for n in [*range(people), *range(people)]:
        seen.add(f"u{n}")
    assert seen.count == people


def test_many_people_are_counted_roughly_and_after_being_put_away() -> None:
    seen = Distinct()
    for n in range(5000):
        seen.add(f"u{n}")
    again = Distinct(seen.smallest)
    for n in range(20_000):
        again.add(f"u{n}")
    assert again.count == pytest.approx(20_000, rel=0.2)
