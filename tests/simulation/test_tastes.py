"""The drivers, the steps, and the expected grade."""

import math
from itertools import product

import numpy as np
import pytest

from rankloop.contracts import GRADES
from rankloop.simulation import Marketplace, Scale
from rankloop.simulation.tastes import STEPS, Chances, Drivers, chances, drivers, expected_grade
from rankloop.simulation.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return Marketplace(Scale.tiny(), rng=2).truth.world


def one(**given: float) -> Drivers:
    return Drivers(*(np.array([given.get(name, 0.0)], np.float32) for name in Drivers._fields))


def by_hand(c: float, s: float, a0: float, a1: float, i: float, h: float) -> float:
    """The mean over every course that things can take."""
    total = 0.0
    for saved, applied, interviewed, hired in product((0, 1), repeat=4):
        a = a1 if saved else a0
        weight = math.prod([p if yes else 1 - p for yes, p in ((saved, s), (applied, a), (interviewed, i), (hired, h))])
        reached = ["click"] + ["save"] * saved + ["apply"] * applied
        reached += ["interview"] * (applied & interviewed) + ["hire"] * (applied & interviewed & hired)
        total += weight * max(GRADES[kind] for kind in reached)
    return c * total


@pytest.mark.parametrize("given", [(0.3, 0.2, 0.1, 0.4, 0.5, 0.6), (1, 1, 1, 1, 1, 1), (0, 1, 1, 1, 1, 1), (1, 0, 0, 0, 0, 0)])
def test_the_expected_grade_is_the_mean_over_every_course_of_things(given: tuple[float, ...]) -> None:
    c, s, a0, a1, i, h = (np.array([p], np.float32) for p in given)
    found = expected_grade(Chances(c, s, a0, a1, i, h, np.zeros(1, np.float32)))
    assert found == pytest.approx(by_hand(*given), rel=1e-5)


@pytest.mark.parametrize("driver", ["skill", "liking", "bond", "pay", "quality", "appeal"])
def test_whatever_people_like_raises_the_expected_grade(driver: str) -> None:
    for searched in (np.array([True]), np.array([False])):
        low, high = (expected_grade(chances(one(**{driver: value}), searched)) for value in (0.0, 0.5))
        assert high[0] > low[0]


def test_relevance_matters_on_search_alone() -> None:
    plain, relevant = one(), one(relevance=1.0)
    assert chances(relevant, np.array([True])).click > chances(plain, np.array([True])).click
    assert chances(relevant, np.array([False])).click == chances(plain, np.array([False])).click


def test_steps_have_different_drivers() -> None:
    click, apply, hire = STEPS["click on the feed"], STEPS["apply, once clicked"], STEPS["hire, once interviewed"]
    assert (click.appeal > 0, apply.appeal, hire.appeal) == (True, 0, 0)
    assert (click.lowball, apply.lowball > 0, hire.lowball) == (0, True, 0)
    assert (click.experience, apply.experience, hire.experience > 0) == (0, 0, True)


def test_skill_is_the_weighted_share_of_asked_skills_that_are_listed(world: World) -> None:
    user, item = np.array([3, 4]), np.array([5, 6])
    of = drivers(world, user, item, np.array([-1, -1]), np.array([world.start, world.start]))
    for row in range(2):
        asked = [s for s in world.jobs.skills[item[row]].tolist() if s >= 0]
        listed = set(world.people.skills[user[row]].tolist())
        worth = [2, 2, 1, 1, 1, 1][: len(asked)]
        expected = sum(w for w, s in zip(worth, asked, strict=True) if s in listed) / sum(worth)
        assert of.skill[row] == pytest.approx(expected)


def test_the_circle_of_hours_has_no_edge(world: World) -> None:
    everybody = np.arange(len(world.people.created))
    of = drivers(world, everybody, np.zeros_like(everybody), np.full_like(everybody, -1), np.full_like(everybody, world.start))
    assert of.near.min() >= 0
    assert of.near.max() <= 1.25


def test_the_relevance_of_a_query_for_a_job_with_all_it_means_is_one(world: World) -> None:
    job = next(j for j, topic in enumerate(world.jobs.topic) if (world.queries.topic == topic).any())
    only_topic = (world.queries.topic == world.jobs.topic[job]) & (world.queries.skills < 0).all(axis=1)
    query = int(np.flatnonzero(only_topic)[0])
    of = drivers(world, np.array([0]), np.array([job]), np.array([query]), np.array([world.start]))
    assert of.relevance == pytest.approx(1.0)


def test_a_dot_product_of_latent_vectors_has_the_same_bytes_in_any_order(world: World) -> None:
    u, j = world.people.latent[:50], world.jobs.latent[:50]
    forward = (u * j).sum(axis=1)
    backward = (u[:, ::-1] * j[:, ::-1]).sum(axis=1)
    assert forward.tobytes() == backward.tobytes() == np.einsum("nd,nd->n", u, j).tobytes()
