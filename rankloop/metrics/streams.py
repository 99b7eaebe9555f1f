"""Means with intervals over queries that come one by one, in a memory that does not grow."""

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from rankloop.errors import DataError
from rankloop.metrics._ranked import Floats
from rankloop.metrics.intervals import Interval

__all__ = ["Distinct", "RunningMean", "resample_weights"]

_KEPT_HASHES: Final = 256
_HASHES: Final = 2**64


@lru_cache(maxsize=1024)
def resample_weights(unit: str, resamples: int) -> npt.NDArray[np.int64]:
    """How often a unit is drawn in each resample: Poisson(1), the same whenever the unit comes again.

    Args:
        unit: a user id, say.
        resamples: how many.
    """
    return np.random.default_rng(xxhash.xxh64_intdigest(unit.encode())).poisson(1.0, resamples)


class Distinct:
    """How many different units were seen: exactly up to some hundreds, then to about 6 %.

    It holds hashes, and no unit can be read out of it.

    Args:
        smallest: what `smallest` of another one gave; empty at the beginning.

    Source: Z. Bar-Yossef et al., "Counting Distinct Elements in a Data Stream", RANDOM 2002.

    Example:
        >>> seen = Distinct()
        >>> for unit in ("ann", "bo", "ann"):
        ...     seen.add(unit)
        >>> seen.count
        2
    """

    def __init__(self, smallest: Sequence[int] = ()) -> None:
        self.smallest = sorted(smallest)

    def add(self, unit: str) -> None:
        """Sees a unit."""
        digest = xxhash.xxh64_intdigest(unit.encode(), 1)
        at = bisect_left(self.smallest, digest)
        if at < _KEPT_HASHES and self.smallest[at : at + 1] != [digest]:
            self.smallest.insert(at, digest)
            del self.smallest[_KEPT_HASHES:]

    @property
    def count(self) -> int:
        """Different units so far."""
        if len(self.smallest) < _KEPT_HASHES:
            return len(self.smallest)
        return round((_KEPT_HASHES - 1) * _HASHES / self.smallest[-1])


class RunningMean:
    """A mean over queries with a percentile interval from resampling units, as the queries come.

    The counterpart of `bootstrap_mean` for a stream: each unit is drawn Poisson(1) times in each resample, always as often
    in the same one, so a unit's queries stay together however far apart they come.

    Args:
        sums: `(1 + resamples,)` what `sums` of another one gave: the plain sum, then that of each resample.
        counts: `(1 + resamples,)` likewise; both None at the beginning.
        dropped: queries without a value so far.
        resamples: how many, at the beginning.

    Raises:
        DataError: the two do not fit.

    Source: N. Chamandy, O. Muralidharan, A. Najmi, S. Naidu, "Estimating Uncertainty for Massive Data Streams", 2012.

    Example:
        >>> mean = RunningMean()
        >>> for value, unit in ((1.0, "ann"), (0.0, "bo"), (float("nan"), "cy")):
        ...     mean.add(value, unit)
        >>> found = mean.interval(units=3)
        >>> found.mean, found.queries, found.dropped
        (0.5, 2, 1)
    """

    def __init__(
        self,
        sums: Sequence[float] | None = None,
        counts: Sequence[float] | None = None,
        dropped: int = 0,
        *,
        resamples: int = 200,
    ) -> None:
        self.sums: Floats = np.zeros(1 + resamples) if sums is None else np.array(sums, np.float64)
        self.counts: Floats = np.zeros(1 + resamples) if counts is None else np.array(counts, np.float64)
        self.dropped = dropped
        if self.sums.shape != self.counts.shape or self.sums.ndim != 1 or len(self.sums) < 2:
            raise DataError(f"sums {self.sums.shape} and counts {self.counts.shape} do not fit; give what another one had")

    def add(self, value: float, unit: str) -> None:
        """Takes one query's value; NaN is dropped and counted."""
        if np.isnan(value):
            self.dropped += 1
            return
        weights = resample_weights(unit, len(self.sums) - 1)
        self.sums[0] += value
        self.counts[0] += 1
        self.sums[1:] += value * weights
        self.counts[1:] += weights

    def interval(self, units: int, *, level: float = 0.95) -> Interval:
        """The mean so far.

        Args:
            units: from how many units it is.
            level: coverage wanted, in (0, 1).

        Returns:
            The mean with its interval; no bounds (NaN) with fewer than two units, no mean without a value.
        """
        if not self.counts[0]:
            return Interval(np.nan, np.nan, np.nan, 0, 0, self.dropped)
        mean, queries = float(self.sums[0] / self.counts[0]), int(self.counts[0])
        drawn = self.counts[1:] > 0
        if units < 2 or not drawn.any():
            return Interval(mean, np.nan, np.nan, queries, units, self.dropped)
        lower, upper = np.quantile(self.sums[1:][drawn] / self.counts[1:][drawn], [(1 - level) / 2, (1 + level) / 2])
        return Interval(mean, float(lower), float(upper), queries, units, self.dropped)
