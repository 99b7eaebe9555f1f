"""Runs on a Kubeflow Pipelines server: the real client against a local HTTP server that speaks the API's v2beta1."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pipelines.events import STEPS
from rankloop.errors import StackError
from services.control.database import Database, open_database
from services.control.runs import Cluster, KfpLauncher, Runs
from services.settings import Settings

BEGAN = "2026-11-17T14:05:00Z"
ENDED = "2026-11-17T14:05:30Z"


class Server:
    """Keeps runs as a KFP server does: their states move only when a test says so."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.logs: dict[str, str] = {}
        self.log_version = "v2beta1"
        self.asked: list[str] = []
        self.tokens: set[str | None] = set()
        self.fails: tuple[int, str] | None = None
        self.forgets_answer = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(*outer.get(self.path))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
                self._answer(*outer.post(self.path.split("?")[0], body))

            def _answer(self, status: int, body: Any) -> None:
                outer.tokens.add(self.headers.get("authorization"))
                if outer.forgets_answer and self.command == "POST":
                    outer.forgets_answer = False
                    status, body = 502, {"error": "the connection broke after it was made"}
                if outer.fails:
                    status, body = outer.fails[0], {"error": outer.fails[1]}
                text = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def get(self, address: str) -> tuple[int, Any]:
        path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
        words = path.strip("/").split("/")
        if words[-1] == "log":
            known = words[1] == self.log_version and words[5] in self.logs
            return (200, self.logs[words[5]]) if known else (404, {"error": "no such log"})
        if path.endswith("/runs"):
            (chosen,) = json.loads(query["filter"][0])["predicates"]
            assert (chosen["operation"], chosen["key"]) == ("EQUALS", "display_name")
            return 200, {"runs": [own for own in self.runs.values() if own["display_name"] == chosen["stringValue"]]}
        if "/runs/" in path:
            return (200, self.runs[words[-1]]) if words[-1] in self.runs else (404, {"error": "no such run"})
        if "experiments" in path:
            return 200, {"experiments": [{"experiment_id": "e1", "display_name": "Default", "namespace": ""}]}
        return 200, {"multi_user": False}

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append(path)
        if path.endswith("/runs"):
            name = f"k{len(self.runs) + 1}"
            self.runs[name] = {**body, "run_id": name, "state": "PENDING"}
            return 200, self.runs[name]
        if ":" in path:
            name, _, act = path.rpartition("/")[2].partition(":")
            self.runs[name]["state"] = {"terminate": "CANCELING", "retry": "RUNNING"}[act]
            return 200, {}
        return 200, {"experiment_id": "e1"}

    def moves(self, name: str, state: str, **tasks: str) -> None:
        """Puts a run and some of its tasks into a state."""
        details = [self._task("root", state), *(self._task(task.replace("_", "-"), own) for task, own in tasks.items())]
        over = {} if state == "RUNNING" else {"finished_at": ENDED}
        self.runs[name] |= {"state": state, "run_details": {"task_details": details}, **over}

    def _task(self, name: str, state: str) -> dict[str, Any]:
        ended = {"end_time": ENDED} if state not in ("RUNNING", "PENDING") else {"end_time": "0001-01-01T00:00:00Z"}
        return {"display_name": name, "state": state, "start_time": BEGAN, "child_tasks": [{"pod_name": f"pod-{name}"}], **ended}


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    thread = threading.Thread(target=one.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield one
    one.http.shutdown()
    thread.join()
    one.http.server_close()


class Place:
    """A record, a clock and a server."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.server, self.data = server, folder / "data"
        self.data.mkdir()
        (self.data / "items.parquet").write_bytes(b"x")
        self.database: Database = open_database(f"sqlite:///{folder / 'record.db'}")
        self.now = datetime(2026, 11, 17, 14, 5, 10, tzinfo=UTC)
        self.settings = Settings.read(home=str(folder / "home"))
        self.runs = self.control()

    def control(self) -> Runs:
        cluster = Cluster(self.server.url, token="secret", control_api="http://control:8002", ray_address="ray:6379")
        launcher = KfpLauncher(cluster, champion=lambda: "s3://releases/r1")
        return Runs(self.database, self.settings, clock=lambda: self.now, launcher=launcher)

    def start(self, seed: int = 7) -> str:
        order = {"source": "contract", "path": str(self.data), "recipe": {"seed": seed}}
        return self.runs.start(order, who="ada", why="a test").run_id


@pytest.fixture
def place(tmp_path: Path, server: Server) -> Iterator[Place]:
    one = Place(tmp_path, server)
    yield one
    one.database.close()


def test_a_run_is_created_on_the_server_under_its_own_name_with_its_parameters(place: Place, server: Server) -> None:
    run_id = place.start()
    place.runs.tick()
    run = place.runs.run(run_id)
    assert (run.state, run.where, run.external_id, run.pid) == ("running", "kfp", "k1", None)
    made = server.runs["k1"]
    assert made["display_name"] == run_id
    parameters = made["runtime_config"]["parameters"]
    assert (parameters["champion"], parameters["recipe"]) == ("s3://releases/r1", {"seed": 7})
    assert (parameters["control_api"], parameters["ray_address"]) == ("http://control:8002", "ray:6379")
    assert server.tokens == {"Bearer secret"}


def test_the_steps_and_the_end_are_read_from_the_server(place: Place, server: Server) -> None:
    run_id = place.start()
    place.runs.tick()
    server.moves("k1", "RUNNING", ingest="SUCCEEDED", build_features="RUNNING")
    steps = {step.name: (step.state, step.seconds) for step in place.runs.steps(run_id)}
    assert list(steps) == list(STEPS)
    assert steps["ingest"] == ("done", 30.0)
    assert steps["build_features"] == ("running", 10.0)
    assert steps["deploy"] == ("waiting", 0.0)
    server.moves("k1", "SUCCEEDED", **dict.fromkeys(STEPS, "SUCCEEDED"))
    place.runs.tick()
    run = place.runs.run(run_id)
    assert (run.state, run.verdict, run.error) == ("succeeded", "pass", None)
    assert run.ended_at == datetime(2026, 11, 17, 14, 5, 30, tzinfo=UTC)


def test_a_run_the_gate_stopped_skips_its_last_steps(place: Place, server: Server) -> None:
    run_id = place.start()
    place.runs.tick()
    server.moves("k1", "SUCCEEDED", **dict.fromkeys(STEPS[:5], "SUCCEEDED"), condition_1="SKIPPED")
    place.runs.tick()
    assert (place.runs.run(run_id).state, place.runs.run(run_id).verdict) == ("succeeded", None)
    assert [step.state for step in place.runs.steps(run_id)] == ["done"] * 5 + ["skipped"] * 2


def test_a_failed_run_names_the_step_and_its_retry_is_the_servers(place: Place, server: Server) -> None:
    run_id = place.start()
    place.runs.tick()
    server.moves("k1", "FAILED", ingest="SUCCEEDED", build_features="FAILED")
    place.runs.tick()
    failed = place.runs.run(run_id)
    assert (failed.state, "step build_features failed" in str(failed.error)) == ("failed", True)
    again = place.runs.retry(run_id, "bob", "the node is back")
    place.runs.tick()
    assert (place.runs.run(again.run_id).state, place.runs.run(again.run_id).external_id) == ("running", "k1")
    assert server.asked.count("/apis/v2beta1/runs/k1:retry") == 1
    place.control().tick()
    assert server.asked.count("/apis/v2beta1/runs/k1:retry") == 1
    server.moves("k1", "SUCCEEDED", **dict.fromkeys(STEPS, "SUCCEEDED"))
    place.runs.tick()
    assert place.runs.run(again.run_id).state == "succeeded"


def test_a_run_is_terminated_and_the_next_one_waits_until_it_is_over(place: Place, server: Server) -> None:
    run_id = place.start()
    place.runs.tick()
    assert place.runs.cancel(run_id, "bob", "wrong data").state == "cancelled"
    assert server.runs["k1"]["state"] == "CANCELING"
    waiting = place.start(seed=2)
    place.runs.tick()
    assert place.runs.run(waiting).state == "queued"
    server.moves("k1", "CANCELED")
    place.runs.tick()
    assert place.runs.run(waiting).state == "running"
    assert server.asked.count("/apis/v2beta1/runs/k1:terminate") == 1


def test_a_run_whose_creation_could_not_be_noted_is_found_by_its_name(place: Place, server: Server) -> None:
    run_id = place.start()
    server.runs["k7"] = {"run_id": "k7", "display_name": run_id, "state": "RUNNING"}
    place.control().tick()
    assert place.runs.run(run_id).external_id == "k7"
    assert list(server.runs) == ["k7"]


def test_a_run_that_was_made_while_the_answer_was_lost_is_not_made_twice(place: Place, server: Server) -> None:
    run_id = place.start()
    place.runs.tick()  # the experiment is looked up by the first one, so that the next answer is that of the run
    server.moves("k1", "SUCCEEDED")
    place.runs.tick()
    again = place.start(seed=2)
    server.forgets_answer = True
    place.runs.tick()
    assert (place.runs.run(again).state, place.runs.run(again).external_id) == ("running", None)
    assert "502" in str(place.runs.faults())
    place.runs.tick()
    assert place.runs.run(again).external_id == "k2"
    assert [own["display_name"] for own in server.runs.values()] == [run_id, again]
    assert place.runs.faults() == {}


def test_a_server_that_is_away_is_a_fault_and_the_run_waits_for_it(place: Place, server: Server) -> None:
    run_id = place.start()
    place.runs.tick()
    server.fails = (503, "not now")
    place.runs.tick()
    assert place.runs.run(run_id).state == "running"
    assert "503" in place.runs.faults()[f"run {run_id}"]
    with pytest.raises(StackError, match="not now"):
        place.runs.steps(run_id)
    server.fails = (401, "who are you")
    place.runs.tick()
    assert place.runs.run(run_id).state == "running"
    server.fails = None
    place.runs.tick()
    assert place.runs.faults() == {}


def test_a_run_that_was_removed_on_the_server_is_lost(place: Place, server: Server) -> None:
    run_id = place.start()
    place.runs.tick()
    del server.runs["k1"]
    place.runs.tick()
    lost = place.runs.run(run_id)
    assert (lost.state, "somebody removed it there" in str(lost.error)) == ("lost", True)


def test_an_order_whose_data_is_not_there_fails_at_once(place: Place, server: Server) -> None:
    run_id = place.runs.start({"source": "contract", "path": str(place.data / "none")}, who="ada").run_id
    place.runs.tick()
    assert place.runs.run(run_id).state == "failed"
    assert "there is no file" in str(place.runs.run(run_id).error)
    assert server.runs == {}


@pytest.mark.parametrize("version", ["v2beta1", "v1alpha1"])
def test_the_log_of_a_step_is_its_pods(place: Place, server: Server, version: str) -> None:
    run_id = place.start()
    place.runs.tick()
    server.moves("k1", "RUNNING", ingest="SUCCEEDED", build_features="RUNNING")
    server.log_version = version
    server.logs = {"pod-ingest": "ingest: starts\ningest: done\n", "pod-build-features": "build_features: starts\nbuild_fea"}
    first = place.runs.log(run_id, "build_features")
    assert first.text == "build_features: starts\n"
    server.logs["pod-build-features"] += "tures: 16 views\n"
    assert place.runs.log(run_id, "build_features", after=first.next).text == "build_features: 16 views\n"
    assert place.runs.log(run_id).text.splitlines()[:2] == ["ingest: starts", "ingest: done"]
    assert place.runs.log(run_id, "deploy") == ("", 0)


def test_a_run_of_another_place_is_lost_when_the_place_is_no_longer_used(place: Place) -> None:
    run_id = place.start()
    place.runs.tick()
    from services.control.runs import LocalLauncher

    other = Runs(place.database, place.settings, clock=lambda: place.now, launcher=LocalLauncher(place.settings))
    other.tick()
    assert "it ran on kfp" in str(other.run(run_id).error)
    place.now += timedelta(seconds=1)


def test_a_server_that_does_not_listen_is_a_fault_and_nothing_is_lost(place: Place, server: Server) -> None:
    run_id = place.start()
    place.runs.tick()
    closed = KfpLauncher(Cluster("http://127.0.0.1:9"))
    runs = Runs(place.database, place.settings, clock=lambda: place.now, launcher=closed)
    runs.tick()
    assert "no KFP API answers at http://127.0.0.1:9" in runs.faults()[f"run {run_id}"]
    assert runs.run(run_id).state == "running"
    with pytest.raises(StackError, match="no KFP API answers"):
        runs.log(run_id)
