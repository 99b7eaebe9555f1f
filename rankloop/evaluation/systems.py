"""The systems a candidate is measured beside, and their measurement on one test window."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.contracts import UTC, Columns, Tables
from rankloop.evaluation.measure import CatalogueRun, Floats, on_catalogue, on_shown
from rankloop.examples import Lists, assembled
from rankloop.features import Assembler
from rankloop.gate import Measured
from rankloop.judgements import has_negatives
from rankloop.ranking import ByFeature, Judged, Ranker
from rankloop.recommender import Recommender
from rankloop.splits import Split, before
from rankloop.vocabulary import Vocabulary

__all__ = ["LOGGED", "POPULAR", "Test", "Window"]

POPULAR = "popular"
LOGGED = "logged order"


class Window(NamedTuple):
    """The test window's judged requests.

    Attributes:
        lists: every judged request, in order of time.
        sample: places in `lists` that are ranked over the full catalogue.
        shown: whether the lists hold what people passed over, so that an order of them can be judged.
        slices: dimension to `(requests,)` labels.
    """

    lists: Lists
    sample: npt.NDArray[np.int64]
    shown: bool
    slices: Mapping[str, npt.NDArray[np.object_]]

    @classmethod
    def of(cls, tables: Tables, split: Split, lists: Lists, *, most: int, rng: np.random.Generator) -> "Window":
        """Draws the sample and labels each request's slices.

        Args:
            tables: the contract tables.
            split: where the windows begin.
            lists: the judged requests of the test window.
            most: how many are ranked over the full catalogue.
            rng: draws the sample.
        """
        count = len(lists.requests)
        places = np.sort(rng.choice(count, min(most, count), replace=False))
        known = set(before(tables, split.test_from).outcomes[Columns.USER_ID].unique())
        slices = {
            "surface": [request.surface for request in lists.requests],
            "user": ["known" if request.user_id in known else "new" for request in lists.requests],
            "query": ["with query" if request.query else "without" for request in lists.requests],
        }
        labels = {name: np.array(column, object) for name, column in slices.items()}
        return cls(lists, places.astype(np.int64), has_negatives(tables), labels)

    def frame(self, catalogue: Vocabulary) -> pl.DataFrame:
        """The judged lists, one row a request, for whoever wants to measure something else on them."""
        requests, lists = self.lists.requests, self.lists
        return pl.DataFrame(
            {
                Columns.USER_ID: [request.user_id for request in requests],
                Columns.SURFACE: [request.surface for request in requests],
                Columns.TS: [request.ts for request in requests],
                Columns.QUERY: [request.query for request in requests],
                "item_ids": [catalogue.decode(items) for items in lists.items],
                "grades": [grades.tolist() for grades in lists.grades],
                "positions": [positions.tolist() for positions in lists.positions],
            },
            schema_overrides={Columns.TS: UTC, Columns.QUERY: pl.String},
        )

    def units(self) -> npt.NDArray[np.object_]:
        """Whose request each was, `(requests,)`."""
        return np.array([request.user_id for request in self.lists.requests], object)


@dataclass(frozen=True)
class Test:
    """Measures systems on one window; every measurement is over the same requests in the same order."""

    window: Window

    def run(self, name: str, system: Recommender, judged: Judged | None) -> tuple[Measured, CatalogueRun]:
        """A system that ranks: on the lists people were shown (`judged`), and over the full catalogue."""
        run = on_catalogue(self.sampled(), lambda request, k: system.recommend(request, k).items, system.rules)
        return self._measured(name, run, system.ranker, judged), run

    def run_popular(
        self, system: Recommender, judged: Judged | None, *, feature: str = "popular_score"
    ) -> tuple[Measured, CatalogueRun]:
        """The popular baseline: a retriever in the order of its own score, with a system's rules and judged lists."""
        popular = next(own for own in system.assembler.retrievers if f"{own.name}_score" == feature)
        rules = system.rules
        run = on_catalogue(
            self.sampled(), lambda request, k: popular.retrieve(request, k, allowed=rules.allowed(request)).items, rules
        )
        ranker = ByFeature(feature)
        ranker.names = system.assembler.names
        return self._measured(POPULAR, run, ranker, judged), run

    def logged(self) -> Measured | None:
        """The order people were shown, where the log holds one."""
        if not self.window.shown:
            return None
        lists = self.window.lists
        sizes = np.array([len(items) for items in lists.items], np.int64)
        scores = -np.concatenate(lists.positions).astype(np.float32)
        values = on_shown(scores, np.concatenate(lists.grades), sizes)
        return Measured(LOGGED, self.window.units(), values, self.window.slices)

    def sampled(self) -> Lists:
        """The requests that are ranked over the full catalogue."""
        return Lists(*([column[place] for place in self.window.sample] for column in self.window.lists))

    def judged(self, assembler: Assembler) -> Judged | None:
        """The shown lists with an assembler's features; None where the log holds only choices."""
        return assembled(self.window.lists, assembler) if self.window.shown else None

    def _measured(self, name: str, run: CatalogueRun, ranker: Ranker, judged: Judged | None) -> Measured:
        values = {metric: self._spread(array) for metric, array in run.values.items()}
        if judged is not None:
            values |= on_shown(ranker.score(judged.features), judged.grades, judged.sizes)
        return Measured(name, self.window.units(), values, self.window.slices, {"coverage": run.coverage, "gini": run.gini})

    def _spread(self, values: Floats) -> Floats:
        """Values of the sample over all requests, NaN where a request was not drawn."""
        spread = np.full(len(self.window.lists.requests), np.nan)
        spread[self.window.sample] = values
        return spread
