"""What a system does when it is asked for more than it can: the steps of a ramp, and the way back."""

from typing import Any, NamedTuple

import numpy as np

from benchmarks.load.timing import Floats, Sent, steps

__all__ = ["Ramp", "ramp"]

_REFUSED = 503


class Ramp(NamedTuple):
    """Rates one after the other, each for as long, and a quiet time behind.

    Attributes:
        rates: requests a second.
        seconds: of each rate.
        quiet: requests a second, behind.
        quiet_seconds: how long.
    """

    rates: list[float]
    seconds: float
    quiet: float
    quiet_seconds: float

    @property
    def loud(self) -> float:
        """Seconds from the start to the quiet time."""
        return len(self.rates) * self.seconds

    def at(self, *, rng: np.random.Generator) -> Floats:
        """The moments of sending."""
        behind = steps([self.quiet], self.quiet_seconds, rng=rng) + self.loud
        return np.concatenate([steps(self.rates, self.seconds, rng=rng), behind])

    def figures(self, rows: Sent, start: float) -> dict[str, dict[str, Any]]:
        """What became of the requests of each rate.

        Args:
            rows: what was sent at the moments of `at`.
            start: the moment that is 0 there.
        """
        ends = [*((number + 1) * self.seconds for number in range(len(self.rates))), self.loud + self.quiet_seconds]
        found, begin = {}, 0.0
        for number, end in enumerate(ends):
            offset = rows.intended - start
            part = rows.where((offset >= begin) & (offset < end))
            name = f"offered {(*self.rates, self.quiet)[number]:.0f}/s" + (" after it" if number == len(self.rates) else "")
            found[name] = shares(part) | {"answered_per_s": len(part.answered().done) / (end - begin)}
            begin = end
        return found

    def recovered(self, rows: Sent, start: float, *, limit_ms: float) -> float:
        """Seconds of the quiet time after which no second has a refusal, a failure, or 1 % above the limit.

        The length of the quiet time where that never comes.
        """
        offset, last = rows.intended - start - self.loud, 0.0
        for second in range(int(self.quiet_seconds)):
            part = rows.where((offset >= second) & (offset < second + 1))
            if part.failed or part.at_ms(0.99) >= limit_ms:
                last = second + 1.0
        return last


def ramp(capacity: float, *, seconds: float, quiet_seconds: float) -> Ramp:
    """From half the capacity to twice, and back to half."""
    return Ramp([capacity * share for share in (0.5, 1.0, 1.5, 2.0)], seconds, capacity * 0.5, quiet_seconds)


def shares(rows: Sent) -> dict[str, Any]:
    """How requests ended, as shares, and how long answers took."""
    n = max(len(rows.status), 1)
    refused, good = int((rows.status == _REFUSED).sum()), rows.answered()
    return {
        "requests": len(rows.status),
        "refused_share": refused / n,
        "failed_otherwise": rows.failed - refused,
        "degraded_share": float((good.mark > 0).mean()) if len(good.mark) else 0.0,
        "p50_ms": rows.at_ms(0.5),
        "p99_ms": rows.at_ms(0.99),
    }
