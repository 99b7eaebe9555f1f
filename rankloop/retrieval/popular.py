"""What most people act on lately."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from rankloop.contracts import GRADES, Columns, Tables
from rankloop.errors import ModelError, NotFitted
from rankloop.request import Request
from rankloop.retrieval import _files
from rankloop.retrieval._events import check_weights, events
from rankloop.retrieval.base import Candidates, Items, Retriever, Scores, pick, top
from rankloop.vocabulary import UNKNOWN, Vocabulary

__all__ = ["Popular"]


class Popular(Retriever):
    """Items by the weight of their outcomes, old ones counting less.

    Not a rate: an item shown to many is popular sooner, and the same for everybody. It is also the fallback where
    nothing else has an answer.

        score(i) = sum over outcomes on i of weight(kind) 2^(-age / half-life)

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
        self._set(np.empty((0, 0), np.float32), np.empty(0, bool), [])

    def fit(self, tables: Tables, catalogue: Vocabulary, *, rng: np.random.Generator) -> Self:
        """Counts; `rng` is not used."""
        log = events(tables, catalogue, self.weights)
        worth = log.weight * np.exp2(-log.age / self.half_life_days)
        surfaces = sorted(log.surface.unique().drop_nulls()) if self.by_surface else []
        of_surface = [(log.surface == surface).fill_null(False).to_numpy() for surface in surfaces]
        rows = [np.bincount(log.item[own], worth[own], len(catalogue)) for own in (np.ones(len(worth), bool), *of_surface)]
        shown = catalogue.encode(tables.impressions[Columns.ITEM_ID].unique())
        known = np.bincount(log.item, minlength=len(catalogue)) > 0
        known[shown[shown != UNKNOWN]] = True
        self._set(np.array(rows, np.float32), known, surfaces)
        return self

    def score(self, request: Request, items: Items | None = None) -> Scores:
        """The decayed weight of each item's outcomes; the request decides at most by its surface."""
        return pick(self._scores[self._row(request)], items)

    def retrieve(self, request: Request, k: int, *, allowed: npt.NDArray[np.bool_] | None = None) -> Candidates:
        """The first `k` allowed items of an order that is made once."""
        row = self._row(request)
        order = self._order[row]
        items = (order if allowed is None else order[allowed[order]])[: max(k, 0)]
        return Candidates(items, self._scores[row, items])

    def save(self, folder: Path) -> None:
        """Writes the scores; no pickle."""
        self._row(None)
        settings = {"half_life_days": self.half_life_days, "weights": self.weights, "by_surface": self.by_surface}
        known = ~np.isnan(self._scores[0])
        scores = np.where(known, self._scores, np.float32(0))
        _files.write(folder, settings | {"surfaces": self._surfaces}, {"scores": scores, "known": known})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        rest, arrays = _files.read(folder, ["scores", "known"])
        surfaces = rest.pop("surfaces")
        if arrays["scores"].shape != (len(surfaces) + 1, len(arrays["known"])):
            raise ModelError(f"{folder}: scores {arrays['scores'].shape} do not fit {len(surfaces)} surfaces and their items")
        popular = cls(**rest)
        popular._set(arrays["scores"], arrays["known"], surfaces)
        return popular

    def _set(self, scores: Scores, known: npt.NDArray[np.bool_], surfaces: list[str]) -> None:
        self._scores = np.where(known, scores, np.float32(np.nan))  # (1 + surfaces, items); the first row is all surfaces
        self._order = [top(row, len(row)).items for row in self._scores]
        self._surfaces = surfaces

    def _row(self, request: Request | None) -> int:
        if not len(self._scores):
            raise NotFitted("this Popular was not fitted; call fit() or load()")
        if request is None or request.surface not in self._surfaces:
            return 0
        return 1 + self._surfaces.index(request.surface)
