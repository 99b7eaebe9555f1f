"""When requests are sent, and what became of each: the numbers behind every figure of the online path."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["NO_ANSWER", "Sent", "evenly", "joined", "poisson", "steps"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NO_ANSWER: Final = 0
"""Stands for a status where the connection broke or the client gave up."""


class Sent(NamedTuple):
    """One row a request; moments in seconds of the machine's monotonic clock, so that several processes' compare.

    Attributes:
        intended: `(n,)` when it was to be sent, fixed before the first was.
        sent: `(n,)` when its bytes left; NaN where no connection came free before the client gave up.
        done: `(n,)` when its last byte came back, or when it failed.
        status: `(n,)` of HTTP; `NO_ANSWER` where there was none.
        mark: `(n,)` what the caller's function read in the body, 0 without one.
        number: `(n,)` which request it was, counted on where they are sent again from the first.
    """

    intended: Floats
    sent: Floats
    done: Floats
    status: Ints
    mark: Ints
    number: Ints

    @property
    def ms(self) -> Floats:
        """Latency from the intended moment, milliseconds: a request that waits because others are late is late too."""
        return (self.done - self.intended) * 1e3

    @property
    def failed(self) -> int:
        """Requests that were not answered with 2xx."""
        return int((self.status // 100 != 2).sum())

    @property
    def statuses(self) -> dict[str, int]:
        """How many of each status that is not 2xx; `none` where there was no answer."""
        values, counts = np.unique(self.status[self.status // 100 != 2], return_counts=True)
        return {str(value) if value else "none": int(count) for value, count in zip(values.tolist(), counts, strict=True)}

    def where(self, mask: npt.NDArray[np.bool_] | Ints) -> "Sent":
        """The rows of a mask, or those named, in that order."""
        floats = (self.intended[mask], self.sent[mask], self.done[mask])
        return Sent(*floats, self.status[mask], self.mark[mask], self.number[mask])

    def answered(self) -> "Sent":
        """The rows that were answered with 2xx."""
        return self.where(self.status // 100 == 2)

    def at_ms(self, quantile: float) -> float:
        """A quantile of the latency of what was answered, milliseconds; NaN where nothing was.

        Example:
            >>> one = np.array([1.0])
            >>> Sent(one, one, one + 0.25, np.array([200]), np.array([0]), np.array([0])).at_ms(0.99)
            250.0
        """
        ms = self.answered().ms
        return float(np.quantile(ms, quantile)) if len(ms) else float("nan")

    @property
    def per_second(self) -> float:
        """Answered requests a second, from the first intended moment to the last answer."""
        good = self.answered()
        return len(good.done) / (good.done.max() - self.intended.min()) if len(good.done) else 0.0

    def figures(self) -> dict[str, Any]:
        """The usual quantiles and counts, for a record."""
        return {
            "requests": len(self.done),
            "per_s": self.per_second,
            **{f"p{name}_ms": self.at_ms(share) for name, share in (("50", 0.5), ("90", 0.9), ("99", 0.99), ("99.9", 0.999))},
            "failed": self.failed,
        }


def joined(parts: Sequence[Sent]) -> Sent:
    """The rows of several generators or processes, in the order of their intended moments."""
    whole = Sent(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))  # type: ignore[arg-type]
    return whole.where(np.argsort(whole.intended, kind="stable"))


def evenly(rate: float, seconds: float) -> Floats:
    """Offsets of `rate` requests a second at equal distances, seconds.

    Example:
        >>> evenly(4, 1).tolist()
        [0.0, 0.25, 0.5, 0.75]
    """
    return np.arange(round(rate * seconds)) / rate


def poisson(rate: float, seconds: float, *, rng: np.random.Generator) -> Floats:
    """Offsets of `rate` requests a second that do not know of each other, as many people are, seconds."""
    return np.sort(rng.uniform(0, seconds, rng.poisson(rate * seconds)))


def steps(rates: list[float], seconds: float, *, rng: np.random.Generator) -> Floats:
    """Offsets at one rate after the other, each for as many seconds."""
    return np.concatenate([poisson(rate, seconds, rng=rng) + number * seconds for number, rate in enumerate(rates)])
