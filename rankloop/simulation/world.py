"""Everything that behaviour depends on, as arrays that can be saved and loaded."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.errors import DataError
from rankloop.simulation.arrays import Floats, Ints, load, save
from rankloop.simulation.jobs import Jobs, Trend
from rankloop.simulation.people import Clients, People
from rankloop.simulation.queries import Queries
from rankloop.simulation.vocabulary import lexicon

__all__ = ["Tastes", "World", "identifiers", "rows"]

_PARTS = ("people", "clients", "jobs", "queries", "trend", "tastes")


class Tastes(NamedTuple):
    """What each person likes, era by era; a new era begins where a fault shifts tastes.

    Attributes:
        since: when each era begins, microseconds since 1970, `(eras,)`.
        latent: `(eras, people, 6)`.
        taste: `(eras, people, categories)`.
    """

    since: Ints
    latent: Floats
    taste: Floats

    def era(self, ts: Ints) -> Ints:
        """The era of each moment, `(n,)`."""
        return np.maximum(np.searchsorted(self.since, ts, side="right") - 1, 0).astype(np.int64)


@dataclass(frozen=True)
class World:
    """People, clients, jobs, queries, demand and tastes of one marketplace.

    Attributes:
        closed: when each job really closed, microseconds since 1970, `(jobs,)`.
        start, end: the span of history, microseconds since 1970.
    """

    people: People
    clients: Clients
    jobs: Jobs
    queries: Queries
    trend: Trend
    tastes: Tastes
    closed: Ints
    start: int
    end: int
    search_share: float

    @cached_property
    def listed(self) -> npt.NDArray[np.bool_]:
        """Whether a person lists a skill, `(people, skills + 1)`; the last column stands for no skill."""
        known = np.zeros((len(self.people.created), len(lexicon().skills) + 1), np.bool_)
        known[np.arange(len(known))[:, None], self.people.skills] = True
        known[:, -1] = False
        return known

    @cached_property
    def offsets(self) -> Floats:
        """UTC offset of each country in hours, `(countries,)`."""
        return np.array([country.utc_offset for country in lexicon().countries], np.float32)

    @cached_property
    def item_ids(self) -> pl.Series:
        """The ids of all jobs, by row."""
        return identifiers("j", len(self.jobs.created))

    @cached_property
    def user_ids(self) -> pl.Series:
        """The ids of all people, by row."""
        return identifiers("u", len(self.people.created))

    def save(self, folder: Path) -> None:
        """Writes one npz a part and `world.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _PARTS:
            save(getattr(self, name), folder / f"{name}.npz")
        np.savez(folder / "closed.npz", closed=self.closed)
        plain = {name: getattr(self, name) for name in ("start", "end", "search_share")}
        (folder / "world.json").write_text(json.dumps(plain, indent=2), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> "World":
        """Reads what `save` wrote."""
        if not (folder / "world.json").is_file():
            raise DataError(f"{folder / 'world.json'} is missing; a saved truth is a folder written by Truth.save")
        with np.load(folder / "closed.npz", allow_pickle=False) as stored:
            closed = stored["closed"]
        plain = json.loads((folder / "world.json").read_text("utf-8"))
        return cls(
            people=load(People, folder / "people.npz"),
            clients=load(Clients, folder / "clients.npz"),
            jobs=load(Jobs, folder / "jobs.npz"),
            queries=load(Queries, folder / "queries.npz"),
            trend=load(Trend, folder / "trend.npz"),
            tastes=load(Tastes, folder / "tastes.npz"),
            closed=closed,
            **plain,
        )


def identifiers(prefix: str, n: int) -> pl.Series:
    """The ids of n rows.

    Example:
        >>> identifiers("j", 2).to_list()
        ['j0000000', 'j0000001']
    """
    return pl.Series([f"{prefix}{row:07d}" for row in range(n)], dtype=pl.String)


def rows(ids: Sequence[str], prefix: str, n: int) -> Ints:
    """The rows of ids, `(len(ids),)`.

    Raises:
        DataError: an id was not given out by this marketplace.
    """
    numbers = np.array([int(i[1:]) if i[:1] == prefix and i[1:].isdigit() else -1 for i in ids], np.int64)
    strange = np.flatnonzero((numbers < 0) | (numbers >= n))
    if len(strange):
        what = f"{prefix}0000000 to {prefix}{n - 1:07d}"
        raise DataError(f"{ids[strange[0]]!r} is unknown to this marketplace; its ids of this kind are {what}")
    return numbers
