"""Who comes, when, and what they type."""

from typing import Final, NamedTuple

import numpy as np

from rankloop.simulation.arrays import Floats, Ints, pick
from rankloop.simulation.scale import DAY
from rankloop.simulation.vocabulary import lexicon
from rankloop.simulation.world import World

__all__ = ["Demands", "draw_demands", "draw_queries"]

_HOUR: Final = DAY // 24
_CANDIDATES: Final = 3


class Demands(NamedTuple):
    """Requests in order of time.

    Attributes:
        user: row of the person, `(n,)`.
        ts: microseconds since 1970, `(n,)`.
        query: row in the queries, -1 on the feed, `(n,)`.
    """

    user: Ints
    ts: Ints
    query: Ints


def draw_demands(world: World, day: int, n: int, rng: np.random.Generator) -> Demands:
    """The requests of one day, 0 the first of history.

    People come by their activity, around 10:30 and 20:00 of their own time, and not before they registered.
    """
    people, midnight = world.people, world.start + day * DAY
    here = people.created < midnight + DAY - _HOUR
    user = pick(people.activity * here, n, rng)
    evening = rng.random(n) < 0.35
    local = np.where(evening, rng.normal(20.0, 2.0, n), rng.normal(10.5, 2.5, n))
    utc = (local - world.offsets[people.country[user]]) % 24
    first = people.created[user] + (rng.random(n) * _HOUR).astype(np.int64)
    ts = np.maximum(midnight + (utc * _HOUR).astype(np.int64), first)
    searches = rng.random(n) < world.search_share
    query = np.full(n, -1, np.int64)
    query[searches] = draw_queries(world, user[searches], ts[searches], day, rng)
    order = np.argsort(ts, kind="stable")
    return Demands(user[order], ts[order], query[order])


def draw_queries(world: World, user: Ints, ts: Ints, day: int, rng: np.random.Generator) -> Ints:
    """What people type on one day, rows in `world.queries`, `(n,)`.

    A category by taste, three texts of it by how often they are typed, and of these the one nearest to the person's skills.
    """
    taste = world.tastes.taste[world.tastes.era(ts), user].astype(np.float64)
    odds = np.cumsum(np.exp(1.6 * taste), axis=1)
    category = (rng.random(len(user))[:, None] * odds[:, -1:] > odds).sum(axis=1)
    weight = world.queries.weight * _demand(world, day)
    drawn = np.zeros((len(user), _CANDIDATES), np.int64)
    for field in range(odds.shape[1]):
        wants, typed = np.flatnonzero(category == field), np.flatnonzero(world.queries.category == field)
        drawn[wants] = typed[pick(weight[typed], len(wants) * _CANDIDATES, rng)].reshape(-1, _CANDIDATES)
    known = world.listed[user[:, None, None], world.queries.skills[drawn]].sum(axis=2)  # (n, candidates)
    best = (known + rng.random(known.shape)).argmax(axis=1)
    chosen: Ints = drawn[np.arange(len(user)), best]
    return chosen


def _demand(world: World, day: int) -> Floats:
    """The trend's factor on each query: the mean over the skills it means, or over those of its topic."""
    factor = np.append(world.trend.at(day), np.float32(0))
    by_topic = np.array([factor[list(topic.skills)].mean() for topic in lexicon().topics], np.float32)
    skills = world.queries.skills
    meant = (skills >= 0).sum(axis=1)
    mean = factor[skills].sum(axis=1) / np.maximum(meant, 1)
    topical = np.where(world.queries.topic >= 0, by_topic[world.queries.topic], np.float32(1))
    return np.where(meant > 0, mean, topical).astype(np.float32)
