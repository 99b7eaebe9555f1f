"""Which items are near each other: by the people who act on both, and by their words."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, NamedTuple, Self

import numba
import numpy as np
import numpy.typing as npt
from scipy import sparse

from rankloop.retrieval._events import Events
from rankloop.retrieval._kernels import highest

__all__ = ["Acted", "alike"]

_LONGEST: Final = 500
"""Items of one person that count in pairs: pairs grow with the square, and who acts on more is no person."""

_ROWS_AT_ONCE: Final = 2048

_LEAST: Final = 1e-6
"""Below this a similarity is rounding."""


class Acted(NamedTuple):
    """The different items of each person, the last one first.

    Attributes:
        user: `(pairs,)` codes, ascending.
        item: `(pairs,)` codes.
        age: `(pairs,)` days from the last outcome to the end of the history, ascending for a user.
        place: `(pairs,)` 0 for the user's last item.
        users: how many there are.
        items: how many there are, those of the catalogue first.
    """

    user: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    age: npt.NDArray[np.float64]
    place: npt.NDArray[np.int64]
    users: int
    items: int

    @classmethod
    def of(cls, log: Events, items: int) -> Self:
        """From outcomes; of several on one item the last counts."""
        pair = log.user * items + log.item
        newest = np.lexsort((log.age, pair))
        pair, first = np.unique(pair[newest], return_index=True)
        user, item, age = pair // items, pair % items, log.age[newest][first]
        order = np.lexsort((item, age, user))
        user, item, age = user[order], item[order], age[order]
        counts = np.bincount(user, minlength=len(log.users))
        place = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
        return cls(user, item, age, place, len(log.users), items)

    def together(self, catalogue: int, *, keep: int, shrinkage: float) -> Any:
        """Each item's nearest by `n_ri / (sqrt(n_r n_i) + shrinkage)`, at most `keep` of them, itself left out; SciPy CSR.

        Args:
            catalogue: only items with a smaller code can be neighbours.
            keep: how many an item has at most.
            shrinkage: see the formula.
        """
        counted = self.place < _LONGEST
        acted = self._matrix(counted, np.ones(np.count_nonzero(counted)))
        root = np.sqrt(np.bincount(self.item[counted], minlength=self.items))
        others, candidates = acted.T.tocsr(), acted.tocsc()[:, :catalogue].tocsr()
        parts = [
            _nearest(others[start : start + _ROWS_AT_ONCE] @ candidates, start, root, keep, shrinkage)
            for start in range(0, self.items, _ROWS_AT_ONCE)
        ]
        return sparse.vstack([sparse.csr_matrix((0, catalogue)), *parts]).tocsr()

    def _matrix(self, kept: npt.NDArray[np.bool_], values: npt.NDArray[np.float64]) -> Any:
        return sparse.csr_matrix((values, (self.user[kept], self.item[kept])), (self.users, self.items))


def _nearest(counts: Any, start: int, root: npt.NDArray[np.float64], keep: int, shrinkage: float) -> Any:
    """The `keep` most similar of each row of pair counts, ties by the smaller code; SciPy CSR."""
    pairs = counts.tocoo()
    apart = pairs.row + start != pairs.col
    row, item, count = pairs.row[apart], pairs.col[apart], pairs.data[apart]
    alike = count / (root[row + start] * root[item] + shrinkage)
    order = np.lexsort((item, -alike, row))
    row, item, alike = row[order], item[order], alike[order]
    sizes = np.bincount(row, minlength=counts.shape[0])
    kept = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes) < keep
    return sparse.csr_matrix((alike[kept], (row[kept], item[kept])), counts.shape)


def alike(vectors: Any, catalogue: int, *, keep: int) -> Any:
    """Each item's nearest by the product of their vectors, at most `keep` of them, itself left out.

    Exact: every pair of items that share a term is looked at. Rows are independent, so threads change nothing.

    Args:
        vectors: SciPy CSR `(items, terms)`, the catalogue's items first.
        catalogue: only items with a smaller code can be neighbours.
        keep: how many an item has at most.

    Returns:
        SciPy CSR `(items, catalogue)` float32.
    """
    rows, by_term = vectors.astype(np.float32).tocsr(), vectors[:catalogue].astype(np.float32).tocsc()
    by_term.sort_indices()

    def nearest(start: int) -> Any:
        end = min(start + _ROWS_AT_ONCE, rows.shape[0])
        held = _nearest_by_words(
            *(rows.indptr, rows.indices, rows.data, by_term.indptr, by_term.indices, by_term.data, start, end, catalogue, keep)
        )
        return sparse.csr_matrix(held, (end - start, catalogue))

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        parts = list(threads.map(nearest, range(0, rows.shape[0], _ROWS_AT_ONCE)))
    return sparse.vstack([sparse.csr_matrix((0, catalogue), dtype=np.float32), *parts]).tocsr()


@numba.njit(nogil=True)
def _nearest_by_words(
    row_starts: Any,
    row_terms: Any,
    row_values: Any,
    term_starts: Any,
    term_items: Any,
    term_values: Any,
    start: int,
    end: int,
    catalogue: int,
    keep: int,
) -> Any:
    """For rows from `start` to `end`: values, items and where each row begins, as a CSR matrix has them."""
    every, sums = np.ones(catalogue, np.bool_), np.zeros(catalogue, np.float32)
    values, items = np.empty((end - start) * keep, np.float32), np.empty((end - start) * keep, np.int32)
    starts, held = np.zeros(end - start + 1, np.int64), 0
    for row in range(start, end):
        sums[:] = 0
        for place in range(row_starts[row], row_starts[row + 1]):
            term, weight = row_terms[place], row_values[place]
            for posting in range(term_starts[term], term_starts[term + 1]):
                sums[term_items[posting]] += weight * term_values[posting]
        if row < catalogue:
            sums[row] = 0
        for item in np.sort(highest(sums, every, min(keep, catalogue))):
            if sums[item] > _LEAST:
                values[held], items[held] = sums[item], item
                held += 1
        starts[row - start + 1] = held
    return values[:held], items[:held], starts


with suppress(RuntimeError):  # nowhere to keep the machine code (a read-only image): each process compiles it again
    _nearest_by_words.enable_caching()
