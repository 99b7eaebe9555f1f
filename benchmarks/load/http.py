"""As much of HTTP/1.1 as a client needs that sends bytes made before: one request at a time on a kept connection."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final, Self, cast

from benchmarks.load.timing import NO_ANSWER

__all__ = ["Connection", "Done", "Reader", "get", "post"]

Done = tuple[int, bytes]
_END: Final = b"\r\n\r\n"


def post(path: str, body: Any, **headers: str) -> bytes:
    """A whole request with a JSON body; `body` may be bytes that are JSON already.

    Example:
        >>> post("/v1/x", {"k": 1}).decode().splitlines()[0]
        'POST /v1/x HTTP/1.1'
    """
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Host": "bench", "Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + content


def get(path: str) -> bytes:
    """A whole request without a body."""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


class Reader:
    """Puts one answer together from the pieces in which it comes.

    Example:
        >>> reader = Reader()
        >>> reader.feed(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\no")
        False
        >>> reader.feed(b"k"), reader.status, reader.body
        (True, 200, b'ok')
    """

    def __init__(self) -> None:
        self.status, self.body, self.keep = NO_ANSWER, b"", True
        self._got, self._start, self._length = bytearray(), -1, -1

    def feed(self, piece: bytes) -> bool:
        """Takes a piece; whether the answer is whole.

        Raises:
            ValueError: it is not HTTP.
        """
        self._got += piece
        if self._start < 0 and not self._head():
            return False
        if self._length >= 0:
            whole = len(self._got) - self._start >= self._length
            if whole:
                self.body = bytes(self._got[self._start : self._start + self._length])
            return whole
        if not self._got.endswith(b"0" + _END):
            return False
        self.body = _unchunked(bytes(self._got[self._start :]))
        return True

    def _head(self) -> bool:
        end = self._got.find(_END)
        if end < 0:
            return False
        first, *lines = bytes(self._got[:end]).split(b"\r\n")
        self._start, self.status = end + len(_END), int(first.split(b" ", 2)[1])
        fields = {name.lower(): value.strip().lower() for name, _, value in (line.partition(b":") for line in lines)}
        self.keep = fields.get(b"connection") != b"close"
        chunked = fields.get(b"transfer-encoding") == b"chunked"
        self._length = -1 if chunked else int(fields.get(b"content-length", b"0"))
        return True


def _unchunked(text: bytes) -> bytes:
    parts = []
    while text:
        size, _, text = text.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        parts.append(text[:length])
        text = text[length + 2 :]
    return b"".join(parts)


class Connection(asyncio.Protocol):
    """One connection; `usable` while it is open and nothing is asked on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._transport = loop, cast(asyncio.Transport, None)
        self._over: Callable[[int, bytes], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._open = True

    @classmethod
    async def open(cls, loop: asyncio.AbstractEventLoop, address: tuple[str, int]) -> Self:
        """Connects.

        Raises:
            OSError: nobody listens there.
        """
        _, connection = await loop.create_connection(lambda: cls(loop), *address)
        return connection

    @property
    def usable(self) -> bool:
        """Whether a request can be sent now."""
        return self._open and self._over is None

    def send(self, request: bytes, over: Callable[[int, bytes], None], give_up: float) -> None:
        """Sends; `over(status, body)` is called once, at the latest at `give_up` on the loop's clock."""
        self._over, self._reader = over, Reader()
        self._timer = self._loop.call_at(give_up, self.close)
        self._transport.write(request)

    async def ask(self, request: bytes, give_up: float) -> Done:
        """Sends, and waits for the answer."""
        answer: asyncio.Future[Done] = self._loop.create_future()
        self.send(request, lambda status, body: answer.set_result((status, body)), give_up)
        return await answer

    def close(self) -> None:
        """Ends it; a request that waits for its answer has failed."""
        self._open = False
        self._transport.abort()
        self._end(NO_ANSWER, b"")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio's protocol."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Part of asyncio's protocol."""
        if self._over is None:  # bytes that nobody asked for: what comes next could not be told from an answer
            return self.close()
        try:
            whole = self._reader.feed(data)
        except (ValueError, IndexError):
            return self.close()
        if whole:
            if not self._reader.keep:
                self._open = False
                self._transport.close()
            self._end(self._reader.status, self._reader.body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio's protocol."""
        self._open = False
        self._end(NO_ANSWER, b"")

    def eof_received(self) -> bool:
        """Part of asyncio's protocol."""
        self._open = False
        return False

    def _end(self, status: int, body: bytes) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        over, self._over = self._over, None
        if over is not None:
            over(status, body)
