"""Which of an item's terms a request holds, for many items at once."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.vocabulary import Vocabulary

__all__ = ["Matched", "Overlap", "Spread"]

Codes = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

_TABLE: Final = 1 << 18
"""Up to this many (request, term) pairs a table of truth values is faster than a search."""


class Matched(NamedTuple):
    """What rows share with their requests.

    Attributes:
        number: `(rows,)` float64, distinct terms of the item that the request holds.
        weight: `(rows,)` float64, the sum of these terms' weights.
    """

    number: Numbers
    weight: Numbers


class Spread(NamedTuple):
    """The terms of rows, one after the other.

    Attributes:
        row: `(terms,)` int64, ascending.
        terms: `(terms,)` int64, codes.
        rows: how many rows there are.
    """

    row: Codes
    terms: Codes
    rows: int


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
        >>> skills.match(skills.spread(np.array([0, 1])), [skills.codes(["python", "logo"])], np.array([0, 0])).number
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

    def spread(self, items: Codes) -> Spread:
        """Every term of every row, one after the other: what `match` needs, once for several matches.

        Args:
            items: `(rows,)` int64, each row's item.
        """
        first = self._start[items]
        count = self._start[items + 1] - first
        ends = np.cumsum(count)
        row = np.repeat(np.arange(len(items)), count)
        return Spread(row, self._terms[np.arange(len(row)) + np.repeat(first - (ends - count), count)], len(items))

    def match(self, spread: Spread, held: Sequence[Codes], owner: Codes) -> Matched:
        """What each row's item shares with the row's request.

        Args:
            spread: the rows' terms.
            held: by request, its sorted distinct codes, as `codes` returns them.
            owner: `(rows,)` int64, each row's request.
        """
        size = len(self.vocabulary)
        lengths = np.array([len(codes) for codes in held], np.int64)
        if not lengths.any():
            return Matched(np.zeros(spread.rows), np.zeros(spread.rows))
        # (request, term) as one number: sorted, because the requests are and each one's codes are
        hay = np.concatenate(held) + np.repeat(np.arange(len(held)), lengths) * size
        hit = _among(owner[spread.row] * size + spread.terms, hay, len(held) * size)
        row, terms = spread.row[hit], spread.terms[hit]
        number = np.bincount(row, minlength=spread.rows).astype(np.float64)
        return Matched(number, _sums(row, self._weights[terms], spread.rows))


def _among(needle: Codes, hay: Codes, size: int) -> npt.NDArray[np.bool_]:
    """Which numbers below `size` are in the sorted `hay`."""
    if size > _TABLE:
        place = np.minimum(np.searchsorted(hay, needle), len(hay) - 1)
        return np.equal(hay[place], needle)
    table = np.zeros(size, np.bool_)
    table[hay] = True
    return table[needle]


def _sums(row: Codes, weights: Numbers, rows: int) -> Numbers:
    return np.bincount(row, weights, minlength=rows).astype(np.float64, copy=False)
