"""A crowd that comes while its caller does something else, such as watch a canary."""

import asyncio
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from services.crowd.asking import Asking
from services.crowd.driving import Driver
from services.crowd.seen import Report, Seen

__all__ = ["Background"]


class Background:
    """Runs a driver in a thread of its own, until it ends or the block is left.

    Args:
        driver: not running yet; with `seconds` 0 its crowd comes until the block is left.
        asking: the driver's own, closed at the end.

    Attributes:
        report: of the whole run, once the block was left.
    """

    def __init__(self, driver: Driver, asking: Asking) -> None:
        self._driver, self._asking = driver, asking
        self._thread = threading.Thread(target=self._run, name="crowd", daemon=True)
        self._begun = threading.Event()
        self._stopping: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._error: BaseException | None = None
        self.report: Report | None = None

    @property
    def seen(self) -> Seen:
        """The counts so far."""
        return self._driver.seen

    def __enter__(self) -> Self:
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Lets nobody new come, waits for those who wait, and raises what ended the crowd early, if anything did."""
        assert self._stopping is not None
        loop, stopping = self._stopping
        with suppress(RuntimeError):  # its loop is closed: it has ended by itself
            loop.call_soon_threadsafe(stopping.set)
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._come())
        except BaseException as error:  # raised again where the block is left
            self._error = error

    async def _come(self) -> None:
        self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        try:
            self.report = await self._driver.run(self._stopping[1])
        finally:
            await self._asking.aclose()
