"""What every ranker can do."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt

__all__ = ["Judged", "Ranker"]

Matrix = npt.NDArray[np.float32]


class Judged(NamedTuple):
    """Ranked lists with judgements: what a ranker learns from and is measured on.

    Rows of one request are adjacent, in the logged order.

    Attributes:
        features: `(rows, features)` float32, NaN where a feature is undefined.
        names: the features' names, in column order.
        grades: `(rows,)` int32, 0 (nothing happened) to 5 (hire).
        positions: `(rows,)` int32, 1-based logged position; 0 where the item was never shown.
        sizes: `(requests,)` int64, rows of each request; sums to `rows`.
        user_ids: `(requests,)` object, whose request it was; the unit of the bootstrap.
    """

    features: Matrix
    names: tuple[str, ...]
    grades: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int64]
    user_ids: npt.NDArray[np.object_]


class Ranker(ABC):
    """Orders candidates by their features; it never finds any."""

    name: ClassVar[str]
    names: tuple[str, ...]
    """The features it was fitted on, in column order; it refuses others."""

    @abstractmethod
    def fit(self, train: Judged, validation: Judged | None = None, *, rng: np.random.Generator) -> Self:
        """Learns an order from judged lists; `validation` only decides when to stop."""

    @abstractmethod
    def score(self, features: Matrix) -> npt.NDArray[np.float32]:
        """`(rows, features)` to `(rows,)`; only the order within a request has a meaning."""

    @abstractmethod
    def contributions(self, features: Matrix) -> Matrix:
        """What each feature added to each score, `(rows, features + 1)`; the last column is the constant.

        A row sums to its score.
        """

    @abstractmethod
    def importance(self) -> dict[str, float]:
        """Share of the total gain by feature; sums to 1."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes into an existing, empty folder; no pickle."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
