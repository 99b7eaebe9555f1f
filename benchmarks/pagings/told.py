"""Who is told: a stand-in for PagerDuty and for a webhook, which keeps what it is sent and when."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

__all__ = ["Told", "Word", "told"]


class Word(NamedTuple):
    """One message.

    Attributes:
        at: when it came, seconds of the monotonic clock.
        path: `/pagerduty` or `/webhook`.
        body: its JSON.
    """

    at: float
    path: str
    body: dict[str, Any]


@dataclass
class Told:
    """Everything that came so far.

    Attributes:
        url: where messages are taken; `/pagerduty` and `/webhook` are its paths.
        words: in the order they came.
    """

    url: str
    words: list[Word] = field(default_factory=list)

    def incidents(self, since: float = 0.0) -> dict[str, Word]:
        """By id, the first message about each incident that was opened since a moment."""
        first: dict[str, Word] = {}
        for word in self.words:
            if word.path == "/webhook" and word.body["kind"] == "trigger":
                first.setdefault(word.body["incident_id"], word)
        return {name: word for name, word in first.items() if word.at >= since}

    def resolved(self) -> dict[str, float]:
        """By incident, when it was told to be over."""
        ends = (word for word in self.words if word.path == "/webhook" and word.body["kind"] == "resolve")
        return {word.body["incident_id"]: word.at for word in ends}

    def woken(self, incident_id: str) -> int:
        """How often somebody was woken for an incident: triggers of PagerDuty that do not repeat a summary that stands."""
        said = [word.body for word in self.words if word.path == "/pagerduty" and word.body["dedup_key"] == incident_id]
        woken = asleep = 0
        for body in said:
            if body["event_action"] == "trigger":
                woken, asleep = woken + (not asleep), 1
            elif body["event_action"] == "resolve":
                asleep = 0
        return woken

    def first(self, wanted: Callable[[dict[str, Any]], bool], *, since: float, seconds: float) -> Word | None:
        """Waits for the first incident since a moment that is so; None where none comes in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = (word for word in self.incidents(since).values() if wanted(word.body))
            if (word := next(found, None)) is not None:
                return word
            time.sleep(0.2)
        return None


@contextmanager
def told() -> Iterator[Told]:
    """Listens on a free port of the loopback address until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are sent apart

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            kept.words.append(Word(time.monotonic(), self.path, body))
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept = Told(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
