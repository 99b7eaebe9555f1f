"""A generator of load that hides no queueing: every moment of sending is fixed before the first request leaves.

A generator that waits for an answer before it sends the next request asks less of a system that is slow, and never
sees the requests that people would have sent meanwhile ("coordinated omission"). Here a request that finds every
connection busy waits, and its latency counts from the moment at which it was to be sent. The closed loop, which does
wait, is beside it, for what one client sees and for how much a system can do.
"""

import asyncio
import multiprocessing
import selectors
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from typing import Any, Final, Self

import numpy as np

from benchmarks.load.http import Connection, Done
from benchmarks.load.timing import NO_ANSWER, Floats, Sent

__all__ = ["Generator", "closed", "fire"]

_LEAD_S: Final = 0.2
Mark = Callable[[bytes], int]
Address = tuple[str, int]


class Generator:
    """A process of its own that sends, so that what the caller does meanwhile delays nothing.

    Use as a context manager; its process ends with it.
    """

    def __enter__(self) -> Self:
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self._pool.submit(time.monotonic).result()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def fire(self, address: Address, requests: Sequence[bytes], at: Floats, **options: Any) -> "Future[Sent]":
        """`fire` in the process: the answers come with the future."""
        return self._pool.submit(fire, address, requests, at, **options)

    def closed(self, address: Address, requests: Sequence[bytes], **options: Any) -> Sent:
        """`closed` in the process, to its end."""
        return self._pool.submit(closed, address, requests, **options).result()


def fire(
    address: Address,
    requests: Sequence[bytes],
    at: Floats,
    *,
    connections: int = 200,
    give_up: float = 10.0,
    mark: Mark | None = None,
) -> Sent:
    """Sends request `i` (of `requests`, again from the first behind the last) at moment `at[i]`, come what may.

    Args:
        address: host and port.
        requests: whole HTTP/1.1 requests.
        at: `(n,)` seconds from the start, ascending.
        connections: how many are open at most; a request that finds none free waits, and its latency counts that.
        give_up: seconds from the intended moment after which a request has failed; its connection is closed.
        mark: reads a number in the body of an answer; a function of a module.
    """
    return _run(_Open(address, requests, at, connections, give_up, mark).run())


def closed(
    address: Address,
    requests: Sequence[bytes],
    *,
    clients: int,
    seconds: float = 0.0,
    count: int = 0,
    give_up: float = 30.0,
    mark: Mark | None = None,
) -> Sent:
    """Clients that each send the next request when the last one was answered, for `seconds` or until `count` were sent.

    Its latencies are those of a system that is asked no faster than it answers.
    """
    return _run(_closed(address, requests, clients, seconds, count, give_up, mark))


def _run(work: Any) -> Sent:
    # the usual selector waits in whole milliseconds, which would be seen in latencies of a few
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    try:
        sent: Sent = loop.run_until_complete(work)
        return sent
    finally:
        loop.close()


class _Open:
    """The open loop: a schedule, the connections, and those that wait for one."""

    def __init__(
        self, address: Address, requests: Sequence[bytes], at: Floats, connections: int, give_up: float, mark: Mark | None
    ) -> None:
        self.address, self.requests, self.at, self.give_up, self.mark = address, requests, at, give_up, mark
        self.limit, self.open = connections, 0
        self.idle: list[Connection] = []
        self.waiting: deque[int] = deque()
        shape, none = len(at), np.full(len(at), np.nan)
        self.rows = Sent(
            np.zeros(shape), none, none.copy(), np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.arange(shape)
        )
        self.left = shape

    async def run(self) -> Sent:
        self.loop = asyncio.get_running_loop()
        self.ended = self.loop.create_future()
        await self._warm()
        start = self.loop.time() + _LEAD_S
        self.rows.intended[:] = start + self.at
        if self.left:
            self._next(0)
            await self.ended
        for connection in self.idle:
            connection.close()
        return self.rows

    async def _warm(self) -> None:
        """Opens a few connections ahead: the first requests are no test of the handshake."""
        for _ in range(min(self.limit, 8)):
            with suppress(OSError):
                self.idle.append(await Connection.open(self.loop, self.address))
                self.open += 1

    def _next(self, number: int) -> None:
        """Sends what is due, and comes back when the next one is."""
        now = self.loop.time()
        while number < len(self.at) and self.rows.intended[number] <= now:
            self._start(number)
            number += 1
        if number < len(self.at):
            self.loop.call_at(self.rows.intended[number], self._next, number)

    def _start(self, number: int) -> None:
        self.loop.call_at(self.rows.intended[number] + self.give_up, self._late, number)
        while self.idle:
            connection = self.idle.pop()
            if connection.usable:
                return self._send(connection, number)
            self.open -= 1
        self.waiting.append(number)
        if self.open < self.limit:
            self.open += 1
            self.loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            connection = await Connection.open(self.loop, self.address)
        except OSError:
            self.open -= 1
            if self.waiting:
                self._end(self.waiting.popleft(), NO_ANSWER, b"")
            return
        self._freed(connection)

    def _freed(self, connection: Connection) -> None:
        while self.waiting:
            number = self.waiting.popleft()
            if np.isnan(self.rows.done[number]):
                return self._send(connection, number)
        self.idle.append(connection)

    def _send(self, connection: Connection, number: int) -> None:
        self.rows.sent[number] = self.loop.time()

        def over(status: int, body: bytes) -> None:
            self._end(number, status, body)
            if connection.usable:
                self._freed(connection)
                return
            self.open -= 1
            if self.waiting:
                self.open += 1
                self.loop.create_task(self._connect())

        connection.send(self.requests[number % len(self.requests)], over, self.rows.intended[number] + self.give_up)

    def _late(self, number: int) -> None:
        if np.isnan(self.rows.done[number]) and np.isnan(self.rows.sent[number]):
            self._end(number, NO_ANSWER, b"")

    def _end(self, number: int, status: int, body: bytes) -> None:
        if not np.isnan(self.rows.done[number]):
            return
        self.rows.done[number], self.rows.status[number] = self.loop.time(), status
        if self.mark is not None and status // 100 == 2:
            self.rows.mark[number] = self.mark(body)
        self.left -= 1
        if not self.left:
            self.ended.set_result(None)


async def _closed(
    address: Address, requests: Sequence[bytes], clients: int, seconds: float, count: int, give_up: float, mark: Mark | None
) -> Sent:
    loop = asyncio.get_running_loop()
    rows: list[tuple[float, float, int, int, int]] = []
    numbers = iter(range(count)) if count else iter(int, 1)
    sent = 0
    until = loop.time() + seconds if seconds else float("inf")

    async def client() -> None:
        nonlocal sent
        connection: Connection | None = None
        while loop.time() < until and next(numbers, None) is not None:
            number, sent = sent, sent + 1
            request = requests[number % len(requests)]
            began = loop.time()
            answer: Done = (NO_ANSWER, b"")
            with suppress(OSError):
                if connection is None or not connection.usable:
                    connection = await Connection.open(loop, address)
                answer = await connection.ask(request, loop.time() + give_up)
            seen = mark(answer[1]) if mark is not None and answer[0] // 100 == 2 else 0
            rows.append((began, loop.time(), answer[0], seen, number))
        if connection is not None:
            connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    began_at, done, status, marks, asked = map(np.array, zip(*rows, strict=True) if rows else [()] * 5)
    return Sent(began_at, began_at, done, status.astype(np.int64), marks.astype(np.int64), asked.astype(np.int64))
