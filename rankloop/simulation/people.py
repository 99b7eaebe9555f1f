"""Freelancers and clients: what their profile shows, and what only their behaviour shows."""

from typing import NamedTuple

import numpy as np

from rankloop.simulation.arrays import Floats, Ints, grid, pick, strongest
from rankloop.simulation.vocabulary import Lexicon

__all__ = ["DIMENSIONS", "Clients", "People", "draw_clients", "draw_people", "topic_vectors"]

DIMENSIONS = 6
"""Length of the latent taste vectors."""

_MOST_SKILLS = 12


class People(NamedTuple):
    """Freelancers, one row each; a user's id is its row.

    Attributes:
        created: microseconds since 1970, `(n,)`.
        category, topic: main field of work, `(n,)`; not recorded anywhere.
        skills: places of the listed skills in the order listed, -1 behind the last, `(n, 12)`.
        country: place of the country, `(n,)`.
        rate: hourly rate in US dollars, `(n,)`.
        experience: years, `(n,)`.
        latent: taste vector that no column shows, `(n, 6)`.
        taste: liking of each category, 0 for the main one and below for others, `(n, categories)`.
        talent: what clients notice in an application and no column shows, `(n,)`.
        activity: how often the person comes, relative to the others, `(n,)`.
    """

    created: Ints
    category: Ints
    topic: Ints
    skills: Ints
    country: Ints
    rate: Floats
    experience: Floats
    latent: Floats
    taste: Floats
    talent: Floats
    activity: Floats


class Clients(NamedTuple):
    """Who posts jobs, one row each; an owner's id is its row.

    Attributes:
        category: main field of the posted jobs, `(n,)`.
        country: place of the country, `(n,)`.
        quality: how good it is to work for, standard normal, `(n,)`.
        generosity: factor on the hourly offer, `(n,)`.
        latent: style of the jobs, `(n, 6)`.
        activity: how often the client posts, `(n,)`.
    """

    category: Ints
    country: Ints
    quality: Floats
    generosity: Floats
    latent: Floats
    activity: Floats


def topic_vectors(lexicon: Lexicon, rng: np.random.Generator) -> Floats:
    """The latent vector of each topic, `(topics, 6)`."""
    return grid(rng.normal(size=(len(lexicon.topics), DIMENSIONS)))


def draw_people(lexicon: Lexicon, created: Ints, topics: Floats, rng: np.random.Generator) -> People:
    """Freelancers who register at the times `created`, `(n,)`; `topics` are the latent vectors of the topics."""
    n = len(created)
    category = pick([c.share for c in lexicon.categories], n, rng)
    topic = _topic_within(lexicon, category, rng)
    country = pick([c.freelancers for c in lexicon.countries], n, rng)
    experience = np.clip(np.rint(rng.gamma(2.0, 3.0, n) * 2) / 2, 0.5, 30).astype(np.float32)
    counts = rng.integers(5, _MOST_SKILLS + 1, n)
    drawn = strongest(_profile_weights(lexicon)[topic], counts, rng)
    skills = np.full((n, _MOST_SKILLS), -1, np.int64)
    skills[:, : drawn.shape[1]] = drawn
    usual = np.array([c.rate for c in lexicon.categories])[category]
    level = np.array([c.rate_level for c in lexicon.countries])[country]
    rate = usual * level * np.exp(0.22 * (np.log(experience) - 1.5) + rng.normal(0, 0.25, n))
    return People(
        created=created,
        category=category,
        topic=topic,
        skills=skills,
        country=country,
        rate=np.maximum(np.rint(rate), 3).astype(np.float32),
        experience=experience,
        latent=grid(0.4 * topics[topic] + 0.9 * rng.normal(size=(n, DIMENSIONS))),
        taste=_category_taste(lexicon, category, rng),
        talent=grid(0.5 * (np.log(experience) - 1.5) + 0.85 * rng.normal(size=n)),
        activity=rng.gamma(0.9, 1.0, n).astype(np.float32) + np.float32(0.05),
    )


def draw_clients(lexicon: Lexicon, n: int, rng: np.random.Generator) -> Clients:
    """`n` clients; a few of them post most of the jobs."""
    return Clients(
        category=pick([c.share for c in lexicon.categories], n, rng),
        country=pick([c.clients for c in lexicon.countries], n, rng),
        quality=grid(rng.normal(size=n)),
        generosity=np.exp(rng.normal(0, 0.25, n)).astype(np.float32),
        latent=grid(rng.normal(size=(n, DIMENSIONS))),
        activity=(rng.pareto(1.6, n) + 0.3).clip(max=12).astype(np.float32),
    )


def _topic_within(lexicon: Lexicon, category: Ints, rng: np.random.Generator) -> Ints:
    counts = np.array([len(c.topics) for c in lexicon.categories])
    first = np.array([c.topics[0] for c in lexicon.categories])
    topic: Ints = first[category] + (rng.random(len(category)) * counts[category]).astype(np.int64)
    return topic


def _profile_weights(lexicon: Lexicon) -> Floats:
    """How likely a skill stands in the profile of somebody whose main topic is the row, `(topics, skills)`."""
    weights = np.zeros((len(lexicon.topics), len(lexicon.skills)), np.float32)
    for row, topic in enumerate(lexicon.topics):
        own = lexicon.categories[topic.category]
        for near in own.neighbours:
            weights[row, list(lexicon.categories[near].core)] = 0.12
        for other in own.topics:
            weights[row, list(lexicon.topics[other].skills)] = 0.7
        weights[row, list(own.companion)] = 0.9
        weights[row, list(own.core)] = 2.0
        weights[row, list(topic.skills)] = 3.5
    return weights


def _category_taste(lexicon: Lexicon, category: Ints, rng: np.random.Generator) -> Floats:
    mean = np.full((len(lexicon.categories), len(lexicon.categories)), -1.8)
    for row, own in enumerate(lexicon.categories):
        mean[row, list(own.neighbours)] = -0.8
        mean[row, row] = 0.0
    return grid(mean[category] + rng.normal(0, 0.4, (len(category), len(lexicon.categories))))
