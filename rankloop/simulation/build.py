"""Draws a world: everything that does not depend on behaviour."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rankloop.simulation.arrays import Floats, Ints, concatenate, grid, take
from rankloop.simulation.faults import CategoryVanishes, Fault, TastesShift
from rankloop.simulation.jobs import Jobs, Trend, draw_jobs, draw_trend
from rankloop.simulation.people import Clients, People, draw_clients, draw_people, topic_vectors
from rankloop.simulation.queries import draw_queries
from rankloop.simulation.scale import DAY, Scale
from rankloop.simulation.streams import Streams
from rankloop.simulation.text import headlines, postings
from rankloop.simulation.vocabulary import Lexicon, lexicon
from rankloop.simulation.world import Tastes, World

__all__ = ["Drawn", "Texts", "build"]


class Texts(NamedTuple):
    """What people read: titles and descriptions of jobs, headlines of freelancers."""

    titles: list[str]
    descriptions: list[str]
    headlines: list[str]


class Drawn(NamedTuple):
    """A world before anybody acted in it, and its texts."""

    world: World
    texts: Texts


def build(scale: Scale, streams: Streams, faults: Sequence[Fault]) -> Drawn:
    """Draws people, clients, jobs and queries for the whole span; each day has its own streams."""
    words, rng = lexicon(), streams.at("world")
    topics, trend = topic_vectors(words, rng), draw_trend(words, rng)
    clients = draw_clients(words, scale.clients, rng)
    people, heads = _people(scale, streams, words, topics)
    jobs, titles, descriptions = _jobs(scale, streams, words, clients, topics, trend, faults)
    pool = 400 + scale.items_per_day * 40
    world = World(
        people=people,
        clients=clients,
        jobs=jobs,
        queries=draw_queries(words, min(pool, 8_000), streams.at("queries")),
        trend=trend,
        tastes=_tastes(scale, streams, people, faults),
        closed=jobs.expires.copy(),
        start=scale.start_us,
        end=scale.end_us,
        search_share=scale.search_share,
    )
    return Drawn(world, Texts(titles, descriptions, heads))


def _people(scale: Scale, streams: Streams, words: Lexicon, topics: Floats) -> tuple[People, list[str]]:
    parts, heads = [], []
    for day in range(-1, scale.days):
        rng = streams.at("people", day + 1)
        if day < 0:
            created = scale.start_us - (rng.random(scale.users) * 400 * DAY).astype(np.int64) - 1
        else:
            created = scale.start_us + day * DAY + (rng.random(scale.users_per_day) * DAY).astype(np.int64)
        part = draw_people(words, np.sort(created), topics, rng)
        parts.append(part)
        heads.extend(headlines(words, part, rng))
    return concatenate(parts), heads


def _jobs(
    scale: Scale,
    streams: Streams,
    words: Lexicon,
    clients: Clients,
    topics: Floats,
    trend: Trend,
    faults: Sequence[Fault],
) -> tuple[Jobs, list[str], list[str]]:
    parts: list[Jobs] = []
    titles: list[str] = []
    descriptions: list[str] = []
    for day, posted in enumerate([scale.items, *scale.posts_by_day().tolist()], start=-1):
        rng = streams.at("jobs", day + 1)
        part = draw_jobs(words, clients, topics, _posted_at(scale, day, posted, rng), trend.at(max(day, 0)), rng)
        if day < 0:  # those open at the start: a job's remaining time is its own, as if it had been posted inside its span
            part.expires[:] = np.maximum(part.expires, scale.start_us + (rng.random(posted) * 10 * DAY).astype(np.int64))
        part = _without(part, _vanished(words, faults, day))
        own_titles, own_descriptions = postings(words, part, clients, rng)
        parts.append(part)
        titles.extend(own_titles)
        descriptions.extend(own_descriptions)
    return concatenate(parts), titles, descriptions


def _posted_at(scale: Scale, day: int, posted: int, rng: np.random.Generator) -> Ints:
    """Sorted times of posting: before history over two weeks, on a day of history around 15:00 UTC."""
    if day < 0:
        return np.sort(scale.start_us - (rng.random(posted) * 14 * DAY).astype(np.int64) - 1)
    hours = np.clip(rng.normal(15, 4, posted), 0, 23.99)
    return np.sort(scale.start_us + day * DAY + (hours * DAY / 24).astype(np.int64))


def _vanished(words: Lexicon, faults: Sequence[Fault], day: int) -> list[int]:
    names = {fault.category for fault in faults if isinstance(fault, CategoryVanishes) and day >= fault.from_day}
    return [at for at, category in enumerate(words.categories) if category.name in names]


def _without(jobs: Jobs, categories: list[int]) -> Jobs:
    keep = ~np.isin(jobs.category, categories)
    return take(jobs, keep)


def _tastes(scale: Scale, streams: Streams, people: People, faults: Sequence[Fault]) -> Tastes:
    since, latent, taste = [np.iinfo(np.int64).min], [people.latent], [people.taste]
    shifts = sorted((f for f in faults if isinstance(f, TastesShift)), key=lambda f: f.from_day)
    for fault in shifts:
        other = streams.at("shift", fault.from_day).permutation(len(people.created))
        since.append(scale.start_us + fault.from_day * DAY)
        latent.append(grid((1 - fault.share) * latent[-1] + fault.share * latent[-1][other]))
        taste.append(grid((1 - fault.share) * taste[-1] + fault.share * taste[-1][other]))
    return Tastes(np.array(since, np.int64), np.stack(latent), np.stack(taste))
