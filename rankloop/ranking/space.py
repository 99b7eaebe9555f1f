"""Which settings a search may try: data, and the points drawn from it."""

from dataclasses import asdict, dataclass
from typing import Final, Literal

import numpy as np
from scipy.stats import qmc

from rankloop.errors import SettingsError
from rankloop.ranking.boosting import Boosting

__all__ = ["SPACE", "Dimension", "draw"]


@dataclass(frozen=True)
class Dimension:
    """One setting of `Boosting` and the range it is searched in.

    Attributes:
        name: the setting.
        low: the lowest value.
        high: the highest value.
        scale: `log` where a factor matters, `linear` where a difference does.
        whole: whether only whole numbers make sense.
    """

    name: str
    low: float
    high: float
    scale: Literal["log", "linear"] = "linear"
    whole: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.scale == "log" and self.low <= 0):
            raise SettingsError(f"{self.name}: [{self.low}, {self.high}] is no {self.scale} range; low < high, above 0 for log")

    def at(self, share: float) -> float:
        """The value at a share of the way from low to high.

        Example:
            >>> Dimension("num_leaves", 8, 128, "log", whole=True).at(0.5)
            32
        """
        if self.scale == "log":
            value = float(np.exp(np.log(self.low) + share * (np.log(self.high) - np.log(self.low))))
        else:
            value = self.low + share * (self.high - self.low)
        return round(value) if self.whole else float(f"{value:.6g}")


SPACE: Final = (
    Dimension("learning_rate", 0.02, 0.2, "log"),
    Dimension("num_leaves", 4, 63, "log", whole=True),
    Dimension("min_data_in_leaf", 10, 400, "log", whole=True),
    Dimension("feature_fraction", 0.25, 1.0),
    Dimension("bagging_fraction", 0.5, 1.0),
    Dimension("lambda_l2", 0.01, 30.0, "log"),
    Dimension("truncation_level", 10, 40, whole=True),
)
"""What is searched."""


def draw(base: Boosting, trials: int, space: tuple[Dimension, ...], *, rng: np.random.Generator) -> tuple[Boosting, ...]:
    """The settings of each trial: first `base` itself, then a scrambled Halton sequence over the space.

    Not independent draws: a Halton sequence leaves smaller gaps. More trials with the same seed begin with the same.

    Args:
        base: what is not searched, and the first trial.
        trials: how many.
        space: what is searched.
        rng: the only source of randomness.

    Source: J. Halton, "On the efficiency of certain quasi-random sequences of points", 1960; A. Owen, "A randomized
    Halton algorithm in R", 2017.
    """
    points = qmc.Halton(len(space), scramble=True, rng=rng).random(trials - 1)  # (trials - 1, dimensions)
    places = ({one.name: one.at(share) for one, share in zip(space, point, strict=True)} for point in points)
    return base, *(Boosting.of(asdict(base) | place) for place in places)
