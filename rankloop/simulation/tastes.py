"""How likely each step of the funnel is for a person, a job and a query: the truth of the marketplace.

Every step is a logistic model of the same few drivers, with other weights:

    P(step) = 1 / (1 + exp(-(base + sum over drivers of weight * driver)))
"""

from dataclasses import dataclass, fields
from typing import Final, NamedTuple

import numpy as np

from rankloop.contracts import GRADES
from rankloop.simulation.arrays import Floats, Ints
from rankloop.simulation.world import World

__all__ = ["STEPS", "Chances", "Drivers", "Weights", "chances", "drivers", "expected_grade"]

_SKILL_WEIGHTS: Final = np.array([2, 2, 1, 1, 1, 1], np.float32)


class Drivers(NamedTuple):
    """What decides, one float32 array `(n,)` each, for n pairs of a person and a job.

    Attributes:
        skill: share of the asked skills that the person lists, the first two counting double, in [0, 1].
        liking: the person's taste for the job's category; 0 for the main one, about -0.8 for neighbours, -1.8 for others.
        bond: dot product of the two latent vectors, about standard normal; no column shows it.
        pay: log(offer / rate), clipped to [-2, 2]; positive where the job pays more than the person asks.
        lowball: min(pay, 0).
        near: 1 - (circular difference of UTC offsets) / 12, plus 1/4 in the same country.
        quality: how good the client is to work for, standard normal.
        appeal: how inviting the job's text is, standard normal.
        relevance: how well the job answers the query, in [0, 1]; 0 without a query.
        talent: what a client sees in the application, about standard normal.
        experience: log(years) - 1.5.
    """

    skill: Floats
    liking: Floats
    bond: Floats
    pay: Floats
    lowball: Floats
    near: Floats
    quality: Floats
    appeal: Floats
    relevance: Floats
    talent: Floats
    experience: Floats


@dataclass(frozen=True)
class Weights:
    """The base and the weight of each driver in one step; a driver not named has no part in it."""

    base: float
    skill: float = 0.0
    liking: float = 0.0
    bond: float = 0.0
    pay: float = 0.0
    lowball: float = 0.0
    near: float = 0.0
    quality: float = 0.0
    appeal: float = 0.0
    relevance: float = 0.0
    talent: float = 0.0
    experience: float = 0.0


STEPS: Final[dict[str, Weights]] = {
    "click on the feed": Weights(-2.3, skill=3.0, liking=1.3, bond=0.85, pay=0.7, quality=0.3, appeal=0.7),
    "click on search": Weights(-3.65, skill=2.0, liking=0.6, bond=0.7, pay=0.6, quality=0.3, appeal=0.7, relevance=4.0),
    "save, once clicked": Weights(-2.0, skill=0.8, bond=0.5, pay=0.5, quality=0.3),
    "apply, once clicked": Weights(-3.2, skill=2.4, bond=0.5, lowball=1.6, near=1.0, quality=0.5),
    "apply, once saved": Weights(-2.2, skill=2.4, bond=0.5, lowball=1.6, near=1.0, quality=0.5),
    "interview, once applied": Weights(-1.9, skill=1.6, lowball=0.8, talent=0.6, experience=0.5, near=0.3),
    "hire, once interviewed": Weights(-0.9, pay=0.4, talent=0.6, experience=0.5, quality=0.5),
    "dismiss, once passed over": Weights(-4.4, skill=-0.8, liking=-0.6, appeal=-0.3),
}
"""The weights of every step: the whole truth of the marketplace in one table."""


class Chances(NamedTuple):
    """Probability of each step, given that the job was shown and examined and the steps before it, `(n,)` float32."""

    click: Floats
    save: Floats
    apply: Floats
    apply_saved: Floats
    interview: Floats
    hire: Floats
    dismiss: Floats


def drivers(world: World, user: Ints, item: Ints, query: Ints, ts: Ints) -> Drivers:
    """The drivers of n pairs.

    Args:
        world: whose people, jobs and queries the rows name.
        user, item: rows, `(n,)`.
        query: rows in `world.queries`, -1 without a query, `(n,)`.
        ts: the moment, microseconds since 1970, `(n,)`; tastes may change over time.
    """
    people, jobs, era = world.people, world.jobs, world.tastes.era(ts)
    owner = jobs.owner[item]
    pay = np.clip(np.log(jobs.offer[item] / people.rate[user]), -2, 2)
    gap = np.abs(world.offsets[people.country[user]] - world.offsets[world.clients.country[owner]])
    same = people.country[user] == world.clients.country[owner]
    bond = (world.tastes.latent[era, user] * jobs.latent[item]).sum(axis=1)  # exact: see arrays.grid
    return Drivers(
        skill=_skill(world, user, item),
        liking=world.tastes.taste[era, user, jobs.category[item]],
        bond=bond / np.float32(2.45),
        pay=pay,
        lowball=np.minimum(pay, 0),
        near=1 - np.minimum(gap, 24 - gap) / 12 + np.where(same, np.float32(0.25), np.float32(0)),
        quality=world.clients.quality[owner],
        appeal=jobs.appeal[item],
        relevance=_relevance(world, query, item),
        talent=people.talent[user],
        experience=np.log(people.experience[user]) - np.float32(1.5),
    )


def chances(of: Drivers, searched: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Chances:
    """Probabilities of every step; `searched` says where the request carried a query, `(n,)`."""
    feed, search = _step(of, "click on the feed"), _step(of, "click on search")
    return Chances(
        click=np.where(searched, search, feed),
        save=_step(of, "save, once clicked"),
        apply=_step(of, "apply, once clicked"),
        apply_saved=_step(of, "apply, once saved"),
        interview=_step(of, "interview, once applied"),
        hire=_step(of, "hire, once interviewed"),
        dismiss=_step(of, "dismiss, once passed over"),
    )


def expected_grade(given: Chances) -> Floats:
    """The mean judgement of a job that is shown and examined, `(n,)`: the highest grade among its outcomes.

        E = c (s [a1 A + (1 - a1) g_save] + (1 - s) [a0 A + (1 - a0) g_click])
        A = g_apply + i (g_interview - g_apply + h (g_hire - g_interview))

    c click, s save, a0 and a1 apply without and after a save, i interview, h hire; g the grades of the contract.
    """
    applied = GRADES["apply"] + given.interview * (
        GRADES["interview"] - GRADES["apply"] + given.hire * (GRADES["hire"] - GRADES["interview"])
    )
    saved = given.apply_saved * applied + (1 - given.apply_saved) * GRADES["save"]
    unsaved = given.apply * applied + (1 - given.apply) * GRADES["click"]
    return (given.click * (given.save * saved + (1 - given.save) * unsaved)).astype(np.float32)


def _step(of: Drivers, name: str) -> Floats:
    weights = STEPS[name]
    logit = np.full(len(of.skill), weights.base, np.float32)
    for driver in fields(weights)[1:]:
        weight = getattr(weights, driver.name)
        if weight:
            logit += np.float32(weight) * getattr(of, driver.name)
    return (1 / (1 + np.exp(-logit))).astype(np.float32)


def _skill(world: World, user: Ints, item: Ints) -> Floats:
    asked = world.jobs.skills[item]  # (n, 6)
    worth = np.where(asked >= 0, _SKILL_WEIGHTS, np.float32(0))
    held = world.listed[user[:, None], asked]
    share: Floats = (worth * held).sum(axis=1) / worth.sum(axis=1)
    return share


def _relevance(world: World, query: Ints, item: Ints) -> Floats:
    """Share of what the query means that the job has: each skill and the topic count 1, the category 1/2."""
    if not len(world.queries.category):
        return np.zeros(len(query), np.float32)
    meant, asked = world.queries.skills[query], world.jobs.skills[item]  # (n, 2), (n, 6)
    topic = world.queries.topic[query]
    skills = ((meant[:, :, None] == asked[:, None, :]).any(axis=2) & (meant >= 0)).sum(axis=1)
    right_topic = (topic >= 0) & (topic == world.jobs.topic[item])
    right_category = world.queries.category[query] == world.jobs.category[item]
    whole = (meant >= 0).sum(axis=1) + (topic >= 0) + 0.5
    share = (skills + right_topic + 0.5 * right_category) / whole
    return np.where(query >= 0, share, 0).astype(np.float32)
