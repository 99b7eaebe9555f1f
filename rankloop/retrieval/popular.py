"""What most people act on lately."""

import copy
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from rankloop.contracts import GRADES, Tables
from rankloop.errors import ModelError, NotFitted
from rankloop.request import Request, microseconds
from rankloop.retrieval import _files
from rankloop.retrieval._counts import Counts, first_known
from rankloop.retrieval._events import check_weights, events, last_moment
from rankloop.retrieval.base import Candidates, Items, Retriever, Scores, pick, top
from rankloop.vocabulary import Vocabulary

__all__ = ["Popular"]


class Popular(Retriever):
    """Items by the weight of their outcomes, old ones counting less.

    Not a rate: an item shown to many is popular sooner, and the same for everybody. It is also the fallback where
    nothing else has an answer.

        score(i) = sum over outcomes on i of weight(kind) 2^(-age / half-life)

    Ages count to the end of the history; after `follow` to the last midnight (UTC) before the request.

    An item that was shown and never acted upon scores 0: that is evidence. An item that was neither shown nor acted
    upon is NaN: nothing is known of it.

    Args:
        half_life_days: after so many days an outcome counts half.
        weights: outcome kind to weight, at least 0; by default the grades.
        by_surface: count each surface by itself; a surface without outcomes uses all.

    Raises:
        ModelError: a half-life or a weight that cannot be.

    Example:
        >>> from rankloop.testing import known_request, known_world
        >>> world = known_world(days=5)
        >>> jobs = Vocabulary(world.items["item_id"])
        >>> model = Popular().fit(world, jobs, rng=np.random.default_rng(0))
        >>> len(model.retrieve(known_request(world, "logo-u0"), 10).items)
        10
    """

    name: ClassVar[str] = "popular"

    def __init__(self, *, half_life_days: float = 7.0, weights: Mapping[str, float] = GRADES, by_surface: bool = False) -> None:
        if not half_life_days > 0:
            raise ModelError(f"half_life_days is {half_life_days}; it is above 0, and infinite to forget nothing")
        self.half_life_days, self.weights, self.by_surface = half_life_days, check_weights(weights), by_surface
        self._set(np.empty((0, 0, 0), np.float32), np.empty((0, 0), bool), np.empty(0, np.int64), [])

    def fit(self, tables: Tables, catalogue: Vocabulary, *, rng: np.random.Generator) -> Self:
        """Counts; `rng` is not used."""
        log = events(tables, catalogue, self.weights)
        surfaces = sorted(log.surface.unique().drop_nulls()) if self.by_surface else []
        counts = Counts(log, first_known(tables, catalogue), surfaces, self.half_life_days)
        self._until = _moment(last_moment(tables))
        return self._set(*counts.at_end(), np.zeros(1, np.int64), surfaces)

    def follow(self, tables: Tables, catalogue: Vocabulary) -> Self:
        """Counts anew at every midnight since the fit."""
        self._row(None)
        log = events(tables, catalogue, self.weights)
        counts = Counts(log, first_known(tables, catalogue), self._surfaces, self.half_life_days)
        moments = counts.midnights(since=self._until)
        followed = copy.copy(self)
        if not len(moments):
            return followed
        scores, known = counts.at(moments)
        scores = np.concatenate([self._scores[:1], scores])
        known = np.concatenate([~np.isnan(self._scores[:1, 0]), known])
        return followed._set(scores, known, np.concatenate([[0], moments]), self._surfaces)

    def score(self, request: Request, items: Items | None = None) -> Scores:
        """The decayed weight of each item's outcomes; the request decides by its moment and at most its surface."""
        return pick(self._scores[self._row(request)], items)

    def retrieve(self, request: Request, k: int, *, allowed: npt.NDArray[np.bool_] | None = None) -> Candidates:
        """The first `k` allowed items of an order that is made once."""
        row = self._row(request)
        if row not in self._orders:
            self._orders[row] = top(self._scores[row], self._scores.shape[-1]).items
        order = self._orders[row]
        items = order[: max(k, 0)] if allowed is None else _first(order, allowed, max(k, 0))
        return Candidates(items, self._scores[row][items])

    def save(self, folder: Path) -> None:
        """Writes the scores; no pickle."""
        self._row(None)
        settings = {"half_life_days": self.half_life_days, "weights": self.weights, "by_surface": self.by_surface}
        known = ~np.isnan(self._scores[:, 0])
        scores = np.where(known[:, None], self._scores, np.float32(0))
        rest = settings | {"surfaces": self._surfaces, "until": self._until}
        _files.write(folder, rest, {"scores": scores, "known": known, "moments": self._moments})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        rest, arrays = _files.read(folder, ["scores", "known", "moments"])
        surfaces, until = rest.pop("surfaces"), rest.pop("until")
        scores, known, moments = arrays["scores"], arrays["known"], arrays["moments"]
        if scores.shape != (len(moments), len(surfaces) + 1, known.shape[-1]) or len(known) != len(moments):
            raise ModelError(f"{folder}: scores {scores.shape} do not fit {len(surfaces)} surfaces and their items")
        popular = cls(**rest)
        popular._until = until
        return popular._set(scores, known, moments, surfaces)

    def _set(self, scores: Scores, known: npt.NDArray[np.bool_], moments: npt.NDArray[np.int64], surfaces: list[str]) -> Self:
        self._scores = np.where(known[:, None], scores, np.float32(np.nan))  # (moments, 1 + surfaces, items)
        self._moments, self._surfaces = moments, surfaces
        self._orders: dict[tuple[int, int], Items] = {}
        return self

    def _row(self, request: Request | None) -> tuple[int, int]:
        """Which moment's counts, and which surface's; the first are those of the fit, and of all surfaces."""
        if not len(self._scores):
            raise NotFitted("this Popular was not fitted; call fit() or load()")
        if request is None:
            return 0, 0
        moment = 0
        if len(self._moments) > 1:
            moment = max(int(np.searchsorted(self._moments, microseconds(request.ts), side="right")) - 1, 0)
        return moment, 1 + self._surfaces.index(request.surface) if request.surface in self._surfaces else 0


def _first(order: Items, allowed: npt.NDArray[np.bool_], k: int) -> Items:
    """The first `k` allowed; most items are, so a part of the order is enough as a rule."""
    part = order[: 4 * k]
    found = part[allowed[part]]
    return (found if len(found) >= k else order[allowed[order]])[:k]


def _moment(ts: datetime | None) -> int:
    return 0 if ts is None else microseconds(ts)
