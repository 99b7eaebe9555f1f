"""Both clients behind one face, and a server that behaves as badly as it is told to."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from services.client import AsyncClient, Client, Policy
from services.listening import listening

ANSWER = {
    "request_id": "q1",
    "release_id": "r-abc",
    "as_of": "2026-11-01T00:00:00Z",
    "items": [{"item_id": "j1", "title": "Analyst", "score": 1.5, "position": 1, "source": "als"}],
    "fallback": None,
}
Say = tuple[int, Any] | tuple[int, Any, dict[str, str]] | str


class Toy:
    """Does with each request the next thing of `plan`, and the last one for ever.

    A tuple is an answer: status, body, headers. `drop` closes the connection without a word, `half` in the middle of an
    answer, `hang` says nothing until the test ends, `leave` answers well and closes a connection that was to stay open.
    """

    def __init__(self) -> None:
        self.plan: list[Say] = [(200, ANSWER)]
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.connections = 0
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._listens = listening("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listens.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        self._listens.shutdown(socket.SHUT_RDWR)
        self._listens.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listens.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            while line := file.readline().decode():
                method, path, _ = line.split(" ", 2)
                headers = dict(self._headers(file))
                content = file.read(int(headers.get("content-length", "0")))
                with self._lock:
                    self.asked.append((method, path, headers, json.loads(content) if content else None))
                    what = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
                if not self._did(what, connection):
                    return

    def _headers(self, file: Any) -> Iterator[tuple[str, str]]:
        while line := file.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            yield name.lower(), value.strip()

    def _did(self, what: Say, connection: socket.socket) -> bool:
        """Whether the connection goes on."""
        if what == "hang":
            self._ended.wait(30)
        if what in ("hang", "drop"):
            return False
        status, body, *rest = (200, ANSWER) if isinstance(what, str) else what
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json", "content-length": str(len(content)), **(rest[0] if rest else {})}
        head = f"HTTP/1.1 {status} said\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        connection.sendall(head.encode() + (content[: len(content) // 2] if what == "half" else content))
        return what not in ("half", "leave")


class Face:
    """A client, called the same way whether it blocks or awaits."""

    def __init__(self, kind: str, url: str, **options: Any) -> None:
        self.waits: list[float] = []
        self._loop = asyncio.new_event_loop() if kind == "async" else None

        async def awaited(seconds: float) -> None:
            self.waits.append(seconds)

        options = {"rng": Random(7), "sleep": awaited if self._loop else self.waits.append, **options}
        self.client: Any = (AsyncClient if self._loop else Client)(url, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.client, name)
        loop = self._loop
        return method if loop is None else lambda *given, **named: loop.run_until_complete(method(*given, **named))

    def close(self) -> None:
        if self._loop is None:
            self.client.close()
            return
        self._loop.run_until_complete(self.client.aclose())
        self._loop.close()


@pytest.fixture
def toy() -> Iterator[Toy]:
    one = Toy()
    yield one
    one.close()


@pytest.fixture(params=["sync", "async"])
def open_client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Face]]:
    """Opens a client at an address."""
    monkeypatch.delenv("RANKLOOP_TOKEN", raising=False)
    opened: list[Face] = []

    def open_one(url: str, **options: Any) -> Face:
        options.setdefault("policy", Policy(connect=5.0, read=20.0, budget=60.0))
        opened.append(Face(request.param, url, **options))
        return opened[-1]

    yield open_one
    for face in opened:
        face.close()
