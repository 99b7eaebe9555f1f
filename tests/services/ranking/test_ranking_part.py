"""Asking another slot: the request is under way before the answer is waited for, and every way to fail is one error."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from rankloop.errors import PartMissing
from services.ranking.part import SlotClient

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def head_and_body(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """One request as it came."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")), 0)
    return head, await reader.readexactly(length)


def answering(raw: bytes, *, close: bool = False, seen: list | None = None) -> Handler:
    """Answers every request of a connection with the same bytes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = await head_and_body(reader)
                if seen is not None:
                    seen.append((writer.get_extra_info("peername"), *asked))
                writer.write(raw)
                await writer.drain()
                if close:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    return handle


def with_server(handler: Handler, then: Callable[[SlotClient], Awaitable]):
    """Runs a server beside a client of it."""

    async def main():
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        client = SlotClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/green")
        try:
            return await then(client)
        finally:
            client.close()
            server.close()

    return asyncio.run(main())


async def once(client: SlotClient, seconds: float = 5.0):
    return await (await client.ask("/v1/recommend", b"{}", {"X-Rankloop-Part": "1"}, seconds=5.0)).reply(seconds)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Rankloop-Slot: green\r\n\r\nhello"


def test_a_request_says_where_it_goes_and_what_it_is() -> None:
    seen: list = []
    reply = with_server(answering(OK, seen=seen), once)
    assert (reply.status, reply.body, reply.headers["x-rankloop-slot"]) == (200, b"hello", "green")
    head = seen[0][1]
    assert head.startswith("POST /green/v1/recommend HTTP/1.1\r\n")
    assert "X-Rankloop-Part: 1\r\n" in head
    assert seen[0][2] == b"{}"


def test_a_connection_is_used_again() -> None:
    seen: list = []

    async def thrice(client: SlotClient) -> None:
        for _ in range(3):
            await once(client)
        await (await client.ask("/readyz", seconds=5.0)).reply(5.0)

    with_server(answering(OK, seen=seen), thrice)
    assert len({peer for peer, _, _ in seen}) == 1
    assert seen[-1][1].startswith("GET /green/readyz ")


def test_a_connection_that_the_other_side_closed_is_opened_anew() -> None:
    seen: list = []

    async def twice(client: SlotClient) -> bytes:
        await once(client)
        await asyncio.sleep(0)  # the end of the first connection may be noticed or not: both must do
        return (await once(client)).body

    assert with_server(answering(OK, close=True, seen=seen), twice) == b"hello"
    assert len({peer for peer, _, _ in seen}) == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=1\r\nllo\r\n0\r\nX-Trailer: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
    ],
)
def test_a_body_is_read_however_its_end_is_told(raw: bytes) -> None:
    assert with_server(answering(raw, close=True), once).body == b"hello"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_no_whole_reply_is_missing(raw: bytes) -> None:
    with pytest.raises(PartMissing, match="broke off"):
        with_server(answering(raw, close=True), once)


def test_a_late_reply_is_missing() -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    with pytest.raises(PartMissing, match="did not answer within 20 ms"):
        with_server(hold, lambda client: once(client, 0.02))


def test_where_nobody_listens_there_is_nothing() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = SlotClient(f"http://127.0.0.1:{free.getsockname()[1]}/green")
    with pytest.raises(PartMissing, match="nobody answers"):
        asyncio.run(once(client))


def test_the_request_is_sent_before_the_loop_is_held() -> None:
    """A thread's socket reads it while this loop does nothing else, as it does while an engine computes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)

        async def main() -> tuple[bytes, bytes]:
            client = SlotClient(f"http://127.0.0.1:{server.getsockname()[1]}/green")
            pending = await client.ask("/v1/search", b"{}", seconds=5.0)
            other, _ = server.accept()  # blocks the loop
            with other:
                other.settimeout(30)
                asked = other.recv(65536)
                other.sendall(OK)
            return asked, (await pending.reply(5.0)).body

        asked, body = asyncio.run(main())
    assert asked.endswith(b"{}")
    assert body == b"hello"


def test_a_request_that_is_no_longer_wanted_is_dropped() -> None:
    async def cancelled(client: SlotClient) -> bool:
        pending = await client.ask("/v1/search", b"{}", seconds=5.0)
        waiting = asyncio.create_task(pending.reply(30.0))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return waiting.cancelled()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    assert with_server(silent, cancelled)
