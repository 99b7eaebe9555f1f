"""From a request to a ranked list: retrieve, filter, assemble, score, order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.features import Assembler
from rankloop.ranking.base import Ranker
from rankloop.request import Request
from rankloop.retrieval import Blend, SourcedCandidates
from rankloop.rules import Rules

__all__ = ["Ranked", "Recommender"]


class Ranked(NamedTuple):
    """A ranked list, best first.

    Attributes:
        items: `(n,)` int64, catalogue codes.
        scores: `(n,)` float32, the ranker's; only their order has a meaning.
        sources: the retriever that proposed each item highest.
        features: `(n, features)` float32, what the ranker saw: features shown are features logged.
    """

    items: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    sources: tuple[str, ...]
    features: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Recommender:
    """The one path from a request to a list; evaluation and serving both take it.

    Attributes:
        blend: proposes candidates and names their source.
        rules: says which items may be shown.
        assembler: makes the matrix of features.
        ranker: scores it.
        depth: how many candidates the ranker sees.
    """

    blend: Blend
    rules: Rules
    assembler: Assembler
    ranker: Ranker
    depth: int = 300

    def recommend(self, request: Request, k: int) -> Ranked:
        """The `k` best allowed items; fewer when fewer are allowed or no retriever has anything to say."""
        found = self.candidates(request)
        return self.rank(request, found.items, found.sources, k)

    def candidates(self, request: Request) -> SourcedCandidates:
        """What the ranker sees: at most `depth` allowed items, with the retriever that proposed each."""
        return self.blend.retrieve_with_sources(request, self.depth, allowed=self.rules.allowed(request))

    def rank(self, request: Request, items: npt.NDArray[np.int64], sources: Sequence[str], k: int | None = None) -> Ranked:
        """Orders given candidates; ties keep the order in which they were given."""
        features = self.assembler.assemble([request], [items])
        scores = self.ranker.score(features) if len(items) else np.empty(0, np.float32)
        order = np.argsort(-scores, kind="stable")[:k]
        return Ranked(items[order], scores[order], tuple(sources[i] for i in order), features[order])
