"""Who acted on what, last when, and which items are acted on by the same people."""

from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rankloop.retrieval._events import Events
from rankloop.retrieval._postings import Postings

__all__ = ["Acted"]

_LONGEST: Final = 500
"""Items of one person that count in pairs: pairs grow with the square, and who acts on more is no person."""

_ROWS_AT_ONCE: Final = 2048


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

    def together(self, catalogue: int, *, keep: int, shrinkage: float) -> Postings:
        """Each item's nearest by `n_ri / (sqrt(n_r n_i) + shrinkage)`, at most `keep` of them, itself left out.

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
        return Postings.of(sparse.vstack([sparse.csr_matrix((0, catalogue)), *parts]))

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
