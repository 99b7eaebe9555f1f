"""The truth of a simulated marketplace: what a list is really worth, and what people would do with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.errors import DataError
from rankloop.request import Request, microseconds
from rankloop.simulation.arrays import Floats, Ints, take
from rankloop.simulation.clicks import draw_events, examination
from rankloop.simulation.recording import outcome_frame
from rankloop.simulation.requests import draw_demands
from rankloop.simulation.scale import DAY
from rankloop.simulation.tastes import Chances, chances, drivers, expected_grade
from rankloop.simulation.world import World, rows

__all__ = ["Acts", "Truth"]

_CHUNK: Final = 200_000


class _Pairs(NamedTuple):
    """Requests and their items laid flat, `(rows,)` each."""

    user: Ints
    item: Ints
    query: Ints
    ts: Ints
    searched: npt.NDArray[np.bool_]
    open: npt.NDArray[np.bool_]


class Acts(NamedTuple):
    """What people do with lists, in order of time, `(n,)` each.

    Attributes:
        list: which of the lists.
        place: which of its items, from 0.
        ts: microseconds since 1970.
        kind: place in `KIND_NAMES`.
        value: seconds on the page for a click, NaN otherwise.
    """

    list: Ints
    place: Ints
    ts: Ints
    kind: Ints
    value: Floats


@dataclass(frozen=True)
class Truth:
    """What the marketplace knows and no model may see.

    It is not a ranker: it exists to measure rankers, offline as an oracle and live by its answers.

    Example:
        >>> from rankloop.simulation import Marketplace, Scale
        >>> truth = Marketplace(Scale.tiny(), rng=1).truth
        >>> request = truth.live_requests(1, rng=2)[0]
        >>> best = truth.best(request, 3)
        >>> worth = truth.utility(request, best)
        >>> bool((worth[:-1] >= worth[1:]).all())
        True
    """

    world: World

    def utility(self, request: Request, item_ids: Sequence[str]) -> Floats:
        """Expected grade of each item for this request, given that it is shown and examined, `(len(item_ids),)`.

        The grade is the contract's (click 1, save 2, apply 3, interview 4, hire 5; the highest outcome counts; nothing is 0).
        The competition of others for the same job is left out. A job that is not open at `request.ts` is worth 0.

        Raises:
            DataError: a user, item or query that this marketplace does not have.
        """
        return self.utilities([request], [item_ids])[0]

    def utilities(self, requests: Sequence[Request], item_ids: Sequence[Sequence[str]]) -> list[Floats]:
        """`utility` of many requests, each with its own items."""
        pairs = self._pairs(requests, item_ids)
        flat = [np.where(part.open, expected_grade(_chances(self.world, part)), 0) for part in _chunks(pairs)]
        worth = np.concatenate([np.zeros(0, np.float32), *flat]).astype(np.float32)
        return _split(worth, item_ids)

    def click_chances(self, requests: Sequence[Request], item_ids: Sequence[Sequence[str]]) -> list[Floats]:
        """Probability that each item is clicked once shown and examined; a job that is not open is never clicked."""
        pairs = self._pairs(requests, item_ids)
        flat = [np.where(part.open, _chances(self.world, part).click, 0) for part in _chunks(pairs)]
        return _split(np.concatenate([np.zeros(0, np.float32), *flat]).astype(np.float32), item_ids)

    def values(self, requests: Sequence[Request], item_ids: Sequence[Sequence[str]]) -> npt.NDArray[np.float64]:
        """Expected sum of grades of each ranked list as people would really look at it, `(requests,)`.

        V = sum over positions k of P(examined at k) * utility of the item at k
        """
        worth = self.utilities(requests, item_ids)
        looks = (examination(request.surface, len(own)) for request, own in zip(requests, item_ids, strict=True))
        return np.array([float((own * look).sum(dtype=np.float64)) for own, look in zip(worth, looks, strict=True)])

    def best(self, request: Request, k: int) -> list[str]:
        """The k open jobs of the highest utility, best first, ties by the earlier job."""
        ts = microseconds(request.ts)
        there = np.flatnonzero((self.world.jobs.created < ts) & (ts < self.world.closed))
        ids = self.world.item_ids.gather(there).to_list()
        order = np.argsort(-self.utility(request, ids), kind="stable")[:k]
        return [ids[at] for at in order.tolist()]

    def answer(
        self, request: Request, item_ids: Sequence[str], *, rng: int | np.random.Generator, request_id: str | None = None
    ) -> pl.DataFrame:
        """What the person does with a ranked list, as outcomes in contract columns, in order of time.

        Drawn by the same click model as the history. Nothing is remembered: the marketplace does not change.

        Args:
            request: who asked, when and for what.
            item_ids: the list, best first.
            rng: the only source of randomness.
            request_id: written into the outcomes, where there is one.
        """
        return self.answers([request], [item_ids], rng=rng, request_ids=[request_id])

    def answers(
        self,
        requests: Sequence[Request],
        item_ids: Sequence[Sequence[str]],
        *,
        rng: int | np.random.Generator,
        request_ids: Sequence[str | None] | None = None,
    ) -> pl.DataFrame:
        """`answer` to many lists at once."""
        done = self.acts(requests, item_ids, rng=rng)
        sizes = np.array([len(own) for own in item_ids], np.int64)
        users = pl.Series([request.user_id for request in requests], dtype=pl.String)
        items = pl.Series([item for own in item_ids for item in own], dtype=pl.String)
        names = pl.Series(request_ids if request_ids is not None else [None] * len(requests), dtype=pl.String)
        row = np.cumsum(sizes)[done.list] - sizes[done.list] + done.place  # in the lists laid flat
        return outcome_frame(done.ts, users.gather(done.list), items.gather(row), names.gather(done.list), done.kind, done.value)

    def acts(self, requests: Sequence[Request], item_ids: Sequence[Sequence[str]], *, rng: int | np.random.Generator) -> Acts:
        """`answers` as bare arrays: for a few lists at a time, where a frame takes longer than what is in it."""
        pairs = self._pairs(requests, item_ids)
        given = _chances(self.world, pairs)
        looks = [examination(request.surface, len(own)) for request, own in zip(requests, item_ids, strict=True)]
        examined = np.where(pairs.open, np.concatenate([np.zeros(0, np.float32), *looks]), 0)
        sizes = np.array([len(own) for own in item_ids], np.int64)
        place = np.arange(len(examined)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        events = draw_events(given, examined, place + 1, pairs.ts, np.random.default_rng(rng))
        order = np.lexsort((events.kind, events.row, events.ts))
        row = events.row[order]
        which = np.repeat(np.arange(len(requests)), sizes)
        return Acts(which[row], place[row], events.ts[order], events.kind[order], events.value[order])

    def live_requests(self, n: int, *, rng: int | np.random.Generator) -> list[Request]:
        """n requests of the day after history, in order of time, drawn as those of history were."""
        day = (self.world.end - self.world.start) // DAY
        demands = draw_demands(self.world, day, n, np.random.default_rng(rng))
        users = self.world.user_ids.gather(demands.user).to_list()
        texts = [str(self.world.queries.text[row]) if row >= 0 else None for row in demands.query.tolist()]
        times = pl.Series(demands.ts).cast(pl.Datetime("us", "UTC")).to_list()
        return [
            Request(user, "job_search" if text is not None else "job_feed", ts, text)
            for user, text, ts in zip(users, texts, times, strict=True)
        ]

    def save(self, folder: str | Path) -> None:
        """Writes the truth as npz and JSON, for another process to load."""
        self.world.save(Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Reads what `save` wrote."""
        return cls(World.load(Path(folder)))

    @cached_property
    def _query_rows(self) -> dict[str, int]:
        return {text: row for row, text in enumerate(self.world.queries.text.tolist())}

    def _query_row(self, request: Request) -> int:
        if request.query is None:
            return -1
        row = self._query_rows.get(request.query, -1)
        if row < 0:
            raise DataError(f"query {request.query!r}: nobody types this here, so what it means is not known; see Queries.text")
        return row

    def _pairs(self, requests: Sequence[Request], item_ids: Sequence[Sequence[str]]) -> _Pairs:
        for request in requests:
            if request.surface not in ("job_feed", "job_search"):
                raise DataError(f"surface {request.surface!r}: this marketplace has only 'job_feed' and 'job_search'")
        sizes = [len(own) for own in item_ids]
        user = np.repeat(rows([request.user_id for request in requests], "u", len(self.world.people.created)), sizes)
        item = rows([item for own in item_ids for item in own], "j", len(self.world.jobs.created))
        ts = np.repeat(np.array([microseconds(request.ts) for request in requests], np.int64), sizes)
        query = np.repeat(np.array([self._query_row(request) for request in requests], np.int64), sizes)
        there = (self.world.jobs.created[item] <= ts) & (ts < self.world.closed[item])
        searched = np.repeat(np.array([request.surface == "job_search" for request in requests], np.bool_), sizes)
        return _Pairs(user, item, query, ts, searched, there)


def _chances(world: World, pairs: _Pairs) -> Chances:
    return chances(drivers(world, pairs.user, pairs.item, pairs.query, pairs.ts), pairs.searched)


def _chunks(pairs: _Pairs) -> Iterator[_Pairs]:
    for start in range(0, len(pairs.user), _CHUNK):
        yield take(pairs, np.arange(start, min(start + _CHUNK, len(pairs.user))))


def _split(flat: Floats, lists: Sequence[Sequence[str]]) -> list[Floats]:
    ends = np.cumsum([len(own) for own in lists])
    return np.split(flat, ends[:-1]) if len(lists) else []
