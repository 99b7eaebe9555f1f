"""How much time is left for an answer, and whether a stage fits into it."""

import time
from typing import Final

__all__ = ["Deadline", "StageTime"]

_LEARN: Final = 0.05
_FORGET: Final = 0.98


class Deadline:
    """The moment by which an answer is due; it starts to run when it is made.

    Args:
        seconds: how long an answer may take.
        waited: how much of that had passed before the request reached this process, seconds.
    """

    def __init__(self, seconds: float, waited: float = 0.0) -> None:
        self._began = time.perf_counter()
        self._end = self._began + seconds - waited

    def left(self) -> float:
        """Seconds until the answer is due; negative where it is late."""
        return self._end - time.perf_counter()

    def passed(self) -> float:
        """Seconds since it was made."""
        return time.perf_counter() - self._began


class StageTime:
    """How long a stage usually takes at the most: the moving mean plus four mean deviations.

    What was skipped cannot be measured, so every skip lowers the expectation a little: the stage is tried again.

    Source: the retransmission timer of RFC 6298, whose smoothing serves the same end.

    Example:
        >>> rank = StageTime()
        >>> rank.took(0.002)
        >>> rank.fits(0.02), rank.fits(0.001)
        (True, False)
    """

    def __init__(self) -> None:
        self._mean, self._deviation = 0.0, 0.0

    def took(self, seconds: float) -> None:
        """Notes one measurement; the first sets the mean."""
        if not self._mean:
            self._mean = seconds
            return
        self._deviation += _LEARN * (abs(seconds - self._mean) - self._deviation)
        self._mean += _LEARN * (seconds - self._mean)

    def fits(self, seconds: float) -> bool:
        """Whether the stage can be expected to end within `seconds`; a no counts as a skip."""
        if self._mean + 4 * self._deviation <= seconds:
            return True
        self._mean, self._deviation = self._mean * _FORGET, self._deviation * _FORGET
        return False
