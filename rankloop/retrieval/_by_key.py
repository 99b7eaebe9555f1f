"""Retrievers that score the whole catalogue at once for whatever decides their answer: a query, a user."""

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from rankloop.request import Request
from rankloop.retrieval.base import Candidates, Items, Retriever, Scores, pick, top

__all__ = ["ByKey"]

_NOTHING: Final = Candidates(np.empty(0, np.int64), np.empty(0, np.float32))


class ByKey(Retriever):
    """A retriever whose scores depend on the request only through a key; many lists share one pass per key.

    The scores of the last key are kept: a request asks twice, for candidates and for their features. What a key means
    may change when something is learned; whoever changes it calls `_forget`.
    """

    _last: tuple[Hashable, Scores] | None = None

    @abstractmethod
    def _key(self, request: Request) -> Hashable:
        """What decides the answer; None where there is nothing to say. Raises NotFitted before the fit."""

    @abstractmethod
    def _score_catalogue(self, key: Hashable) -> Scores:
        """`(catalogue,)` scores for a key."""

    @property
    @abstractmethod
    def _catalogue_size(self) -> int:
        """How many items are scored."""

    def score(self, request: Request, items: Items | None = None) -> Scores:
        """Scores of `items` (catalogue codes; None: the whole catalogue), `(n,)` float32, NaN: nothing to say."""
        return pick(self._all(self._key(request)), items)

    def score_lists(self, requests: Sequence[Request], items: Sequence[Items]) -> list[Scores]:
        """`score` for many requests, each with its own items; the catalogue is scored once for each different key."""
        by_key: dict[Hashable, list[int]] = {}
        for place, request in enumerate(requests):
            by_key.setdefault(self._key(request), []).append(place)
        scores: dict[int, Scores] = {}
        for key, places in by_key.items():
            if key is None:
                scores.update((place, np.full(len(items[place]), np.nan, np.float32)) for place in places)
            else:
                catalogue = self._all(key)
                scores.update((place, pick(catalogue, items[place])) for place in places)
        return [scores[place] for place in range(len(requests))]

    def retrieve(self, request: Request, k: int, *, allowed: npt.NDArray[np.bool_] | None = None) -> Candidates:
        """The `k` best items among `allowed` (a mask over the catalogue); fewer where it has nothing to say."""
        key = self._key(request)
        return _NOTHING if key is None else top(self._all(key), k, allowed=allowed)

    def _all(self, key: Hashable) -> Scores:
        if key is None:
            return np.full(self._catalogue_size, np.nan, np.float32)
        last = self._last
        if last is None or last[0] != key:
            self._last = last = (key, self._score_catalogue(key))
        return last[1]

    def _forget(self) -> None:
        self._last = None
