"""Everything that behaviour depends on, as arrays that can be saved and loaded."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rankloop.errors import DataError
from rankloop.simulation.arrays import Floats, Ints, load, save
from rankloop.simulation.jobs import Jobs, Trend
from rankloop.simulation.people import Clients, People
from rankloop.simulation.queries import Queries
from rankloop.simulation.vocabulary import lexicon

__all__ = ["Tastes", "World"]

_PARTS = ("people", "clients", "jobs", "queries", "trend", "tastes")



@dataclass(frozen=True)
class Tastes:
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
    list_length: int
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

    def save(self, folder: Path) -> None:
        """Writes one npz a part and `world.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _PARTS:
            save(getattr(self, name), folder / f"{name}.npz")
        np.savez(folder / "closed.npz", closed=self.closed)
        plain = {name: getattr(self, name) for name in ("start", "end", "list_length", "search_share")}
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
