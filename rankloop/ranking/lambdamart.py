"""LambdaMART: boosted trees that learn to order lists, by LightGBM."""

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from rankloop.errors import ModelError, NotFitted
from rankloop.ranking.base import Judged, Matrix, Ranker
from rankloop.ranking.bitvectors import Bitvectors, compiled
from rankloop.ranking.boosting import Boosting, BoostingRun, seed_of
from rankloop.ranking.checks import check_judged, check_names, check_width, with_preferences
from rankloop.ranking.curves import best_round
from rankloop.ranking.trees import Forest

__all__ = ["LambdaMart"]

_MODEL: Final = "model.txt"
_RECORD: Final = "ranker.json"
_FORMAT: Final = 1
_WIDTH: Final = re.compile(r"^max_feature_idx=(\d+)$", re.MULTILINE)
_NOTHING: Final = "the ranker has learned nothing yet; call fit or load first"


class LambdaMart(Ranker):
    """Orders candidates by boosted regression trees whose gradients are those of nDCG.

    Not a model of probabilities: scores are comparable within one request only. Missing values (NaN) go the way that
    helped in training, at every split. The validation lists decide the number of trees, by nDCG@10, and nothing else.

        for a pair i better than j:  lambda = -|change of nDCG if swapped| / (1 + exp(s_i - s_j))

    With `unbiased` the logged position's part in a grade is estimated beside the trees and removed from the scores
    (an additive bias per position; the aim is that of the paper below, the estimator is LightGBM's).

    Args:
        boosting: how it is grown; None is the default.

    Attributes:
        boosting: how it was grown.
        curve: (rounds, validation nDCG@10) as it was grown; empty without validation.
        rounds: trees kept: where the mean of the last five looks was best.

    Source: C. Burges, "From RankNet to LambdaRank to LambdaMART", MSR-TR-2010-82; G. Ke et al., "LightGBM", NeurIPS
    2017; Z. Hu et al., "Unbiased LambdaMART", WWW 2019.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> skill_match = rng.random(400, dtype=np.float32)
        >>> judged = Judged(
        ...     features=skill_match[:, None],
        ...     names=("skill_match",),
        ...     grades=(skill_match > 0.7).astype(np.int32),
        ...     positions=np.tile(np.arange(1, 11, dtype=np.int32), 40),
        ...     sizes=np.full(40, 10),
        ...     user_ids=np.arange(40).astype(object),
        ... )
        >>> ranker = LambdaMart(Boosting(rounds=5)).fit(judged, rng=rng)
        >>> low, high = ranker.score(np.array([[0.2], [0.9]], np.float32))
        >>> bool(high > low)
        True
    """

    name: ClassVar[str] = "lambdamart"

    def __init__(self, boosting: Boosting | None = None) -> None:
        self.boosting = boosting or Boosting()
        self.names: tuple[str, ...] = ()
        self.curve: tuple[tuple[int, float], ...] = ()
        self.rounds = 0
        self._text: str | None = None
        self._booster: Any = None
        self._forest: Bitvectors | Forest | None = None

    def fit(self, train: Judged, validation: Judged | None = None, *, rng: np.random.Generator) -> Self:
        """Grows the trees; keeps those up to the best validation nDCG@10, as the mean of five looks.

        Args:
            train: what to learn from; requests whose grades are all alike are left out.
            validation: decides when to stop; None grows every round.
            rng: one draw of it seeds bagging and feature sampling.

        Raises:
            ModelError: lists that are empty, do not hold together, have no preference or no feature value; other
                features in `validation`; nothing could be learned.
        """
        check_judged(train, "training")
        if validation is not None:
            check_judged(validation, "validation")
            check_names(validation.names, train.names, "validation")
            validation = with_preferences(validation, "validation")
        run = BoostingRun(self.boosting, with_preferences(train, "training"), validation, seed_of(rng))
        looks = tuple(run.looks())
        self.names = tuple(train.names)
        self.curve = looks if validation is not None else ()
        self.rounds = best_round(self.curve) if self.curve else looks[-1][0]
        # read back from their text: what is scored now is what `load` will give
        text = run.booster.model_to_string(num_iteration=self.rounds)
        self._text, self._forest, self._booster = text, compiled(text), None
        if not self._gains().any():
            raise ModelError(
                f"no tree could be split: {len(train.grades)} rows are too few for min_data_in_leaf "
                f"{self.boosting.min_data_in_leaf}, or no feature tells the grades apart"
            )
        return self

    def score(self, features: Matrix) -> npt.NDArray[np.float32]:
        """The sum of the trees' leaf values, `(rows,)`.

        Raises:
            NotFitted: before `fit` or `load`.
            ModelError: another number of columns.
        """
        if self._forest is None:
            raise NotFitted(_NOTHING)
        check_width(features, self.names)
        return self._forest.score(features).astype(np.float32)

    def contributions(self, features: Matrix) -> Matrix:
        """Shapley values of each feature for each score, `(rows, features + 1)`; the last column is the constant.

        A row sums to its score. A hundred times slower than `score` and more: for the rows that are shown, not for all.

        Raises:
            NotFitted: before `fit` or `load`.
            ModelError: another number of columns.

        Source: S. Lundberg et al., "Consistent Individualized Feature Attribution for Tree Ensembles", 2018.
        """
        booster = self._fitted()
        check_width(features, self.names)
        if not len(features):
            return np.empty((0, len(self.names) + 1), np.float32)
        return np.asarray(booster.predict(features, pred_contrib=True, num_threads=1), np.float32)

    def importance(self) -> dict[str, float]:
        """Share of the loss reduction of all splits that is due to each feature, the largest first; sums to 1."""
        gains = self._gains()
        order = np.argsort(-gains, kind="stable")
        return {self.names[i]: float(gains[i] / gains.sum()) for i in order}

    def save(self, folder: Path) -> None:
        """Writes `model.txt` (LightGBM's text) and `ranker.json` into an existing folder."""
        text = self._fitted().model_to_string()
        record = {
            "format": _FORMAT,
            "ranker": self.name,
            "names": self.names,
            "rounds": self.rounds,
            "curve": self.curve,
            "boosting": asdict(self.boosting),
            "sha256": _sha256(text),
        }
        (folder / _MODEL).write_text(text, encoding="utf-8")
        (folder / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            ModelError: a file is missing, altered or of another format, a weight is not finite, or the widths differ.
        """
        try:
            record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
            text = (folder / _MODEL).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder} holds no readable ranker ({error}); write it again with save") from error
        if record.get("format") != _FORMAT or record.get("ranker") != cls.name:
            raise ModelError(f"{folder / _RECORD} is of format {record.get('format')}, not {_FORMAT} of {cls.name}")
        if record["sha256"] != _sha256(text):
            # LightGBM does not survive every text: an altered one can end the process, so it never gets to read it
            raise ModelError(f"{folder / _MODEL} is not the text that was written; copy the folder again or train again")
        ranker = cls(Boosting.of(record["boosting"]))
        ranker.names, ranker.rounds = tuple(record["names"]), int(record["rounds"])
        ranker.curve = tuple((int(rounds), float(value)) for rounds, value in record["curve"])
        ranker._text, ranker._forest = text, compiled(text)
        width = _WIDTH.search(text)
        if width is None or int(width[1]) + 1 != len(ranker.names) or text.count("\nTree=") != ranker.rounds:
            raise ModelError(f"{folder}: the trees and the record differ in features or rounds; write both again with save")
        return ranker

    def _fitted(self) -> Any:
        """LightGBM's own model, made when it is asked for first: whoever only scores never imports LightGBM."""
        if self._text is None:
            raise NotFitted(_NOTHING)
        if self._booster is None:
            import lightgbm

            self._booster = lightgbm.Booster(model_str=self._text)
        return self._booster

    def _gains(self) -> npt.NDArray[np.float64]:
        return np.asarray(self._fitted().feature_importance("gain"), np.float64)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
