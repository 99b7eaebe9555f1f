"""The simplest ranker: the order of one feature."""

import json
from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from rankloop.errors import ModelError, NotFitted
from rankloop.ranking.base import Judged, Matrix, Ranker
from rankloop.ranking.checks import check_judged, check_names, check_width

__all__ = ["ByFeature"]

_RECORD: Final = "ranker.json"
_FORMAT: Final = 1
_LAST: Final = np.finfo(np.float32).min


class ByFeature(Ranker):
    """Orders by one named feature, the highest first: the baseline a gate compares with.

    It learns nothing; where the feature is undefined (NaN) the row comes last.

    Args:
        feature: its name.

    Example:
        >>> ranker = ByFeature("popular_score")
        >>> ranker.names = ("hourly_rate", "popular_score")
        >>> ranker.score(np.array([[50, 0.1], [20, 0.7]], np.float32))
        array([0.1, 0.7], dtype=float32)
    """

    name: ClassVar[str] = "by_feature"

    def __init__(self, feature: str = "popular_score") -> None:
        self.feature = feature
        self.names: tuple[str, ...] = ()

    def fit(self, train: Judged, validation: Judged | None = None, *, rng: np.random.Generator) -> Self:
        """Remembers where the feature stands.

        Raises:
            ModelError: there is no such feature, or the lists do not hold together.
        """
        check_judged(train, "training")
        if validation is not None:
            check_names(validation.names, train.names, "validation")
        if self.feature not in train.names:
            raise ModelError(f"there is no feature {self.feature!r} to order by; there are {list(train.names)}")
        self.names = tuple(train.names)
        return self

    def score(self, features: Matrix) -> npt.NDArray[np.float32]:
        """The feature itself, `(rows,)`; the lowest number where it is undefined."""
        column = self._column()
        check_width(features, self.names)
        values = features[:, column].astype(np.float32)
        return np.where(np.isnan(values), _LAST, values)

    def contributions(self, features: Matrix) -> Matrix:
        """The whole score in the feature's column, 0 in all others, `(rows, features + 1)`."""
        shares = np.zeros((len(features), len(self.names) + 1), np.float32)
        shares[:, self._column()] = self.score(features)
        return shares

    def importance(self) -> dict[str, float]:
        """1 for the feature, 0 for all others."""
        self._column()
        return {self.feature: 1.0} | {name: 0.0 for name in self.names if name != self.feature}

    def save(self, folder: Path) -> None:
        """Writes `ranker.json` into an existing folder."""
        self._column()
        record = {"format": _FORMAT, "ranker": self.name, "feature": self.feature, "names": self.names}
        (folder / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            ModelError: the file is missing or of another format.
        """
        try:
            record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder} holds no readable ranker ({error}); write it again with save") from error
        if record.get("format") != _FORMAT or record.get("ranker") != cls.name or record["feature"] not in record["names"]:
            raise ModelError(f"{folder / _RECORD} is not a {cls.name} of format {_FORMAT}; write it again with save")
        ranker = cls(record["feature"])
        ranker.names = tuple(record["names"])
        return ranker

    def _column(self) -> int:
        if not self.names:
            raise NotFitted("the ranker does not know its features yet; call fit or load first")
        return self.names.index(self.feature)
