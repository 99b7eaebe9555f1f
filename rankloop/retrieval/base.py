"""What every retriever can do."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from rankloop.contracts import Tables
from rankloop.request import Request
from rankloop.retrieval._kernels import highest
from rankloop.vocabulary import UNKNOWN, Vocabulary

__all__ = ["Candidates", "Retriever", "pick", "top"]

Items = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

_FEW: Final = 4
"""Of so many items one: from there on sorting all of them is as fast as keeping the best."""


class Candidates(NamedTuple):
    """Items one retriever proposes, best first.

    Attributes:
        items: `(n,)` int64, codes in the catalogue.
        scores: `(n,)` float32, not comparable between retrievers.
    """

    items: Items
    scores: Scores


class Retriever(ABC):
    """Finds candidates in the whole catalogue.

    A retriever never decides the final order; that is the ranker's part. It scores every item of the
    catalogue it was fitted on, and says NaN where it has nothing to say (a user it never met, an item
    without history, a feed request for a lexical method, the code `UNKNOWN`), never a quiet zero. Scores of
    some items are the scores of the catalogue at those items, bit for bit, so that a feature logged in
    service equals the feature built for training.
    """

    name: ClassVar[str]
    """The source named in answers and the feature `<name>_score`; lower case, unique."""

    reads_query: ClassVar[bool] = False
    """Whether it looks at the search text; a search is answered by those that do."""

    packages: ClassVar[tuple[str, ...]] = ()
    """Packages that it loads and answers with, beside those that every release needs."""

    @abstractmethod
    def fit(self, tables: Tables, catalogue: Vocabulary, *, rng: np.random.Generator) -> Self:
        """Learns from every row of `tables`; the caller has already cut them in time.

        Args:
            tables: history up to the moment the retriever may know.
            catalogue: the items to be scored, in the order of the scores; it may hold items that
                `tables` has no events for.
            rng: the only source of randomness.
        """

    def follow(self, tables: Tables, catalogue: Vocabulary) -> Self:
        """A copy that learned nothing more, but knows what people did since.

        Weights are fitted seldom, what a person did a minute ago should count at once: a retriever that looks at
        recent acts takes them from here, and for a request only those strictly before it. The others return
        themselves.

        Args:
            tables: the log so far, of which the fit saw the beginning.
            catalogue: the one it was fitted on.
        """
        return self

    @abstractmethod
    def score(self, request: Request, items: Items | None = None) -> Scores:
        """Scores of `items` (catalogue codes; None: the whole catalogue), `(n,)` float32, NaN: nothing to say."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes the weights into an existing, empty folder (npy, safetensors, Parquet or JSON; no pickle)."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            ModelError: a weight is NaN or a shape does not fit.
        """

    def score_lists(self, requests: Sequence[Request], items: Sequence[Items]) -> list[Scores]:
        """`score` for many requests, each with its own items; override where a batch is faster."""
        return [self.score(request, own) for request, own in zip(requests, items, strict=True)]

    def retrieve(self, request: Request, k: int, *, allowed: npt.NDArray[np.bool_] | None = None) -> Candidates:
        """The `k` best items among `allowed` (a mask over the catalogue); fewer where it has nothing to say."""
        return top(self.score(request), k, allowed=allowed)


def pick(scores: Scores, items: Items | None) -> Scores:
    """The catalogue's scores at `items`, NaN for `UNKNOWN`; always a copy.

    Example:
        >>> pick(np.array([5.0, 7.0], np.float32), np.array([1, -1]))
        array([ 7., nan], dtype=float32)
    """
    if items is None:
        return scores.copy()
    if not len(scores):
        return np.full(len(items), np.nan, np.float32)
    return np.where(items == UNKNOWN, np.float32(np.nan), scores[items])


def top(scores: Scores, k: int, *, allowed: npt.NDArray[np.bool_] | None = None) -> Candidates:
    """The `k` highest scores among `allowed` (None: all), best first, ties by the smaller code; NaN is never chosen.

    Example:
        >>> top(np.array([1.0, np.nan, 3.0], np.float32), 5).items
        array([2, 0])
    """
    mask = np.ones(len(scores), bool) if allowed is None else allowed
    few = 0 < k * _FEW < len(scores)
    found = highest(scores, mask, k) if few else np.flatnonzero(mask & ~np.isnan(scores))
    order = np.lexsort((found, -scores[found]))[: max(k, 0)]
    return Candidates(found[order], scores[found[order]])
