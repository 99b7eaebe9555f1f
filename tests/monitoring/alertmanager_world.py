"""A real Alertmanager with our configuration, and a webhook on this machine that it tells."""

import json
import shutil
import socket
import subprocess
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import yaml

from monitoring.alertmanager_config import Receivers, alertmanager_config

ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
"""Its path; None where it is not installed."""


def rules() -> dict[str, dict[str, Any]]:
    """Every alerting rule by its name."""
    texts = [own.read_text() for own in (files("monitoring") / "rules").iterdir() if own.name.endswith(".yaml")]
    groups = [group for text in texts for group in yaml.safe_load(text)["groups"]]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def alert(name: str, **more: str) -> dict[str, str]:
    """An alert with the labels that its rule gives it."""
    given = {own: value for own, value in rules()[name]["labels"].items() if "{{" not in value}
    return {"surface": "all", **given, "alertname": name, **more}


class Heard:
    """A webhook on this machine.

    Attributes:
        messages: each body that came.
    """

    def __init__(self) -> None:
        heard, self.messages = self, list[dict[str, Any]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.messages.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1/alerts"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def names(self, status: str = "firing") -> list[str]:
        return sorted(own["labels"]["alertname"] for said in self.messages for own in said["alerts"] if own["status"] == status)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Running:
    """A real Alertmanager with this configuration, but for how long it gathers."""

    def __init__(self, folder: Path, receivers: Receivers) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        text = alertmanager_config(receivers, page_wait_seconds=0.2)
        # what the route of a ticket waits is the same mechanism, only longer
        text = text.replace("group_wait: 30s", "group_wait: 200ms").replace("group_interval: 15s", "group_interval: 1s")
        (folder / "alertmanager.yml").write_text(text)
        self._log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [
                *(str(ALERTMANAGER), f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'data'}"),
                *(f"--web.listen-address={self.url.removeprefix('http://')}", "--cluster.listen-address="),
            ],
            stdout=self._log,
            stderr=self._log,
        )
        until(self.ready, "Alertmanager is ready")

    def ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except (URLError, ConnectionError):
            return False

    def post(self, *labels: dict[str, str], ended: bool = False, annotations: dict[str, str] | None = None) -> None:
        now = datetime.now(UTC).isoformat()
        body = [{"labels": own, "annotations": annotations or {}, **({"endsAt": now} if ended else {})} for own in labels]
        asked = Request(f"{self.url}/api/v2/alerts", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urlopen(asked, timeout=5):
            pass

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self._log.close()


def until(true: Any, what: str, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s in vain: {what}"
        time.sleep(0.05)
