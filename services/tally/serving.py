"""`GET /tally`, `GET /metrics` and `GET /healthz`, on the loopback address."""

import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from rankloop.errors import PortBusy
from services.tally.telling import Board

__all__ = ["serve"]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A scrape is no news."""


def serve(board: Board, port: int) -> WSGIServer:
    """Answers in a thread of its own until it is shut down.

    Args:
        board: what is told.
        port: on the loopback address; 0: any.

    Raises:
        PortBusy: the port is taken.
    """
    kinds = {
        "/tally": ("application/json", board.json),
        "/metrics": ("text/plain; version=0.0.4; charset=utf-8", board.text),
        "/healthz": ("application/json", lambda: b'{"status":"alive"}'),
    }

    def answer(asked: dict[str, Any], start: Any) -> Iterable[bytes]:
        kind, body = kinds.get(asked["PATH_INFO"], ("text/plain", None))
        if body is None:
            start("404 Not Found", [("Content-Type", kind)])
            return [f"there is only {', '.join(kinds)}\n".encode()]
        start("200 OK", [("Content-Type", kind)])
        return [body()]

    try:
        server = make_server("127.0.0.1", port, answer, server_class=_Server, handler_class=_Quiet)
    except OSError as error:
        raise PortBusy(f"port {port} is taken ({error.strerror}); set RANKLOOP_TALLY_PORT to a free one") from error
    threading.Thread(target=server.serve_forever, name="tally-http", daemon=True).start()
    return server
