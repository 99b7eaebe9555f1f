"""An alarm for a stream of predictions whose labels come: has the error rate risen above what was promised?

Labels of a stream are not independent: the error of this half hour is like that of the last. A test that takes them so (DDM,
ADWIN, Page-Hinkley as they are mostly used) counts one bad afternoon as fifty proofs. Here rows are put in blocks as long as
the rhythm of the data (a day); a block is one observation; what a block says of the next is taken off by the reference's own
first autocorrelation; and the spread is that of the reference's blocks. What is left is tested by an e-detector: the likelihood
ratios of a rise that began at any block so far, summed. It may be looked at after every block: without a rise an alarm comes on
average no sooner than after the number of blocks that is asked for.

Source: A. Shiryaev 1963, S. Roberts 1966 (the statistic); J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: A Nonparametric
Framework for Sequential Change Detection", New England J. Statist. Data Sci. 2023 (the bound, and mixtures). Beside it: J. Gama
et al., "Learning with Drift Detection", SBIA 2004 (DDM); A. Bifet, R. Gavalda, "Learning from Time-Changing Data with Adaptive
Windowing", SDM 2007 (ADWIN); A. Bifet, "Classifier Concept Drift Detection and the Illusion of Progress", 2017 (why an alarm on
autocorrelated labels must be held against a forecast of no change).
"""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.errors import DataError

__all__ = ["Alarm", "ErrorWatch", "Promise"]

_BETS: Final = np.array([0.25, 0.5, 1.0, 2.0])
"""Sizes of a change, in standard deviations of a block, that the mixture bets on."""

_FEWEST: Final = 10
_LARGEST: Final = 3.0
"""No single block counts for more than so many standard deviations."""


class Promise(NamedTuple):
    """What a model's errors were on rows it had not learned from.

    Attributes:
        error: mean error of the blocks.
        spread: standard deviation of a block, after what the block before says of it.
        carry: how much of a block's distance from the mean the next one keeps, 0 to 0.9.
        blocks: how many.
    """

    error: float
    spread: float
    carry: float
    blocks: int

    @classmethod
    def of(cls, blocks: npt.ArrayLike) -> "Promise":
        """From the mean error of each of at least ten blocks, in order.

        Raises:
            DataError: fewer than ten blocks.

        Example:
            >>> Promise.of([0.2, 0.3] * 10).error
            0.25
        """
        errors = np.asarray(blocks, np.float64)
        if errors.ndim != 1 or len(errors) < _FEWEST:
            raise DataError(f"{errors.shape} blocks cannot say how much errors vary; give at least {_FEWEST} in a row")
        away = errors - errors.mean()
        whole = float((away**2).sum())
        # a short series shows too little of it: Kendall's correction
        first = float((away[1:] * away[:-1]).sum()) / whole if whole else 0.0
        carry = min(max((len(errors) * first + 1) / (len(errors) - 3), 0.0), 0.9)
        left = away[1:] - carry * away[:-1]
        return cls(float(errors.mean()), max(float(np.sqrt((left**2).mean())), 1e-3), carry, len(errors))

    @property
    def uncertain(self) -> float:
        """The standard error of `error`, its autocorrelation included."""
        return self.spread / (1 - self.carry) / math.sqrt(self.blocks)


class Alarm(NamedTuple):
    """A rise of the error rate.

    Attributes:
        block: at which it was noticed, counted from 0 at the beginning of the watch.
        since: the block from which on it most likely is.
        error: mean error since then.
        promised: what it should be at most.
    """

    block: int
    since: int
    error: float
    promised: float


class ErrorWatch:
    """Watches a model's errors, block by block, and says when they have risen.

    It does not see a loss smaller than `tolerance`, nor one that the reference's own ups and downs hide.

        z_t = (x_t - carry max(x_(t-1), 0)) / spread, at most 3;  x_t = error_t - (promise + uncertainty + tolerance)
        R_t(b) = (1 + R_(t-1)(b)) exp(b z_t - b^2 / 2);    alarm when the mean over the bets b is at least `quiet`

    Args:
        promise: errors on rows the model had not learned from.
        tolerance: a rise that is nobody's business.
        quiet: blocks between two false alarms, on average at least.

    Raises:
        DataError: `tolerance` is negative or `quiet` below 10.

    Example:
        >>> watch = ErrorWatch(Promise(error=0.2, spread=0.05, carry=0.0, blocks=100))
        >>> [watch.take(error) is None for error in (0.2, 0.22, 0.18)]
        [True, True, True]
        >>> alarms = [watch.take(0.4) for _ in range(6)]
        >>> next(alarm.since for alarm in alarms if alarm)
        3
    """

    def __init__(self, promise: Promise, *, tolerance: float = 0.02, quiet: int = 365) -> None:
        if tolerance < 0 or quiet < 10:
            raise DataError(f"tolerance {tolerance} must not be negative, and quiet {quiet} at least 10 blocks")
        self.promise, self.quiet = promise, quiet
        self.limit = promise.error + promise.uncertain + tolerance
        self._evidence = np.zeros(len(_BETS))
        self._errors: list[float] = []

    @property
    def evidence(self) -> float:
        """How much speaks for a rise; an alarm from `quiet` on."""
        return float(self._evidence.mean())

    def take(self, error: float) -> Alarm | None:
        """Takes the mean error of the next block.

        Returns:
            An alarm while the evidence is at least `quiet`; begin a new watch after acting on it.

        Raises:
            DataError: it is not between 0 and 1.
        """
        if not 0 <= error <= 1:
            raise DataError(f"the mean error of a block is {error}; it is a share between 0 and 1")
        before = self._errors[-1] - self.limit if self._errors else 0.0
        # what was good before is no excuse, and what was bad is not counted twice
        kept = self.promise.carry * max(before, 0.0)
        away = min((error - self.limit - kept) / self.promise.spread, _LARGEST)
        self._errors.append(error)
        self._evidence = (1 + self._evidence) * np.exp(_BETS * away - _BETS**2 / 2)
        return self._alarm() if self.evidence >= self.quiet else None

    def _alarm(self) -> Alarm:
        above = np.array(self._errors) - self.limit
        since = int(np.argmax(np.cumsum(above[::-1])[::-1]))
        return Alarm(len(self._errors) - 1, since, float(np.mean(self._errors[since:])), self.limit)
