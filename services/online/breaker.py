"""Not to wait again for what has just failed."""

import threading
import time
from collections.abc import Callable

__all__ = ["Breaker"]


class Breaker:
    """Says whether a call is worth trying: after a failure, not for a while; then one caller tries for all.

    Args:
        rest: seconds after a failure in which nobody tries.
        clock: seconds that only go up.

    Example:
        >>> now = 0.0
        >>> breaker = Breaker(0.5, clock=lambda: now)
        >>> breaker.failed(); breaker.admits()
        False
        >>> now = 0.6
        >>> breaker.admits(), breaker.admits()
        (True, False)
        >>> breaker.succeeded(); breaker.admits()
        True
    """

    def __init__(self, rest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rest, self._clock = rest, clock
        self._until: float | None = None
        self._lock = threading.Lock()

    def admits(self) -> bool:
        """Whether this caller may try; who is admitted after a rest tells the others by `failed` or `succeeded`."""
        if self._until is None:
            return True
        with self._lock:
            now = self._clock()
            if self._until is not None and now < self._until:
                return False
            self._until = now + self._rest
            return True

    def failed(self) -> None:
        """Begins a rest."""
        self._until = self._clock() + self._rest

    def succeeded(self) -> None:
        """Lets everybody through."""
        self._until = None
