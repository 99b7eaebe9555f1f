"""A champion measured on today's data: its weights and its recipe, over tables it never saw."""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from rankloop.bundle.bundle import Bundle
from rankloop.contracts import Columns, Tables
from rankloop.features import Assembler, FeatureStore, compute
from rankloop.recommender import Recommender
from rankloop.request import Request
from rankloop.retrieval import Blend, Retriever
from rankloop.rules import Rules
from rankloop.vocabulary import UNKNOWN, Vocabulary

__all__ = ["transplant"]


def transplant(bundle: Bundle, tables: Tables, catalogue: Vocabulary) -> Recommender:
    """The bundle's models on today's catalogue and point-in-time features.

    In service a release's features are refreshed while its weights stay, and so they do here: the views are the
    bundle's own SQL, computed over `tables`; the retrievers say NaN for items that came after them.

    Args:
        bundle: the champion.
        tables: today's contract tables, the whole history.
        catalogue: today's items.
    """
    views = bundle.parts.store.views
    store = FeatureStore(views, compute(views, tables))
    known = bundle.parts.retrievers.values()
    retrievers = [Recoded(own.follow(tables, bundle.catalogue), bundle.catalogue, catalogue) for own in known]
    items = tables.items.filter(tables.items[Columns.ITEM_ID].is_in(list(catalogue.terms)))
    assembler = Assembler(store, items, tables.users, catalogue, retrievers)
    rules = Rules.from_tables(tables, catalogue)
    return Recommender(Blend(retrievers), rules, assembler, bundle.parts.ranker, bundle.parts.depth)


class Recoded(Retriever):
    """A fitted retriever answering in another catalogue's codes; it cannot be fitted or saved itself."""

    name: ClassVar[str] = "recoded"

    def __init__(self, own: Retriever, theirs: Vocabulary, ours: Vocabulary) -> None:
        self.name, self.reads_query = own.name, own.reads_query  # type: ignore[misc]  # it speaks for the one it wraps
        self._own = own
        self._codes = theirs.encode(list(ours.terms))  # (our items,)

    def score(self, request: Request, items: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.float32]:
        """The wrapped retriever's scores; NaN for items it never met."""
        codes = self._codes if items is None else self._codes[items]
        scores = np.full(len(codes), np.nan, np.float32)
        known = codes != UNKNOWN
        scores[known] = self._own.score(request, codes[known])
        return scores

    def fit(self, tables: Tables, catalogue: Vocabulary, *, rng: np.random.Generator) -> Self:
        """Refuses: a champion is measured as it is."""
        raise NotImplementedError("a transplanted retriever is measured as it is; fit a new one instead")

    def save(self, folder: Path) -> None:
        """Refuses: the champion's own bundle holds it."""
        raise NotImplementedError("a transplanted retriever is not saved; its bundle holds it")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Refuses: open the champion's bundle and transplant it."""
        raise NotImplementedError("open the champion's bundle and transplant it")
