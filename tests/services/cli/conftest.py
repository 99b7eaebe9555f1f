"""A terminal with a home folder of its own, and a small HTTP server that says what a test tells it to."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.app import app

ANSWER = {
    "request_id": "q1",
    "release_id": "r-abc",
    "as_of": "2026-11-01T00:00:00Z",
    "items": [
        {"item_id": "j1", "title": "Data analyst [remote]", "score": 1.5, "position": 1, "source": "als"},
        {"item_id": "j2", "title": "Copywriter", "score": 0.25, "position": 2, "source": "popular"},
    ],
    "fallback": None,
}


class Server:
    """Answers what it was told to on a path, 404 in plain text on others, and remembers what it was asked."""

    def __init__(self) -> None:
        self.told: dict[str, tuple[int, Any, str]] = {}
        self.asked: list[tuple[str, Any]] = []
        self.tokens: list[str | None] = []
        self.answer = ANSWER
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def _answer(self, body: Any) -> None:
                outer.asked.append((self.path, body))
                outer.tokens.append(self.headers.get("authorization"))
                status, told, kind = outer.told.get(self.path.split("?")[0], (404, "no such place", "text/plain"))
                content = (told if isinstance(told, str) else json.dumps(told)).encode()
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Is silent."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def says(self, path: str, body: Any, *, status: int = 200, kind: str = "application/json") -> None:
        """Answers `body` on `path` from now on."""
        self.told[path] = (status, body, kind)

    def refuses(self, path: str, status: int, detail: str) -> None:
        """Answers a problem on `path` from now on."""
        problem = {"status": status, "title": "no", "detail": detail, "request_id": "q9"}
        self.says(path, problem, status=status, kind="application/problem+json")

    @property
    def posted(self) -> Any:
        """The last body it was sent."""
        return self.asked[-1][1]


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    thread = threading.Thread(target=one.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield one
    one.http.shutdown()
    thread.join()
    one.http.server_close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKLOOP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def rankloop(home: Path) -> Callable[..., Result]:
    """Runs the program with the given words."""
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])
