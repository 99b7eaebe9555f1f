"""Sending the pipeline to a KFP server: a real client against a local HTTP server that speaks the API's v2beta1."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipelines.launch import Order, submit_release


@dataclass
class Server:
    """What the server was asked."""

    url: str = ""
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)


@pytest.fixture
def server() -> Iterator[Server]:
    kept = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            experiments = {"experiments": [{"experiment_id": "e1", "display_name": "Default", "namespace": ""}]}
            answers = {"experiments": experiments, "healthz": {"multi_user": False}}
            self._answer(next((body for word, body in answers.items() if word in self.path), {}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kept.asked.append(("POST", self.path.split("?")[0], body))
            kept.tokens.add(self.headers.get("authorization"))
            ids = {"run_id": "run-17"} if self.path.split("?")[0].endswith("/runs") else {"experiment_id": "e1"}
            self._answer(body | ids)

        def _answer(self, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield kept
    http.shutdown()
    thread.join()
    http.server_close()


def test_the_server_gets_the_whole_pipeline_and_its_parameters(server: Server, tmp_path: Path) -> None:
    (tmp_path / "items.parquet").write_bytes(b"x")
    order = Order("contract", str(tmp_path), recipe={"trials": 3}, control_api="http://control:8002", ray_address="ray:6379")
    run = submit_release(order, server.url, champion="s3://releases/r1", token="secret")
    assert run == "run-17"
    (body,) = (body for _, path, body in server.asked if path == "/apis/v2beta1/runs")
    parameters = body["runtime_config"]["parameters"]
    assert parameters["recipe"] == {"trials": 3}
    assert parameters["champion"] == "s3://releases/r1"
    assert (parameters["control_api"], parameters["ray_address"]) == ("http://control:8002", "ray:6379")
    assert parameters["data_version"]
    spec = body["pipeline_spec"]
    assert spec.get("pipeline_spec", spec)["pipelineInfo"]["name"] == "release"
    assert server.tokens == {"Bearer secret"}
