"""Coverage at equal numbers of places: exact on small cases, unbiased under thinning."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.errors import DataError
from rankloop.experiment import rarefied_difference, rarefy


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.data())
def test_it_is_the_mean_over_every_way_to_thin_out(counts: list[int], data) -> None:
    shown = [item for item, count in enumerate(counts) for _ in range(count)]
    places = data.draw(st.integers(0, len(shown)))
    every = [len(set(kept)) for kept in combinations(shown, places)]
    assert rarefy(counts, places)[0] == pytest.approx(np.mean(every))


def test_as_many_places_as_were_shown_are_what_was_shown() -> None:
    assert rarefy([3, 0, 1, 7], 11)[0] == 3


def test_more_than_was_shown_is_refused() -> None:
    with pytest.raises(DataError, match="12 places of 11"):
        rarefy([3, 1, 7], 12)


def test_an_arm_with_less_traffic_does_not_look_poorer() -> None:
    rng = np.random.default_rng(4)
    popularity = 1 / np.arange(1, 2001)
    popularity /= popularity.sum()
    z = []
    for _ in range(200):
        found = rarefied_difference(rng.multinomial(40_000, popularity), rng.multinomial(2_000, popularity))
        z.append((found.second - found.first) / found.variance**0.5)
    assert abs(np.mean(z)) < 3 / 200**0.5
    assert np.std(z) <= 1.1, "its variance is not below the true one"


def test_half_of_the_catalogue_missing_shows() -> None:
    rng = np.random.default_rng(4)
    found = rarefied_difference(rng.multinomial(40_000, np.full(1000, 0.001)), rng.multinomial(2_000, np.full(500, 0.002)))
    assert found.second < 0.65 * found.first
    assert (found.second - found.first) / found.variance**0.5 < -10
