"""Candidates of several retrievers in one list."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from rankloop.contracts import Tables
from rankloop.errors import ModelError
from rankloop.request import Request
from rankloop.retrieval.base import Candidates, Items, Retriever, Scores, pick, top
from rankloop.vocabulary import Vocabulary

__all__ = ["Blend", "SourcedCandidates"]

_NONE: Final = np.empty(0, np.int64)


class SourcedCandidates(NamedTuple):
    """Candidates that say where they come from, best first.

    Attributes:
        items: `(n,)` int64, codes in the catalogue.
        scores: `(n,)` float32, sums of reciprocal ranks.
        sources: `(n,)` the name of the retriever that ranked the item highest.
    """

    items: Items
    scores: Scores
    sources: tuple[str, ...]


class Blend(Retriever):
    """Reciprocal rank fusion: an item that several retrievers rank high comes first.

    Not a weighting of scores: those of different retrievers cannot be compared, their ranks can.

        score(i) = sum over retrievers m that rank i at depth_m or above of 1 / (60 + rank_m(i))

    An item that no retriever ranks is NaN. With equal ranks the source is the retriever named first.

    A search is answered from its text: where a retriever that reads it finds anything, those that do not read it are
    not asked, for a list of what a person likes is no answer to a question. Where nothing matches, they are.

    Args:
        retrievers: in the order of precedence, each with a name of its own; fitted, or to be fitted by `fit`.
        depths: how many candidates each retriever gives, by name; those not named give `depth`.
        depth: candidates of a retriever that `depths` does not name.
        threads: how many retrievers are asked at the same time; more than one pays for large catalogues, where a retriever
            takes a millisecond, and idle cores.

    Raises:
        ModelError: no retriever, two of one name, or a depth that cannot be.

    Source: G. Cormack, C. Clarke, S. Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank
    Learning Methods", SIGIR 2009 (the constant 60 as well).

    Example:
        >>> from rankloop.retrieval import Bm25, Profile
        >>> from rankloop.testing import known_request, known_world
        >>> world = known_world(days=1)
        >>> jobs = Vocabulary(world.items["item_id"])
        >>> blend = Blend([Bm25(), Profile()]).fit(world, jobs, rng=np.random.default_rng(0))
        >>> blend.retrieve_with_sources(known_request(world, "piano-u0"), 1).sources
        ('bm25',)
    """

    name: ClassVar[str] = "blend"
    CONSTANT: ClassVar[int] = 60
    """Added to every rank: how little the first places weigh more than the next."""

    def __init__(
        self, retrievers: Sequence[Retriever], *, depths: Mapping[str, int] | None = None, depth: int = 300, threads: int = 1
    ) -> None:
        self.retrievers, self.depths, self.depth = tuple(retrievers), dict(depths or {}), depth
        self._map: Callable[..., Iterable[Items]] = map if threads == 1 else ThreadPoolExecutor(threads, "retrieve").map
        names = [own.name for own in self.retrievers]
        if not names or len(set(names)) != len(names):
            raise ModelError(f"a blend of {names}; it needs one retriever or more, each with a name of its own")
        for name, own in (self.depths | {"by default": depth}).items():
            if own < 1 or name not in [*names, "by default"]:
                raise ModelError(f"depth {own} for {name!r}; depths are 1 or more, for retrievers of the blend: {names}")

    def fit(self, tables: Tables, catalogue: Vocabulary, *, rng: np.random.Generator) -> Self:
        """Fits every retriever, in turn, each with a generator of its own."""
        for own, child in zip(self.retrievers, rng.spawn(len(self.retrievers)), strict=True):
            own.fit(tables, catalogue, rng=child)
        return self

    def score(self, request: Request, items: Items | None = None) -> Scores:
        """Sums of reciprocal ranks in the whole catalogue; NaN for items that no retriever ranks."""
        ranked, fused, _ = self._fused(request, None)
        catalogue = np.full(len(self.retrievers[0].score(request)), np.nan, np.float32)
        catalogue[ranked] = fused
        return pick(catalogue, items)

    def retrieve(self, request: Request, k: int, *, allowed: npt.NDArray[np.bool_] | None = None) -> Candidates:
        """The `k` items of highest score, ranks counted among the allowed."""
        found = self.retrieve_with_sources(request, k, allowed=allowed)
        return Candidates(found.items, found.scores)

    def retrieve_with_sources(
        self, request: Request, k: int, *, allowed: npt.NDArray[np.bool_] | None = None
    ) -> SourcedCandidates:
        """As `retrieve`, with the retriever that ranked each item highest."""
        ranked, fused, source = self._fused(request, allowed)
        best = top(fused, k)
        names = np.array([own.name for own in self.retrievers], object)
        return SourcedCandidates(ranked[best.items], best.scores, tuple(names[source[best.items]].tolist()))

    def save(self, folder: Path) -> None:
        """Writes each retriever into a folder of its name; no pickle."""
        for own in self.retrievers:
            (folder / own.name).mkdir()
            own.save(folder / own.name)
        rest = {"retrievers": [own.name for own in self.retrievers], "depths": self.depths, "depth": self.depth}
        (folder / "blend.json").write_text(json.dumps(rest, sort_keys=True), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            ModelError: a retriever that this version does not know, or a weight that is NaN.
        """
        from rankloop.retrieval.registry import RETRIEVERS  # the registry's retrievers know nothing of a blend

        rest = json.loads((folder / "blend.json").read_text(encoding="utf-8"))
        unknown = [name for name in rest["retrievers"] if name not in RETRIEVERS]
        if unknown:
            raise ModelError(f"{folder}: retrievers {unknown} are not known; known are {sorted(RETRIEVERS)}")
        retrievers = [RETRIEVERS[name].load(folder / name) for name in rest["retrievers"]]
        return cls(retrievers, depths=rest["depths"], depth=rest["depth"])

    def _fused(self, request: Request, allowed: npt.NDArray[np.bool_] | None) -> tuple[Items, Scores, npt.NDArray[np.int64]]:
        """Items that some retriever ranks, by code, with their score and which retriever ranks them highest."""
        lists = self._lists(request, allowed)
        lengths = [len(own) for own in lists]
        rank = np.concatenate([np.arange(1, length + 1) for length in lengths])
        source = np.repeat(np.arange(len(lists)), lengths)
        items, place = np.unique(np.concatenate(lists), return_inverse=True)
        scores = np.bincount(place, 1 / (self.CONSTANT + rank), len(items)).astype(np.float32)
        by_rank = np.lexsort((source, rank, place))
        first = np.searchsorted(place[by_rank], np.arange(len(items)))
        return items, scores, source[by_rank][first]

    def _lists(self, request: Request, allowed: npt.NDArray[np.bool_] | None) -> list[Items]:
        """What each retriever proposes, best first; nothing of those that are not asked."""

        def ask(own: Retriever) -> Items:
            return own.retrieve(request, self.depths.get(own.name, self.depth), allowed=allowed).items

        def asked(some: Iterable[Retriever]) -> list[Items]:
            chosen = tuple(some)
            found = dict(zip(chosen, self._map(ask, chosen), strict=True))
            return [found.get(own, _NONE) for own in self.retrievers]

        if request.query is None:
            return asked(self.retrievers)
        matched = asked(own for own in self.retrievers if own.reads_query)
        if any(map(len, matched)):
            return matched
        return asked(own for own in self.retrievers if not own.reads_query)
