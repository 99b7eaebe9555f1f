"""Coverage for equally many units: exact on small cases, and no bias from traffic or from people who come again."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.errors import DataError
from rankloop.experiment import Incidence, expected_items, rarefied_difference, rarefy

FEW = [[1, 2], [9], [2]]
MANY = [[1, 2, 3], [2, 3], [4], [1, 5, 6, 7], [2]]
SHOWN = st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=1, max_size=5)


def incidence(units) -> Incidence:
    pairs = [(unit, item) for unit, items in enumerate(units) for item in items]
    unit, item = np.array(pairs).T
    return Incidence(unit, item, len(units))


def over_choices(units, n: int) -> float:
    """Distinct items in the mean over all choices of n units."""
    return float(np.mean([len(set().union(*chosen)) for chosen in combinations(units, n)]))


@given(SHOWN, st.data())
def test_it_is_the_mean_over_every_choice_of_units(units, data) -> None:
    n = data.draw(st.integers(0, len(units)))
    found = incidence(units)
    expected = pytest.approx(over_choices(units, n))
    assert rarefy(found, n)[0] == expected
    assert expected_items(np.bincount(found.item), found.units, n) == expected


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_its_variance_is_the_jackknifes_over_units(n: int) -> None:
    left_out = [MANY[:unit] + MANY[unit + 1 :] for unit in range(len(MANY))]
    values = np.array([over_choices(units, min(n, len(units))) for units in left_out])
    jackknife = (len(MANY) - 1) / len(MANY) * np.sum((values - values.mean()) ** 2)
    assert rarefy(incidence(MANY), n)[1] == pytest.approx(jackknife)


@pytest.mark.parametrize("turned", [False, True])
def test_the_arm_with_more_units_is_thinned_to_as_many_as_the_other(turned: bool) -> None:
    few, many = incidence(FEW), incidence(MANY)
    found = rarefied_difference(*((many, few) if turned else (few, many)))
    thinned = (over_choices(FEW, 3), over_choices(MANY, 3))
    assert (found.first, found.second) == pytest.approx(thinned[::-1] if turned else thinned)
    assert found.places == len(few.unit)
    assert found.variance == pytest.approx(rarefy(few, 3)[1] + rarefy(many, 3)[1])


def test_what_one_unit_saw_has_no_variance() -> None:
    assert rarefy(incidence([[3, 5]]), 1) == (2.0, 0.0)


def test_more_units_than_there_are_are_refused() -> None:
    with pytest.raises(DataError, match="6 of 5 units"):
        rarefy(incidence(MANY), 6)
    with pytest.raises(DataError, match="-1 of 5 units"):
        expected_items([1, 2], 5, -1)


def people(rng: np.random.Generator, units: int, popularity) -> Incidence:
    """Each of them saw ten items, some of them perhaps again."""
    shown = rng.choice(len(popularity), (units, 10), p=popularity / popularity.sum())
    unit, item = np.unique(np.stack([np.repeat(np.arange(units), 10), shown.ravel()]), axis=1)
    return Incidence(unit, item, units)


def test_an_arm_with_less_traffic_does_not_look_poorer() -> None:
    rng = np.random.default_rng(4)
    popularity = 1 / np.arange(1, 2001)
    z = []
    for _ in range(200):
        found = rarefied_difference(people(rng, 2_000, popularity), people(rng, 100, popularity))
        z.append((found.second - found.first) / found.variance**0.5)
    assert abs(np.mean(z)) < 3 / 200**0.5
    assert np.std(z) <= 1.1, "its variance is not below the true one"


def test_half_of_the_catalogue_missing_shows() -> None:
    rng = np.random.default_rng(4)
    found = rarefied_difference(people(rng, 4_000, np.ones(1000)), people(rng, 200, np.ones(500)))
    assert found.second < 0.65 * found.first
    assert (found.second - found.first) / found.variance**0.5 < -10
