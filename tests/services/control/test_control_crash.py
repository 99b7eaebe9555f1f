"""A control plane killed with SIGKILL, wherever it is, leaves nothing half done: the next one ends where it would have."""

import random
from collections.abc import Iterator

import pytest

from benchmarks.controls.crashing import Killed, carried_through, fresh
from benchmarks.controls.plant import Plant, plant
from benchmarks.load.child import short_folder

BECAUSE_OF_KILLS = {f"{when} corrected" for when in ("before", "within", "after")}
"""Transitions that only a kill leads to: an edge is put right."""


@pytest.fixture(scope="module")
def shared_plant() -> Iterator[Plant]:
    with short_folder() as home, plant(home) as made:
        yield made


@pytest.fixture(scope="module")
def undisturbed(shared_plant: Plant) -> tuple[Killed, set[str]]:
    names: set[str] = set()

    def noted(_: int, name: str) -> bool:
        names.add(name)
        return False

    made = shared_plant.reset(fresh(shared_plant.home, 0))
    return carried_through(made, noted), names


def test_an_undisturbed_story_promotes_once_rolls_back_once_and_leaves_the_edge_as_recorded(
    undisturbed: tuple[Killed, set[str]],
) -> None:
    story, _ = undisturbed
    kinds = [kind for kind, _ in story.ended.events]
    once = ("canary.promoted", "canary.rolled_back", "rollback.wanted", "slots.emptied")
    assert {kind: kinds.count(kind) for kind in once} == dict.fromkeys(once, 1)
    assert story.at == ()
    desired = story.ended.desired
    assert story.ended.edge == (desired["stable"], desired["canary_bp"], desired["interleave_bp"]) == ("blue", 0, 0)
    assert story.ended.slots == {"blue": "r-first"}


def test_a_kill_at_each_transition_in_turn_changes_nothing_of_the_end(
    shared_plant: Plant, undisturbed: tuple[Killed, set[str]]
) -> None:
    story, names = undisturbed
    left = set(names)

    def kill(_: int, name: str) -> bool:
        if name not in left:
            return False
        left.discard(name)
        return True

    killed = carried_through(shared_plant.reset(fresh(shared_plant.home, 1)), kill)
    assert set(killed.at) >= names - BECAUSE_OF_KILLS
    assert killed.ended == story.ended


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))  # `python -m benchmarks control` kills a hundred times
def test_five_kills_anywhere_change_nothing_of_the_end(
    shared_plant: Plant, undisturbed: tuple[Killed, set[str]], seed: int
) -> None:
    story, _ = undisturbed
    at = set(random.Random(seed).sample(range(story.passed), 5))
    killed = carried_through(shared_plant.reset(fresh(shared_plant.home, 2 + seed)), lambda passed, _: passed in at)
    assert len(killed.at) == sum(number < killed.passed for number in at) >= 3  # a story takes some looks more or fewer
    assert killed.ended == story.ended
