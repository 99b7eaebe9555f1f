"""One boosting run of LightGBM's LambdaMART, round by round: what a fit and a tuning trial share."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from rankloop.errors import ModelError
from rankloop.metrics import ndcg
from rankloop.ranking.base import Judged
from rankloop.ranking.curves import best_round

__all__ = ["CUT", "EVERY", "LABEL_GAIN", "Boosting", "BoostingRun", "seed_of"]

CUT: Final = 10
"""Validation is judged by nDCG at this rank."""

EVERY: Final = 5
"""Rounds between two looks at the validation lists; a look costs about a third of a round."""

LABEL_GAIN: Final = tuple(2**grade - 1 for grade in range(6))
"""What a grade of 0 to 5 is worth, `2^g - 1`: 0, 1, 3, 7, 15, 31, as in `rankloop.metrics.ndcg`."""

_TINY: Final = np.finfo(np.float64).tiny
_RANGES: Final = (
    ("rounds", 1, np.inf),
    ("patience", 0, np.inf),
    ("learning_rate", _TINY, 1),
    ("num_leaves", 2, 131072),
    ("min_data_in_leaf", 1, np.inf),
    ("feature_fraction", _TINY, 1),
    ("bagging_fraction", _TINY, 1),
    ("lambda_l2", 0, np.inf),
    ("truncation_level", 1, np.inf),
    ("position_bias_regularization", 0, np.inf),
    ("threads", 1, np.inf),
)


@dataclass(frozen=True)
class Boosting:
    """How LambdaMART is grown.

    Attributes:
        rounds: trees at most.
        patience: rounds without a better validation nDCG@10 (as the mean of five looks) before it stops; 0 never stops.
        learning_rate: what share of each tree is added.
        num_leaves: leaves of a tree at most.
        min_data_in_leaf: rows in a leaf at least.
        feature_fraction: share of the features a tree may use.
        bagging_fraction: share of the requests a tree is grown on.
        lambda_l2: ridge penalty on leaf values.
        truncation_level: pairs count only where one of the two is ranked this high; a little above the cut of 10.
        unbiased: estimate and remove what the logged position adds to a grade.
        position_bias_regularization: with `unbiased`, pulls the estimated biases towards none.
        threads: cores for a fit. The same number gives the same bits; another changes the last ones.
    """

    rounds: int = 300
    patience: int = 75
    learning_rate: float = 0.06
    num_leaves: int = 15
    min_data_in_leaf: int = 50
    feature_fraction: float = 0.5
    bagging_fraction: float = 0.8
    lambda_l2: float = 1.0
    truncation_level: int = 15
    unbiased: bool = False
    position_bias_regularization: float = 0.0
    threads: int = 1

    def __post_init__(self) -> None:
        for name, lowest, highest in _RANGES:
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise ModelError(f"boosting: {name} is {value}; it must be in [{lowest:g}, {highest:g}]")

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """Reads a record, such as one from JSON.

        Raises:
            ModelError: it has a name this class does not know.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(record) - known):
            raise ModelError(f"boosting settings {unknown} are not known; known are {sorted(known)}")
        return cls(**record)

    def parameters(self, seed: int) -> dict[str, Any]:
        """The same in LightGBM's words; everything that could make two fits differ is fixed."""
        return {
            "objective": "lambdarank",
            "metric": "None",
            "label_gain": list(LABEL_GAIN),
            "lambdarank_truncation_level": self.truncation_level,
            "lambdarank_position_bias_regularization": self.position_bias_regularization,
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_data_in_leaf,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1 if self.bagging_fraction < 1 else 0,
            "bagging_by_query": True,
            "lambda_l2": self.lambda_l2,
            "seed": seed,
            "num_threads": self.threads,
            "deterministic": True,
            "force_row_wise": True,
            "feature_pre_filter": False,
            "verbosity": -1,
        }


def seed_of(rng: np.random.Generator) -> int:
    """LightGBM's seed: one draw."""
    return int(rng.integers(2**31 - 1))


class BoostingRun:
    """A booster that grows one tree a step, and says how well it orders the validation lists.

    The caller has checked the lists. Not a copy of LightGBM's own validation: that breaks ties by the order of the
    rows, which rewards a model for the logged order (and, where lists begin with the items acted upon, for nothing);
    here a tie is worth the mean over its orders, as in `rankloop.metrics.ndcg`.

    Args:
        boosting: how to grow.
        train: what to learn from.
        validation: what to measure on; None measures nothing.
        seed: of bagging and feature sampling.
    """

    def __init__(self, boosting: Boosting, train: Judged, validation: Judged | None, seed: int) -> None:
        if boosting.unbiased and not train.positions.any():
            raise ModelError("unbiased learning needs logged positions, and every position is 0; set unbiased to False")
        import lightgbm  # brings pandas and more, which whoever only scores need not hold

        self._boosting = boosting
        self._validation = validation
        parameters = boosting.parameters(seed)
        positions = train.positions if boosting.unbiased else None
        grown_on = lightgbm.Dataset(train.features, train.grades, group=train.sizes, position=positions, params=parameters)
        self.booster = lightgbm.Booster(parameters, grown_on)
        self._measured_on: Any = None
        if validation is not None:
            self._measured_on = lightgbm.Dataset(
                validation.features, validation.grades, reference=grown_on, group=validation.sizes, params=parameters
            )
            self.booster.add_valid(self._measured_on, "validation")

    def looks(self) -> Iterator[tuple[int, float]]:
        """Grows tree after tree; yields (rounds grown, validation nDCG@10) every few rounds and at the end.

        Ends when the rounds are used up, no tree can be split further, or patience is. nDCG is NaN without validation.
        """
        shown: list[tuple[int, float]] = []
        looked, rounds = 0, self._boosting.rounds
        exhausted = False
        while not exhausted and looked < rounds:
            exhausted = self.booster.update()
            grown = self.booster.current_iteration()
            if grown == looked or (grown % EVERY and grown < rounds and not exhausted):
                continue
            looked = grown
            shown.append((grown, self._ndcg()))
            yield shown[-1]
            if self._boosting.patience and self._validation and grown - best_round(tuple(shown)) >= self._boosting.patience:
                return

    def _ndcg(self) -> float:
        if self._validation is None or self._measured_on is None:
            return float("nan")
        judged = self._validation

        def measure(scores: npt.NDArray[np.float64], _: Any) -> tuple[str, float, bool]:
            return "ndcg", float(np.mean(ndcg(scores, judged.grades, judged.sizes, k=CUT))), True

        return float(self.booster.eval(self._measured_on, "validation", measure)[0][2])
