"""wrk against a toy server: whole, partial and failed answers are told apart, and everything that was sent is counted."""

import shutil
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from benchmarks.load.http import get
from benchmarks.load.wrk import wrk
from rankloop.errors import RankloopError
from services.ranking import fallbacks
from tests.benchmarks.test_generator import ok, toy

ANSWERS = (
    ok(b'{"items": [], "fallback":null}'),
    ok(b'{"items": [], "fallback": null}'),
    ok(f'{{"items": [], "fallback":"{fallbacks.NO_MATCH}"}}'.encode()),
    ok(f'{{"items": [], "fallback":"{fallbacks.NO_TIME}"}}'.encode()),
    ok(b"{}", status="503 Service Unavailable"),
)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk here: apt-get install wrk")
def test_answers_are_counted_by_what_was_left_out_of_them() -> None:
    answered = []

    def answer(number: int) -> bytes:
        answered.append(number)
        return ANSWERS[number % len(ANSWERS)]

    with toy(answer) as address:
        told = wrk(address, [get("/one"), get("/other")], clients=2, seconds=1)
    assert told.seconds == pytest.approx(1, abs=0.5)
    assert told.full + told.partial + told.failed == pytest.approx(len(answered), abs=2)
    assert told.partial == pytest.approx(told.failed, abs=2)
    assert told.full == pytest.approx(3 * told.failed, abs=4)
    assert told.full_per_s == told.full / told.seconds


@contextmanager
def heard() -> Iterator[tuple[tuple[str, int], list[bytes]]]:
    """A server that keeps each request it hears, as bytes."""
    said: list[bytes] = []

    class Ear(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):  # wrk ends without a farewell
                while request := self.request.recv(65536):
                    said.append(request)
                    self.request.sendall(ok())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Ear) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ("127.0.0.1", server.server_address[1]), said
        server.shutdown()


@pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk here: apt-get install wrk")
def test_requests_are_sent_in_turn_as_they_are() -> None:
    requests = [b"POST /%d HTTP/1.1\r\nHost: bench\r\nContent-Length: 3\r\n\r\n\n%d\n" % (n, n) for n in range(3)]
    with heard() as (address, said):
        wrk(address, requests, clients=1, seconds=1)
    begun = requests.index(said[0])  # wrk makes one request before the first, to see whether it is always the same
    assert said[:6] == (requests * 3)[begun : begun + 6]


def test_a_machine_without_wrk_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RankloopError, match="install it"):
        wrk(("127.0.0.1", 9), [get("/")], clients=1, seconds=1)
