"""One independent stream of random numbers for each day and purpose."""

from typing import Final

import numpy as np

from rankloop.errors import DataError

__all__ = ["Streams"]

_PURPOSES: Final = ("world", "people", "jobs", "queries", "requests", "policy", "clicks", "shift")


class Streams:
    """Random streams named by purpose and day, so that a change on one day leaves every earlier day as it was.

    Args:
        rng: a seed (not negative), or a generator from which one seed is drawn.

    Example:
        >>> one, same = Streams(7).at("jobs", 3), Streams(7).at("jobs", 3)
        >>> one.integers(1000) == same.integers(1000)
        np.True_
    """

    def __init__(self, rng: int | np.random.Generator) -> None:
        self.seed = int(rng.integers(2**62)) if isinstance(rng, np.random.Generator) else int(rng)
        if self.seed < 0:
            raise DataError(f"rng = {self.seed}; a seed must not be negative")

    def at(self, purpose: str, day: int = 0) -> np.random.Generator:
        """The stream of one purpose on one day; day 0 is what lies before history, day 1 its first day."""
        return np.random.default_rng([self.seed, _PURPOSES.index(purpose), day])
