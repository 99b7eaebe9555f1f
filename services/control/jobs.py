"""What takes minutes, done beside the loop: one job at a time, so that two never want the same slot."""

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Jobs"]

log: Final = logging.getLogger("services.control")


class Jobs:
    """Runs one function at a time in a thread of its own; what it returned or raised waits until it is asked for.

    The thread ends with the process: a job that is cut off is begun again by whoever leads next.

    Args:
        beside: False runs a job where it is asked for, which tests want.
    """

    def __init__(self, *, beside: bool = True) -> None:
        self._beside = beside
        self._key: object = None
        self._thread: threading.Thread | None = None
        self._ended: dict[str, Any] | None = None

    @property
    def under_way(self) -> object:
        """The key of the job that runs, or whose outcome waits; None: there is none."""
        return self._key

    def outcome(self, key: object, work: Callable[[], Any]) -> tuple[bool, Any]:
        """Whether the job of this key has ended, and what it returned; it is begun where no job runs.

        The outcome is handed out once. That of another key is thrown away: nobody asks for it any more.

        Raises:
            Exception: what the job raised.
        """
        if self._thread is not None and self._thread.is_alive():
            return False, None
        if self._key != key or self._ended is None:
            self._begin(key, work)
        if self._ended is None:
            return False, None
        ended, self._ended, self._key, self._thread = self._ended, None, None, None
        if "raised" in ended:
            raise ended["raised"]
        return True, ended["returned"]

    def _begin(self, key: object, work: Callable[[], Any]) -> None:
        self._key, self._ended = key, None

        def job() -> None:
            try:
                ended = {"returned": work()}
            except Exception as error:
                ended = {"raised": error}
            self._ended = ended

        if not self._beside:
            job()
            return
        self._thread = threading.Thread(target=job, name=f"job {key}", daemon=True)
        self._thread.start()
