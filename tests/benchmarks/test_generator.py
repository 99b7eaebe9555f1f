"""The generator against a toy server whose stalls are known: what people wait must not be left out."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from benchmarks.load.generator import Generator, closed, fire
from benchmarks.load.http import Reader, get, post
from benchmarks.load.timing import NO_ANSWER, evenly, poisson, steps

ASKED = get("/")
Answer = Callable[[int], bytes]


@contextmanager
def toy(answer: Answer) -> Iterator[tuple[str, int]]:
    """A server with a thread for each connection; `answer(number)` is called with the number of the request, from 0."""
    count, lock = iter(range(1_000_000)), threading.Lock()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):
            while connection.recv(65536):
                with lock:
                    number = next(count)
                told = answer(number)
                connection.sendall(told)
                if b"\r\n\r\n" not in told:  # half an answer: the server died over it
                    return

    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()
    finally:
        listening.close()


def ok(body: bytes = b"{}", status: str = "200 OK") -> bytes:
    """A whole answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def length(body: bytes) -> int:
    """A mark: how long the body is."""
    return len(body)


def test_requests_are_sent_while_earlier_ones_wait() -> None:
    last = threading.Event()

    def answer(number: int) -> bytes:
        if number >= 99:
            last.set()
        if number >= 50:  # nothing from the 50th on is answered before the 99th came: who waits for an answer never ends
            last.wait()
        return ok()

    with toy(answer) as address:
        rows = fire(address, [ASKED], evenly(200, 0.6))
    assert rows.failed == 0
    on_the_way = [((rows.sent <= moment) & (rows.done >= moment)).sum() for moment in rows.sent]
    assert max(on_the_way) >= 50


def test_a_stall_counts_for_everybody_who_would_have_come_during_it_and_a_closed_loop_sees_it_once() -> None:
    ends: list[float] = []

    def answer(number: int) -> bytes:
        if number == 20:
            time.sleep(0.5)
            ends.append(time.monotonic())
        return ok()

    with toy(answer) as address:
        waiting = fire(address, [ASKED], evenly(200, 0.5), connections=1)
    with toy(answer) as address:
        polite = closed(address, [ASKED], clients=1, count=100)
    over_open, over_closed = ends
    assert ((waiting.intended < over_open) & (waiting.done >= over_open)).sum() > 50
    assert ((polite.intended < over_closed) & (polite.done >= over_closed)).sum() == 1


def test_latency_counts_from_the_intended_moment_when_no_connection_is_free() -> None:
    def answer(number: int) -> bytes:
        time.sleep(0.3 if number == 0 else 0)
        return ok()

    with toy(answer) as address:
        rows = fire(address, [ASKED], np.array([0.0, 0.001, 0.002]), connections=1)
    assert (rows.sent[1:] >= rows.done[0]).all()
    assert (rows.ms[1:] >= (rows.done[0] - rows.intended[1:]) * 1e3).all()


def test_intended_moments_are_the_schedule_however_late_they_are_kept() -> None:
    at = poisson(300, 0.3, rng=np.random.default_rng(1))
    with toy(lambda number: ok()) as address, Generator() as generator:
        rows = generator.fire(address, [ASKED], at).result()
    np.testing.assert_allclose(np.diff(rows.intended), np.diff(at), atol=1e-6)
    assert (rows.sent >= rows.intended).all()
    assert rows.failed == 0


def test_every_status_is_kept_and_only_good_answers_are_read() -> None:
    answers = [ok(b"four"), ok(b"sixteen", "503 Service Unavailable"), ok(b"", "204 No Content")]
    with toy(lambda number: answers[number % 3]) as address:
        rows = closed(address, [ASKED], clients=1, count=6, mark=length)
    assert rows.status.tolist() == [200, 503, 204] * 2
    assert rows.mark.tolist() == [4, 0, 0] * 2
    assert rows.failed == 2


def test_a_broken_connection_is_a_failure_and_the_next_request_opens_another() -> None:
    with toy(lambda number: b"HTTP/1.1 200" if number == 1 else ok()) as address:
        rows = closed(address, [ASKED], clients=1, count=3)
    assert rows.status.tolist() == [200, NO_ANSWER, 200]


def test_where_nobody_listens_every_request_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
    assert fire(address, [ASKED], evenly(50, 0.1)).status.tolist() == [NO_ANSWER] * 5
    assert closed(address, [ASKED], clients=1, count=2).status.tolist() == [NO_ANSWER] * 2


def test_what_is_not_answered_in_time_has_failed_also_when_it_was_never_sent() -> None:
    quiet = threading.Event()

    def answer(number: int) -> bytes:
        quiet.wait()
        return ok()

    with toy(answer) as address:
        rows = fire(address, [ASKED], evenly(20, 0.2), connections=2, give_up=0.3)
        quiet.set()
    assert rows.status.tolist() == [NO_ANSWER] * 4
    assert (rows.done - rows.intended >= 0.3).all()


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_answer_is_put_together_from_pieces_of_any_size(size: int) -> None:
    text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n5;x=1\r\n more\r\n0\r\n\r\n"
    reader = Reader()
    whole = [reader.feed(text[start : start + size]) for start in range(0, len(text), size)]
    assert whole == [False] * (len(whole) - 1) + [True]
    assert (reader.status, reader.body, reader.keep) == (200, b"body more", True)


def test_a_server_that_closes_is_believed() -> None:
    reader = Reader()
    assert reader.feed(b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert (reader.status, reader.keep) == (503, False)


def test_a_request_names_the_length_of_its_body() -> None:
    assert post("/v1/x", b"{}", X_Part="1").endswith(b"Content-Length: 2\r\nX-Part: 1\r\n\r\n{}")


def test_rates_follow_one_another() -> None:
    at = steps([1000, 3000], 2, rng=np.random.default_rng(0))
    assert 1800 < (at < 2).sum() < 2200
    assert 5700 < (at >= 2).sum() < 6300
