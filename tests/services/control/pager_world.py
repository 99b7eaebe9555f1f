"""A pager to test with: a record, a clock that tests set, and receivers that are local servers."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import jsonschema

from rankloop.errors import Conflict
from services.control.database import Database
from services.control.pager import Incidents, Pager, open_receivers
from services.control.pager.receivers import Receiver
from services.control.plane import nothing
from services.control.runs import AlertPolicy, Triggers
from services.control.wire import Alert, Alerts
from services.settings import Settings
from tests.services.control.conftest import NOW

KEY: Final = "0123456789abcdef0123456789abcdef"
"""A routing key, as long as PagerDuty's are."""

_LINK: Final = {
    "type": "object",
    "required": ["href"],
    "additionalProperties": False,
    "properties": {"href": {"type": "string", "pattern": "^https?://"}, "text": {"type": "string"}},
}
_PAYLOAD: Final = {
    "type": "object",
    "required": ["summary", "severity", "source"],
    "additionalProperties": False,
    "properties": {
        "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
        "source": {"type": "string", "minLength": 1},
        "severity": {"enum": ["critical", "warning", "error", "info"]},
        "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)$"},
        "component": {"type": "string"},
        "group": {"type": "string"},
        "class": {"type": "string"},
        "custom_details": {"type": "object"},
    },
}
EVENT_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["routing_key", "event_action"],
    "additionalProperties": False,
    "properties": {
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "maxLength": 255},
        "payload": _PAYLOAD,
        "client": {"type": "string"},
        "client_url": {"type": "string", "pattern": "^https?://"},
        "links": {"type": "array", "items": _LINK},
        "images": {"type": "array", "items": {"type": "object", "required": ["src"]}},
    },
    "if": {"properties": {"event_action": {"const": "trigger"}}},
    "then": {"required": ["payload"]},
    "else": {"required": ["dedup_key"]},
}
"""An event of PagerDuty's Events API v2, by PagerDuty/api-schema (reference/events-v2) and the limits of its documentation."""


@dataclass
class Listener:
    """A local HTTP server in the place of PagerDuty, Slack and others.

    Attributes:
        answers: statuses that the next requests get; 202 after them.
        got: path, body and headers of every request that was taken.
        asked: how many requests came.
        says: the body of answers; SECRET stands for what only the receiver and we know.
    """

    answers: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    asked: int = 0
    says: str = "it is broken"
    url: str = ""

    def take(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, str]:
        """The status of one request, and what is said."""
        self.asked += 1
        status = self.answers.pop(0) if self.answers else 202
        if path == "/pagerduty":
            faults = [fault.message for fault in jsonschema.Draft202012Validator(EVENT_SCHEMA).iter_errors(body)]
            if faults:
                return 400, "; ".join(faults)
        if status < 300:
            self.got.append((path, body, headers))
        return status, self.says.replace("SECRET", body.get("routing_key", f"{self.url}{path}"))

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """What was taken at a path."""
        return [body for where, body, _ in self.got if where == path]


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener on a free port of the loopback address."""
    own = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, said = own.take(self.path, body, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "60")
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    own.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield own
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Commands:
    """Takes releases back, and notes it.

    Attributes:
        done: why, each time.
        refuses: what it says instead; empty: it does it.
    """

    done: list[str] = field(default_factory=list)
    refuses: str = ""

    def rollback(self, *, who: str, why: str) -> Any:
        """Goes back."""
        if self.refuses:
            raise Conflict(self.refuses)
        self.done.append(why)
        return type("Told", (), {"said": "r-old serves everybody again"})()


@dataclass
class PagerWorld:
    """A pager, its record and its receivers."""

    database: Database
    home: Path
    listener: Listener
    now: datetime = NOW
    more: dict[str, Any] = field(default_factory=dict)
    policy: AlertPolicy = field(default_factory=AlertPolicy)
    commands: Commands = field(default_factory=Commands)
    passed: Callable[[str], None] = nothing

    def __post_init__(self) -> None:
        for name, text in {"pd": KEY, "slack": f"{self.listener.url}/slack", "hook": f"{self.listener.url}/hook"}.items():
            (self.home / f"{name}.key").write_text(f"{text}\n")
        self.settings = Settings.read(
            home=self.home,
            pagerduty_key_file=str(self.home / "pd.key"),
            pagerduty_url=f"{self.listener.url}/pagerduty",
            slack_url_file=str(self.home / "slack.key"),
            page_webhook_file=str(self.home / "hook.key"),
            **self.more,
        )
        self.restart()

    def restart(self) -> None:
        """Another process on the same record."""
        receivers: list[Receiver] = open_receivers(self.settings)
        triggers = Triggers(self.database, clock=lambda: self.now, alerts=lambda: self.policy)
        self.pager = Pager(
            self.database,
            self.settings,
            receivers,
            triggers=triggers,
            commands=self.commands,
            clock=lambda: self.now,
            passed=lambda name: self.passed(name),
        )
        self.shown = Incidents(self.database, self.settings, clock=lambda: self.now)

    def hear(self, *alerts: Alert) -> list[str]:
        """The incidents of a webhook."""
        return [own.incident_id for own in self.pager.receive(Alerts(list(alerts))).incidents]

    def tick(self, seconds: float = 1.0) -> None:
        """A round of the leader, a while later."""
        self.now += timedelta(seconds=seconds)
        self.pager.tick()

    def alert(
        self, name: str = "EdgeErrors", status: Any = "firing", *, key: str = "", since: datetime = NOW, **more: Any
    ) -> Alert:
        """An alert of ours; further arguments are labels."""
        labels = {
            "alertname": name,
            "severity": "page",
            "owner": "platform",
            "cause": "error-burst",
            "component": "edge",
            "surface": "job_feed",
            "release": "none",
        } | more
        said = {
            "summary": f"{labels['surface']} answers 14 % with errors",
            "description": "14.2 % of 5,120 answers in 5 minutes were 5xx; the objective is 0.1 %",
            "runbook_url": f"docs/runbook.md#{name.lower()}",
            "dashboard_url": "/d/rankloop-overview?var-surface=job_feed",
            "command": "rankloop status",
        }
        begun = since.isoformat().replace("+00:00", "Z")
        ended = self.now.isoformat().replace("+00:00", "Z") if status == "resolved" else "0001-01-01T00:00:00Z"
        return Alert(status, labels, said, begun, ended, key or f"{name}-{labels['surface']}-{labels['component']}")

    def kinds(self, incident_id: str) -> list[str]:
        """What happened to an incident."""
        return [own.kind.removeprefix("incident.") for own in self.shown.incident(incident_id).timeline]

    def pages(self, action: str = "trigger") -> list[dict[str, Any]]:
        """Events that PagerDuty took."""
        return [own for own in self.listener.bodies("/pagerduty") if own["event_action"] == action]
