"""Jobs: what clients post, and how the demand for skills moves."""

from typing import NamedTuple

import numpy as np

from rankloop.simulation.arrays import Floats, Ints, grid, pick, strongest
from rankloop.simulation.people import DIMENSIONS, Clients
from rankloop.simulation.scale import DAY
from rankloop.simulation.vocabulary import Lexicon

__all__ = ["Jobs", "Trend", "draw_jobs", "draw_trend"]

_MOST_SKILLS = 6


class Jobs(NamedTuple):
    """Posted jobs, one row each, in the order of `created`; an item's id is its row.

    Attributes:
        created: microseconds since 1970, `(n,)`.
        expires: when the job closes if nobody is hired before, `(n,)`.
        owner: row of the client, `(n,)`.
        category, topic: `(n,)`; the topic is recorded only in the words of the title and description.
        skills: places of the asked skills, the most important first, -1 behind the last, `(n, 6)`.
        offer: what the budget pays an hour, US dollars; not recorded, `(n,)`.
        budget: US dollars, `(n,)`.
        duration: days of work, `(n,)`.
        openings: how many people are hired before the job closes, `(n,)`.
        appeal: how inviting title and description are, standard normal, `(n,)`.
        latent: what kind of people like it, `(n, 6)`.
    """

    created: Ints
    expires: Ints
    owner: Ints
    category: Ints
    topic: Ints
    skills: Ints
    offer: Floats
    budget: Floats
    duration: Floats
    openings: Ints
    appeal: Floats
    latent: Floats


class Trend(NamedTuple):
    """The demand for each skill over time: `exp(growth d/100 + swing sin(2 pi (d/period + phase)))`, `d` in days."""

    growth: Floats
    swing: Floats
    period: Floats
    phase: Floats

    def at(self, day: int) -> Floats:
        """The factor on each skill's demand, `(skills,)`; 1 is the long-run mean of a skill that does not move."""
        wave = np.sin(2 * np.pi * (day / self.period + self.phase))
        factor: Floats = np.exp(self.growth * np.float32(day / 100) + self.swing * wave).astype(np.float32)
        return factor


def draw_trend(lexicon: Lexicon, rng: np.random.Generator) -> Trend:
    """Some skills rise, some fall, most swing a little."""
    n = len(lexicon.skills)
    return Trend(
        growth=(rng.normal(0, 0.5, n) + np.where(rng.random(n) < 0.06, 2.0, 0.0)).astype(np.float32),
        swing=rng.uniform(0, 0.6, n).astype(np.float32),
        period=rng.uniform(40, 200, n).astype(np.float32),
        phase=rng.random(n).astype(np.float32),
    )


def draw_jobs(
    lexicon: Lexicon, clients: Clients, topics: Floats, created: Ints, demand: Floats, rng: np.random.Generator
) -> Jobs:
    """Jobs posted at the times `created`; `demand` is the trend's factor on each skill, `(skills,)`."""
    n = len(created)
    owner = pick(clients.activity, n, rng)
    category = _category(lexicon, clients.category[owner], rng)
    topic = _topic(lexicon, category, demand, rng)
    skills = np.full((n, _MOST_SKILLS), -1, np.int64)
    drawn = strongest(_ask_weights(lexicon)[topic] * demand, rng.integers(3, _MOST_SKILLS + 1, n), rng)
    skills[:, : drawn.shape[1]] = drawn
    level = np.array([c.rate_level for c in lexicon.countries])[clients.country[owner]] ** 0.6
    usual = np.array([c.rate for c in lexicon.categories])[category]
    offer = usual * level * clients.generosity[owner] * np.exp(rng.normal(-0.1, 0.3, n))
    duration = np.clip(np.rint(np.exp(rng.normal(np.log(14), 0.9, n))), 1, 180)
    budget = offer * duration * np.exp(rng.normal(np.log(3.5), 0.3, n))
    digits = 10.0 ** (np.floor(np.log10(budget)) - 1)
    own = rng.normal(size=(n, DIMENSIONS))
    return Jobs(
        created=created,
        expires=created + (rng.gamma(6.0, 14 / 6, n).clip(3, 40) * DAY).astype(np.int64),
        owner=owner,
        category=category,
        topic=topic,
        skills=skills,
        offer=offer.astype(np.float32),
        budget=(np.rint(budget / digits) * digits).astype(np.float32),
        duration=duration.astype(np.float32),
        openings=pick([0.0, 75, 18, 7], n, rng),
        appeal=grid(0.35 * clients.quality[owner] + 0.94 * rng.normal(size=n)),
        latent=grid(0.75 * topics[topic] + 0.6 * clients.latent[owner] + 0.28 * own),
    )


def _category(lexicon: Lexicon, main: Ints, rng: np.random.Generator) -> Ints:
    """A client mostly posts in the main field, sometimes in a neighbour of it."""
    near = np.array([[*c.neighbours, *c.neighbours][:3] for c in lexicon.categories])
    other = near[main, rng.integers(0, near.shape[1], len(main))]
    return np.where(rng.random(len(main)) < 0.85, main, other).astype(np.int64)


def _topic(lexicon: Lexicon, category: Ints, demand: Floats, rng: np.random.Generator) -> Ints:
    """A topic of the category; topics whose skills are in demand are posted more."""
    pull = np.array([demand[list(topic.skills)].mean() for topic in lexicon.topics], np.float32)
    member = np.array([[topic.category == c for topic in lexicon.topics] for c in range(len(lexicon.categories))])
    return strongest((member * pull)[category].astype(np.float32), np.ones(len(category), np.int64), rng)[:, 0]


def _ask_weights(lexicon: Lexicon) -> Floats:
    """How likely a job of the topic in the row asks for each skill, `(topics, skills)`."""
    weights = np.zeros((len(lexicon.topics), len(lexicon.skills)), np.float32)
    for row, topic in enumerate(lexicon.topics):
        own = lexicon.categories[topic.category]
        for near in own.neighbours:
            weights[row, list(lexicon.categories[near].companion)] = 0.05
        weights[row, list(own.companion)] = 0.5
        weights[row, list(own.core)] = 1.3
        weights[row, list(topic.skills)] = 3.5
    return weights
