"""Looking at a slot again and again: over one connection, and past one that was closed meanwhile."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from services.control.drivers.probing import release_at
from tests.services.edge.conftest import free_ports


class Slot:
    """A slot that keeps connections open.

    Attributes:
        lines: the connections it was given.
        answers: what it says, as bytes.
    """

    def __init__(self) -> None:
        self.lines: list[socket.socket] = []
        self.status, self.answers = 200, json.dumps({"release_id": "r-1"}).encode()
        slot = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are sent apart

            def setup(self) -> None:
                super().setup()
                slot.lines.append(self.connection)

            def do_GET(self) -> None:
                self.send_response(slot.status)
                self.send_header("Content-Length", str(len(slot.answers)))
                self.end_headers()
                self.wfile.write(slot.answers)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/green"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def slot() -> Iterator[Slot]:
    made = Slot()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_many_looks_take_one_connection(slot: Slot) -> None:
    assert {release_at(slot.url) for _ in range(20)} == {"r-1"}
    assert len(slot.lines) == 1


def test_a_connection_that_was_closed_meanwhile_is_made_anew(slot: Slot) -> None:
    assert release_at(slot.url) == "r-1"
    slot.lines[0].shutdown(socket.SHUT_RDWR)
    assert release_at(slot.url) == "r-1"
    assert len(slot.lines) == 2


@pytest.mark.parametrize(("status", "answers"), [(503, b"{}"), (200, b"<html>"), (200, b"{}")])
def test_what_names_no_release_is_none(slot: Slot, status: int, answers: bytes) -> None:
    slot.status, slot.answers = status, answers
    assert release_at(slot.url) is None


def test_where_nobody_listens_it_is_an_error_of_its_own() -> None:
    with pytest.raises(httpx.ConnectError):
        release_at(f"http://127.0.0.1:{free_ports(1)[0]}/green")
