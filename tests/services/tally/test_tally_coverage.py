"""Distinct items for equally many people: Hurlbert's expectation, its variance, and no bias from people who come again."""

from itertools import combinations

import numpy as np
import pytest

from services.tally.coverage import Showings, compare


def showings(*units: list[int], first: int = 1) -> Showings:
    own = Showings()
    for unit, items in enumerate(units, first):
        own.add(unit, items)
    return own


def test_the_larger_slot_is_thinned_to_the_mean_over_all_choices_of_its_people() -> None:
    many = [[1, 2, 3], [2, 3], [4], [1, 5, 6, 7], [2]]
    found = compare(showings([1, 2], [9]), showings(*many, first=10))
    assert found.canary == 3
    assert found.stable == pytest.approx(np.mean([len(set(a) | set(b)) for a, b in combinations(many, 2)]))
    assert found.places == 3


def test_the_variance_is_the_jackknife_over_people_of_both_slots() -> None:
    few, many = [[1, 2], [9], [2]], [[1, 2, 3], [2, 3], [4], [1, 5, 6, 7], [2]]

    def choices(units):
        return np.mean([len(set().union(*chosen)) for chosen in combinations(units, len(few))])

    def left_out(units, statistic):
        values = np.array([statistic([*units[:n], *units[n + 1 :]]) for n in range(len(units))])
        return (len(units) - 1) / len(units) * np.sum((values - values.mean()) ** 2)

    expected = left_out(few, lambda units: len(set().union(*units))) + left_out(many, choices)
    assert compare(showings(*few), showings(*many, first=10)).variance == pytest.approx(expected)


def test_it_is_none_while_a_slot_has_shown_nothing() -> None:
    assert compare(showings(), showings([1])) is None
    assert compare(showings([1]), showings()) is None


def test_seeing_an_item_again_changes_nothing() -> None:
    once, often = showings([1, 2], [2]), showings([1, 2], [2])
    for _ in range(20):
        often.add(1, [2, 1])
    assert compare(often, showings([3], first=10)) == compare(once, showings([3], first=10))


def test_slots_that_rank_alike_do_not_differ_however_often_people_come_again() -> None:
    rng = np.random.default_rng(5)
    scores = []
    for _ in range(60):
        stable, canary, unit = Showings(), Showings(), 0
        for slot, people in ((stable, 190), (canary, 10)):
            for _ in range(people):
                unit += 1
                own = rng.zipf(1.4, size=12) % 3000
                for _ in range(rng.integers(1, 30)):  # nearly the same list each time
                    slot.add(unit, rng.choice(own, 10, replace=False).tolist())
        found = compare(canary, stable)
        scores.append((found.canary - found.stable) / np.sqrt(found.variance))
    assert abs(np.mean(scores)) < 3 / np.sqrt(len(scores))
    assert np.std(scores) < 1.3


def test_beyond_the_limit_half_the_people_count_and_all_of_what_they_saw() -> None:
    rng = np.random.default_rng(1)
    units = [int(unit) for unit in rng.integers(0, 2**64, 400, np.uint64)]
    small = Showings(limit=1000)
    for unit in units:
        small.add(unit, list(range(unit % 10, unit % 10 + 10)))
    kept = [unit for unit in units if unit >> (64 - small.bits) == 0]
    assert small.bits >= 2
    assert len(small.table) == 10 * len(kept) <= 1000
    assert set(small.table["unit"].tolist()) == set(kept)
