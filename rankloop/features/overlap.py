"""Which of an item's terms a request holds, for many items at once."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from rankloop.vocabulary import Vocabulary

__all__ = ["Matched", "Overlap"]

Codes = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


class Matched(NamedTuple):
    """What rows share with their requests.

    Attributes:
        number: `(rows,)` float64, distinct terms of the item that the request holds.
        weight: `(rows,)` float64, the sum of these terms' weights.
    """

    number: Numbers
    weight: Numbers


class Overlap:
    """The distinct terms of every item, as one sparse matrix, weighted by their rarity.

    The weight of a term is `ln((items + 1) / (items that hold it + 1)) + 1`, where only items with any term count:
    a term that no item holds weighs most and one that all hold weighs 1. It says nothing of order or repetition: that is BM25.

    Args:
        lists: the terms of each item.

    Source:
        K. Sparck Jones, "A statistical interpretation of term specificity", 1972; smoothed as in scikit-learn.

    Example:
        >>> skills = Overlap([["python", "sql"], ["logo"]])
        >>> skills.match(np.array([0, 1]), [skills.codes(["python", "logo"])], np.array([0, 0])).number
        array([1., 1.])
    """

    def __init__(self, lists: Sequence[Iterable[str]]) -> None:
        sets = [sorted(set(terms)) for terms in lists]
        self.vocabulary = Vocabulary(sorted({term for terms in sets for term in terms}))
        self.counts = np.array([len(terms) for terms in sets], np.float64)
        self._start = np.concatenate(([0], np.cumsum(self.counts, dtype=np.int64)))
        self._terms = self.vocabulary.encode([term for terms in sets for term in terms])
        held = np.bincount(self._terms, minlength=len(self.vocabulary))
        speaking = int((self.counts > 0).sum())
        self._weights = np.log((speaking + 1) / (held + 1)) + 1
        self._strange = float(np.log(speaking + 1) + 1)
        row = np.repeat(np.arange(len(sets)), np.diff(self._start))
        self.weights = _sums(row, self._weights[self._terms], len(sets))
        """`(items,)`: the weight of all terms of each item."""

    def codes(self, terms: Iterable[str]) -> Codes:
        """The codes of the distinct terms that any item holds, sorted."""
        known = self.vocabulary.encode(sorted(set(terms)))
        return known[known >= 0]

    def weight(self, terms: Iterable[str]) -> float:
        """The weight of distinct terms, whether or not an item holds them."""
        codes = self.vocabulary.encode(sorted(set(terms)))
        return float(self._weights[codes[codes >= 0]].sum()) + self._strange * int((codes < 0).sum())

    def match(self, items: Codes, held: Sequence[Codes], owner: Codes) -> Matched:
        """What each row's item shares with the row's request.

        Args:
            items: `(rows,)` int64, each row's item.
            held: by request, its distinct codes, as `codes` returns them.
            owner: `(rows,)` int64, each row's request; fastest where rows of a request follow each other.
        """
        ends = np.cumsum([0, *map(len, held)])
        codes = np.concatenate([np.empty(0, np.int64), *held])
        return Matched(*_shared(self._start, self._terms, self._weights, items, codes, ends, owner))


def _sums(row: Codes, weights: Numbers, rows: int) -> Numbers:
    return np.bincount(row, weights, minlength=rows).astype(np.float64, copy=False)


@numba.njit(nogil=True)
def _shared(
    start: Codes, terms: Codes, weights: Numbers, items: Codes, held: Codes, ends: Codes, owner: Codes
) -> tuple[Numbers, Numbers]:
    """Number and weight of the terms of each row's item that its request marks."""
    number, weight = np.zeros(len(items)), np.zeros(len(items))
    marked, marker = np.zeros(len(weights), np.bool_), -1
    for row in range(len(items)):
        if owner[row] != marker:
            if marker >= 0:
                marked[held[ends[marker] : ends[marker + 1]]] = False
            marker = owner[row]
            marked[held[ends[marker] : ends[marker + 1]]] = True
        for at in range(start[items[row]], start[items[row] + 1]):
            if marked[terms[at]]:
                number[row] += 1
                weight[row] += weights[terms[at]]
    return number, weight


with suppress(RuntimeError):  # nowhere to keep the machine code (a read-only image): each process compiles it again
    _shared.enable_caching()
