"""Sparse rows that add up to dense scores of the catalogue: terms to items, items to neighbours."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rankloop.errors import ModelError
from rankloop.retrieval._kernels import added, scored
from rankloop.retrieval.base import Scores

__all__ = ["Postings", "none_is_nan"]

Codes = npt.NDArray[np.int64]


class Postings:
    """Rows of (item, value): a CSR matrix that only knows how to add some of its rows.

    Args:
        starts: `(rows + 1,)` where each row begins in the other two.
        items: `(n,)` int32 or int64 codes, each at most once a row.
        values: `(n,)` float32.
        size: items in the catalogue.

    Raises:
        ModelError: the arrays do not fit each other.
    """

    def __init__(self, starts: Codes, items: Codes, values: npt.NDArray[np.float32], size: int) -> None:
        self.starts, self.items, self.values, self.size = starts.astype(np.int64, copy=False), items, values, size
        if self.starts[-1] != len(items) or len(items) != len(values) or items.max(initial=-1) >= size:
            raise ModelError(f"postings over {size} items have {len(items)} items and {len(values)} values; fit them again")

    @classmethod
    def of(cls, matrix: Any) -> Self:
        """From a SciPy matrix `(rows, items)`."""
        rows = matrix.tocsr()
        rows.sort_indices()
        return cls(rows.indptr, rows.indices, rows.data.astype(np.float32), rows.shape[1])

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str, size: int) -> Self:
        """From what `arrays` gave."""
        starts, items, values = (arrays[name] for name in cls.names(prefix))
        return cls(starts, items, values, size)

    @staticmethod
    def names(prefix: str) -> tuple[str, str, str]:
        """What the arrays are called on disk."""
        return f"{prefix}_starts", f"{prefix}_items", f"{prefix}_values"

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name, as small as they may be."""
        return dict(zip(self.names(prefix), (self.starts, self.items.astype(np.int32, copy=False), self.values), strict=True))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def lengths(self) -> Codes:
        """Items in each row, `(rows,)`."""
        return np.diff(self.starts)

    def sums(self, rows: Codes, weights: npt.NDArray[np.floating] | None = None) -> Scores:
        """Sum of rows times weights, `(size,)`; always added in the order given, so that the same rows give the same bits."""
        given = np.ones(len(rows), np.float32) if weights is None else weights.astype(np.float32, copy=False)
        sums: Scores = added(self.starts, self.items, self.values, rows, given, self.size)
        return sums


def none_is_nan(sums: Scores, least: float = 0.0) -> Scores:
    """Sums as scores: NaN where nothing was added."""
    scores: Scores = scored(sums, least)
    return scores
