"""The settings of one release."""

import pytest

from rankloop.errors import SettingsError
from rankloop.recipe import Recipe


def test_a_recipe_survives_the_trip_through_plain_data() -> None:
    recipe = Recipe(trials=3, policy={"resamples": 200})
    assert Recipe.from_mapping(recipe.to_mapping()) == recipe


def test_whole_numbers_that_travelled_as_floats_are_whole_again() -> None:
    recipe = Recipe.from_mapping({"trials": 3.0, "tuning_seconds": 60.0, "policy": {"min_users": 30.0, "tolerance": 0.5}})
    assert recipe == Recipe(trials=3, tuning_seconds=60.0, policy={"min_users": 30, "tolerance": 0.5})
    assert isinstance(recipe.trials, int)
    assert isinstance(recipe.policy["min_users"], int)


def test_an_unknown_field_is_named_beside_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"`trial`.*trials"):
        Recipe.from_mapping({"trial": 4})


@pytest.mark.parametrize("shares", [{"test": 0.0}, {"training": 0.9}, {"validation": -0.1}])
def test_shares_must_leave_some_history(shares: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="their sum below 1"):
        Recipe.from_mapping(shares)
