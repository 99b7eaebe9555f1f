"""Asks another slot for its part of an answer: HTTP/1.1 over kept connections.

Beside a client for everybody it does one thing: when `ask` returns, the request is in the kernel's hands. The other slot
works while the caller's own engine holds the event loop.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from rankloop.errors import PartMissing

__all__ = ["Pending", "Reply", "SlotClient"]

_MOST_BYTES: Final = 16 << 20


class Reply(NamedTuple):
    """What came back.

    Attributes:
        status: the HTTP status.
        headers: by name, in lower case; of a repeated one the last.
        body: all of it.
    """

    status: int
    headers: dict[str, str]
    body: bytes


class _Connection(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class SlotClient:
    """Connections to one place; for one event loop.

    Args:
        url: where paths begin, such as `http://127.0.0.1:8001/green`.
        idle: how many connections are kept.
    """

    def __init__(self, url: str, *, idle: int = 8) -> None:
        place = urlsplit(url)
        self.url, self._host, self._port = url, place.hostname or "127.0.0.1", place.port or 80
        self._prefix, self._idle, self._kept = place.path.rstrip("/"), idle, list[_Connection]()

    async def ask(
        self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, *, seconds: float
    ) -> "Pending":
        """Sends a request: POST where it has a body, else GET.

        Args:
            path: below the client's.
            body: JSON; None: none.
            headers: further ones.
            seconds: the longest wait for a connection.

        Raises:
            PartMissing: nobody listens there.
        """
        head = {"Host": f"{self._host}:{self._port}", "Connection": "keep-alive", **(headers or {})}
        if body is not None:
            head |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        lines = [f"{'GET' if body is None else 'POST'} {self._prefix}{path} HTTP/1.1", *(f"{n}: {v}" for n, v in head.items())]
        sent = "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")
        kept = self._taken()
        connection = kept or await self._opened(seconds)
        connection.writer.write(sent)  # the transport tries the socket at once
        return Pending(self, connection, sent, again=kept is not None)

    def close(self) -> None:
        """Closes what is idle."""
        while self._kept:
            self._kept.pop().writer.close()

    def _taken(self) -> _Connection | None:
        while self._kept:
            connection = self._kept.pop()
            if not connection.reader.at_eof() and not connection.writer.is_closing():
                return connection
            connection.writer.close()
        return None

    def _keep(self, connection: _Connection) -> None:
        if len(self._kept) < self._idle:
            self._kept.append(connection)
        else:
            connection.writer.close()

    async def _opened(self, seconds: float) -> _Connection:
        try:
            async with asyncio.timeout(seconds):
                return _Connection(*await asyncio.open_connection(self._host, self._port))
        except (OSError, TimeoutError) as error:
            raise PartMissing(f"nobody answers at {self.url}: {error or 'too late'}; is the stack up?") from error


class Pending:
    """A request that was sent and waits for its reply."""

    def __init__(self, client: SlotClient, connection: _Connection, sent: bytes, *, again: bool) -> None:
        self._client, self._connection, self._sent, self._again = client, connection, sent, again

    async def reply(self, seconds: float) -> Reply:
        """Waits for the reply; whatever happens, nothing is left open by it.

        Args:
            seconds: the longest wait; 0 takes what is there.

        Raises:
            PartMissing: it is late, broke off, or is no HTTP.
        """
        try:
            async with asyncio.timeout(max(seconds, 0.001)):
                reply, reusable = await self._read()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:  # a timeout is an OSError
            self.drop()
            late = isinstance(error, TimeoutError)
            why = f"did not answer within {1000 * seconds:.0f} ms" if late else f"broke off: {type(error).__name__} {error}"
            raise PartMissing(f"{self._client.url} {why}; its log says more") from error
        except BaseException:  # cancelled with its request
            self.drop()
            raise
        if reusable:
            self._client._keep(self._connection)
        else:
            self.drop()
        return reply

    def drop(self) -> None:
        """Does not wait for it."""
        self._connection.writer.close()

    async def _read(self) -> tuple[Reply, bool]:
        """A kept connection may have been closed by the other side meanwhile: then the request goes out once more."""
        try:
            return await _read(self._connection.reader)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            if not self._again or (isinstance(error, asyncio.IncompleteReadError) and error.partial):
                raise
        self.drop()
        self._again = False
        self._connection = await self._client._opened(1.0)
        self._connection.writer.write(self._sent)
        return await _read(self._connection.reader)


async def _read(reader: asyncio.StreamReader) -> tuple[Reply, bool]:
    """One response, and whether the connection can be used again."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    version, status = first.split(" ")[:2]
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    open_after = headers.get("connection", "").lower() != "close" and version == "HTTP/1.1"
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Reply(int(status), headers, await _chunks(reader)), open_after
    if "content-length" in headers:
        return Reply(int(status), headers, await reader.readexactly(_size(headers["content-length"], 10))), open_after
    return Reply(int(status), headers, await reader.read(_MOST_BYTES)), False


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := _size((await reader.readuntil(b"\r\n")).partition(b";")[0].decode("latin-1"), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # a trailer
    return b"".join(parts)


def _size(text: str, base: int) -> int:
    size = int(text, base)
    if not 0 <= size <= _MOST_BYTES:
        raise ValueError(f"{size} bytes announced")
    return size
