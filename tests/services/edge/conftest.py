"""A real HAProxy in front of toy backends that say what they were asked."""

import json
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.edge import Edge, EdgeConfig


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, found while all of them are held."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def until(true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Polls, with a deadline."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s in vain: {what}"
        time.sleep(0.02)


@dataclass
class Told:
    """What a toy answers, unless it breaks off or waits."""

    status: int = 200
    kind: str = "application/json"
    body: bytes | None = None


class Toy:
    """A server of a replica's kind: answers with what it was asked, or as it is told.

    Attributes:
        ready: by slot, whether `/<slot>/readyz` is 200.
        slot: of which slot it is a replica; None: of none, or about to leave.
        break_off: how many of the next requests end without an answer.
        hold: while it is cleared, requests wait.
        told: what to answer instead of an echo.
        seen: every request but health checks.
    """

    def __init__(self, port: int) -> None:
        self.port, self.ready = port, {"blue": True, "green": True, "": True}
        self.slot: str | None = None
        self.break_off, self.seen = 0, list[dict[str, Any]]()
        self.told: Told | None = None
        self.hold = threading.Event()
        self.hold.set()
        self._lines: list[socket.socket] = []
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        toy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are sent apart
            wbufsize = -1  # one write for an answer, or the system waits 40 ms between its parts

            def do_GET(self) -> None:
                toy._answer(self)

            do_POST = do_DELETE = do_GET  # noqa: N815, named by the library

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

            def process_request(self, request: Any, client_address: Any) -> None:
                toy._lines.append(request)
                super().process_request(request, client_address)

            def handle_error(self, *_: object) -> None:
                """A connection that broke off is no news here."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.hold.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        self._lines.clear()

    def _answer(self, asked: BaseHTTPRequestHandler) -> None:
        if asked.path.endswith("/readyz") and asked.command == "GET":
            slot = asked.path.strip("/").partition("/")[0].removesuffix("readyz")
            self._write(asked, 200 if self.ready[slot] else 503, "application/json", b'{"release_id":"r-%s"}' % slot.encode())
            return
        if asked.path == "/-/routes":
            self._write(asked, 200 if self.slot else 503, "application/json", b'{"/%s":"x"}' % (self.slot or "").encode())
            return
        body = asked.rfile.read(int(asked.headers.get("content-length", 0)))
        self.seen.append({"path": asked.path})
        if self.break_off > 0:
            self.break_off -= 1
            asked.close_connection = True
            asked.connection.shutdown(socket.SHUT_RDWR)
            return
        self.hold.wait(20)
        headers = {name.lower(): value for name, value in asked.headers.items()}
        said = {"port": self.port, "path": asked.path, "headers": headers, "body": len(body)}
        told = self.told or Told()
        self._write(asked, told.status, told.kind, json.dumps(said).encode() if told.body is None else told.body)

    @staticmethod
    def _write(asked: BaseHTTPRequestHandler, status: int, kind: str, body: bytes) -> None:
        asked.send_response(status)
        asked.send_header("Content-Type", kind)
        asked.send_header("Content-Length", str(len(body)))
        asked.send_header("X-Request-Id", "the replica's own")
        asked.end_headers()
        asked.wfile.write(body)


@dataclass
class Rig:
    """An edge, the toy that plays Ray Serve, and two that play collectors."""

    edge: Edge
    serve: Toy
    collectors: tuple[Toy, Toy]
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.edge.config.http_port}"

    @property
    def inner_url(self) -> str:
        return f"http://127.0.0.1:{self.edge.config.inner_port}"

    def client(self) -> httpx.Client:
        self.clients.append(httpx.Client(base_url=self.url, timeout=30))
        return self.clients[-1]

    def recommend(self, user_id: str = "u1", **more: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/v1/recommend", json={"user_id": user_id}, timeout=30, **more)

    def up(self, backend: str, name: str = "serve") -> bool:
        return next(own.up for own in self.edge.admin.servers() if (own.backend, own.name) == (backend, name))


@pytest.fixture(scope="session")
def start_rig() -> Iterator[Callable[..., Rig]]:
    """Starts an edge with any configuration; everything ends with the tests."""
    rigs: list[Rig] = []
    folders: list[Path] = []

    def started(**changes: Any) -> Rig:
        folder = Path(tempfile.mkdtemp(prefix="edge-", dir="/tmp"))  # pytest's own folders are too long for a socket
        folders.append(folder)
        public, inner, metrics, serve, first, second = free_ports(6)
        toys = [Toy(port) for port in (serve, first, second)]
        config = EdgeConfig(public, inner, metrics, serve, folder / "admin.sock", collectors=(first, second))
        rig = Rig(Edge(folder, replace(config, **changes)), toys[0], (toys[1], toys[2]))
        for toy in toys:
            toy.start()
        rigs.append(rig)
        rig.edge.start(seconds=60)
        absent = {f"replica-{number}" for number, _ in enumerate(rig.edge.config.replicas, start=1)}
        until(lambda: all(own.up or own.name in absent for own in rig.edge.admin.servers()), "every toy is well")
        return rig

    yield started
    for rig in rigs:
        rig.edge.stop()
        for toy in (rig.serve, *rig.collectors):
            toy.stop()
        for client in rig.clients:
            client.close()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def shared_rig(start_rig: Callable[..., Rig]) -> Rig:
    """One edge for the tests of a module that leave it as it was."""
    return start_rig()


@pytest.fixture
def rig(shared_rig: Rig) -> Iterator[Rig]:
    """The same, put back afterwards."""
    slots = shared_rig.edge.slots()
    yield shared_rig
    for toy in (shared_rig.serve, *shared_rig.collectors):
        toy.told, toy.break_off = None, 0
        toy.seen.clear()
        toy.hold.set()
        toy.ready.update(blue=True, green=True)
    shared_rig.edge.set_slots(slots)
    until(lambda: all(own.up for own in shared_rig.edge.admin.servers()), "every toy is well again")
