"""People of the marketplace who come one after the other, look at the lists they are given, and act."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any, Final, NamedTuple

import numpy as np

from rankloop.errors import DataError
from rankloop.request import Request
from rankloop.simulation.arrays import Floats, Ints, pick, strongest
from rankloop.simulation.clicks import KIND_NAMES
from rankloop.simulation.market import Marketplace
from rankloop.simulation.requests import draw_queries
from rankloop.simulation.scale import DAY
from rankloop.simulation.truth import Truth
from rankloop.simulation.world import rows

__all__ = ["Crowd", "Deed", "Visit"]

_ONCE: Final = "apply"
_AFTER_IT: Final = frozenset({"apply", "interview", "hire"})


class Visit(NamedTuple):
    """One person's question.

    Attributes:
        number: of the visit, from 0; it decides what chance does to the list.
        user_id: who comes.
        surface: `job_feed` or `job_search`.
        query: what they type; None on the feed.
    """

    number: int
    user_id: str
    surface: str
    query: str | None

    def body(self, k: int) -> dict[str, Any]:
        """The request as the service reads it: of `/v1/search` where there is a query, else of `/v1/recommend`."""
        asked = {"user_id": self.user_id, "k": k, "surface": self.surface}
        return asked if self.query is None else {**asked, "query": self.query}


class Deed(NamedTuple):
    """One thing a person does with a list.

    Attributes:
        after: how long after the list was shown, seconds of the marketplace's time.
        item_id: the job.
        kind: click, save, apply, interview, hire or dismiss.
        value: seconds on the page for a click, None otherwise.
    """

    after: float
    item_id: str
    kind: str
    value: float | None


class Crowd:
    """The people who made the log, come again: the same tastes, the same habits, the same chance at the same places.

    For them it is always the day after history: which jobs are open, what is in demand and what they like is as it was
    at the end of the log, whatever the clock says. So what they do with a list depends on the list alone, and two
    releases meet the same people. Only what they applied for is remembered: nobody applies for a job twice.

    Args:
        marketplace: whose people they are.
        rng: a seed, or a generator from which one is drawn; the n-th visit is the same whatever was answered before it.
        people: how many different ones come, those that come most being likeliest; None: all.
        applied: who applied for what in the log, (user id, item id).

    Raises:
        DataError: fewer than one person, or more than there are.

    Example:
        >>> from rankloop.simulation import Marketplace, Scale
        >>> market = Marketplace(Scale.tiny(), rng=1)
        >>> crowd = Crowd(market, rng=2)
        >>> visit = crowd.visits(1)[0]
        >>> visit.body(k=3)
        {'user_id': 'u0000029', 'k': 3, 'surface': 'job_search', 'query': 'Cinema 4D'}
        >>> deeds = crowd.react(visit, market.truth.best(crowd.request(visit), 10))
        >>> [deed.kind for deed in deeds]
        ['click', 'save']
    """

    def __init__(
        self,
        marketplace: Marketplace | Truth,
        *,
        rng: int | np.random.Generator,
        people: int | None = None,
        applied: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.truth = marketplace.truth if isinstance(marketplace, Marketplace) else marketplace
        self._seed = int(rng.integers(2**62)) if isinstance(rng, np.random.Generator) else int(rng)
        self._rng = np.random.default_rng([self._seed, 0])
        self._world = self.truth.world
        self._moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=self._world.end)
        self._people = self._who(people)
        self._applied = set(applied)
        self._visits = 0

    @property
    def people(self) -> list[str]:
        """The ids of those who may come."""
        found: list[str] = self._world.user_ids.gather(self._people).to_list()
        return found

    def visits(self, n: int) -> list[Visit]:
        """The next n people who come, each by how active they are."""
        return self._ask(self._people[pick(self._activity(), n, self._rng)])

    def visit(self, person: str) -> Visit:
        """One person's next question: a search as often as in the log, for what they like to do and can.

        Raises:
            DataError: the marketplace does not have this person.
        """
        return self._ask(rows([person], "u", len(self._world.people.created)))[0]

    def request(self, visit: Visit) -> Request:
        """The question as the library sees it, at the crowd's moment: the end of history."""
        return Request(visit.user_id, visit.surface, self._moment, visit.query)

    def react(self, visit: Visit, item_ids: Sequence[str]) -> list[Deed]:
        """What the person does with a list, in order of time.

        By the click model of the log: a look by the position alone, a click by true preference, what follows by theirs.
        The same visit and the same list give the same deeds, less applications made before.

        Raises:
            DataError: an item or a person that this marketplace does not have.
        """
        chance = np.random.default_rng([self._seed, 1, visit.number])
        done = self.truth.acts([self.request(visit)], [item_ids], rng=chance)
        again = {item for item in item_ids if (visit.user_id, item) in self._applied}
        deeds = []
        for place, ts, code, value in zip(*(column.tolist() for column in done[1:]), strict=True):
            item, kind = item_ids[place], KIND_NAMES[code]
            if kind in _AFTER_IT and item in again:
                continue
            if kind == _ONCE:
                self._applied.add((visit.user_id, item))
            deeds.append(Deed((ts - self._world.end) / 1e6, item, kind, None if isnan(value) else value))
        return deeds

    def _who(self, people: int | None) -> Ints:
        everybody = len(self._world.people.created)
        if people is None:
            return np.arange(everybody)
        if not 1 <= people <= everybody:
            raise DataError(f"people is {people}; this marketplace has {everybody:,}: give 1 to {everybody}, or all")
        weights = self._world.people.activity[None, :].astype(np.float32)
        return np.sort(strongest(weights, np.array([people]), self._rng)[0])

    def _activity(self) -> Floats:
        return self._world.people.activity[self._people]

    def _ask(self, user: Ints) -> list[Visit]:
        day = (self._world.end - self._world.start) // DAY
        searches = self._rng.random(len(user)) < self._world.search_share
        ts = np.full(len(user), self._world.end, np.int64)
        query = draw_queries(self._world, user[searches], ts[searches], day, self._rng)
        texts = iter(self._world.queries.text[query].tolist())
        names = self._world.user_ids.gather(user).to_list()
        first, self._visits = self._visits, self._visits + len(user)
        return [
            Visit(first + at, name, "job_search" if typed else "job_feed", str(next(texts)) if typed else None)
            for at, (name, typed) in enumerate(zip(names, searches.tolist(), strict=True))
        ]
