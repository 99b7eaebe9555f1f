"""Tasks that are done again and again: one that fails waits longer and longer, and never stops another."""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from rankloop.errors import RankloopError

__all__ = ["Task", "Worker"]

log = logging.getLogger(__name__)

_DOUBLINGS: Final = 16


class Task:
    """Something to do every so often.

    Args:
        name: for logs and counts.
        action: does it; an error means it was not done, and is tried again.
        every: seconds from the end of one time to the beginning of the next.
        longest: seconds at most between two tries.
        on_failure: told the name when it failed.
    """

    def __init__(
        self,
        name: str,
        action: Callable[[], None],
        *,
        every: float,
        longest: float = 60.0,
        on_failure: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name, self.due, self._failures = name, 0.0, 0
        self._action, self._every, self._longest, self._on_failure = action, every, longest, on_failure

    def attempt(self, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random) -> None:
        """Does it once, and says when it is due again: twice as late after each failure, give or take a half."""
        try:
            self._action()
        except Exception as error:  # whatever a driver raises, the other tasks must go on
            self._failures += 1
            self._on_failure(self.name)
            wait = min(self._longest, max(self._every, 0.1) * 2 ** min(self._failures, _DOUBLINGS)) * (0.5 + chance())
            trace = None if isinstance(error, RankloopError | OSError) else error
            log.warning("%s failed %d times: %s; again in %.1f s", self.name, self._failures, error, wait, exc_info=trace)
        else:
            if self._failures:
                log.info("%s works again after %d failures", self.name, self._failures)
            self._failures, wait = 0, self._every
        self.due = clock() + wait


class Worker:
    """A thread that does its tasks when they are due, in their order, until it is told to stop.

    Args:
        tasks: at least one.
        stop: ends it, after the task at hand.
    """

    def __init__(self, tasks: Sequence[Task], stop: threading.Event) -> None:
        self._tasks, self._stop = tuple(tasks), stop
        # a task that hangs in somebody's network must not keep the process from ending: all of them survive a kill
        self._thread = threading.Thread(target=self._run, name=f"curator-{self._tasks[0].name}", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def join(self, seconds: float) -> bool:
        """Waits for its end; returns whether it came."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            for task in self._tasks:
                if task.due <= time.monotonic() and not self._stop.is_set():
                    task.attempt()
            self._stop.wait(max(0.0, min(task.due for task in self._tasks) - time.monotonic()))
