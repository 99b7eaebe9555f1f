"""The whole loop on a small marketplace, as a newcomer runs it: real KFP, Ray, BentoML, Serve and HAProxy, over HTTP."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import psutil
import pytest

from pipelines.history import History
from rankloop.bundle import Bundle
from rankloop.gate import Measured, Verdict, decide
from rankloop.request import Request
from services.stack.ports import NAMED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SIZE = ["--impressions", "120000"]
RECIPE = [
    "--set",
    "trials=3",
    "--set",
    "rounds=60",
    "--set",
    "judged_requests=150",
    "--set",
    "policy={min_users: 30, min_requests: 50}",
]


@dataclass
class Loop:
    """A home of its own, ports of its own, and the terminal program."""

    home: Path
    environment: dict[str, str]

    def rankloop(self, *words: str, seconds: float = 400) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from services.cli import main; main()", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    @property
    def demo(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.home / "demo.json").read_text())
        return record

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['RANKLOOP_HTTP_PORT']}"

    def evaluation(self) -> Path:
        outputs = json.loads((self.home / "runs" / self.demo["run_id"] / "outputs.json").read_text())
        return Path(outputs["evaluation"])

    def processes(self) -> list[psutil.Process]:
        """Everything that was started for this home."""
        own = str(self.home)
        return [process for process in psutil.process_iter() if _home_of(process) == own and process.pid != os.getpid()]


def _home_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("RANKLOOP_HOME")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    home = Path(tempfile.mkdtemp(prefix="rl-", dir="/tmp"))
    ports = {f"RANKLOOP_{name.upper()}": str(port) for name, port in zip(NAMED, _free_ports(len(NAMED)), strict=True)}
    environment = {**os.environ, **ports, "RANKLOOP_INNER_PORT": "31500", "RANKLOOP_HOME": str(home), "COLUMNS": "140"}
    made = Loop(home, environment)
    try:
        done = made.rankloop("demo", *SIZE, *RECIPE)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{_logs(home)}"
        yield made
    finally:
        made.rankloop("down", seconds=90)
        shutil.rmtree(home, ignore_errors=True)


def _logs(home: Path) -> str:
    return "\n".join(log.read_text(errors="replace")[-3000:] for log in home.glob("runs/*/run.log"))


def test_the_demo_records_what_each_step_cost_and_what_came_of_it(loop: Loop) -> None:
    demo = loop.demo
    steps = {step["name"]: step for step in demo["steps"]}
    assert list(steps) == [
        "simulate", "up", "first release",
        "ingest", "build_features", "train_retrievers", "train_ranker", "evaluate", "package", "deploy",
        "canaries",
    ]  # fmt: skip
    made = [step for step in steps.values() if step["state"] != "cached"]
    assert {step["name"] for step in steps.values()} - {step["name"] for step in made} == {"ingest", "build_features"}
    assert all(step["seconds"] > 0 and step["peak_mb"] > 10 for step in made)
    assert demo["verdict"] == "pass"
    assert [own["status"] for own in demo["canaries"]] == ["promoted", "rolled back"]
    assert demo["canaries"][0]["release_id"] == demo["release_id"]
    assert demo["release_id"].startswith("r2")
    assert demo["urls"]["service"] == loop.url


def test_a_ranked_list_answers_over_http(loop: Loop) -> None:
    user = pl.read_parquet(Path(loop.demo["data"]["path"]) / "users.parquet")["user_id"][0]
    answer = httpx.post(f"{loop.url}/v1/recommend", json={"user_id": user, "k": 5}).raise_for_status().json()
    assert answer["release_id"] == loop.demo["release_id"]
    assert [item["position"] for item in answer["items"]] == [1, 2, 3, 4, 5]
    scores = [item["score"] for item in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["fallback"] is None
    assert all(item["title"] and item["source"] for item in answer["items"])


def test_the_record_says_what_was_serving_and_why(loop: Loop) -> None:
    shown = json.loads(loop.rankloop("releases", "list", "--json").stdout)["releases"]
    states = {own["release_id"]: own["state"] for own in shown}
    assert states[loop.demo["release_id"]] == "serving"
    assert states[loop.demo["canaries"][1]["release_id"]] == "rolled back"
    events = json.loads(loop.rankloop("events", "--json").stdout)["events"]
    kinds = [event["kind"] for event in events]
    for kind in ("release.served", "canary.advanced", "canary.promoted", "canary.rolled_back"):
        assert kind in kinds
    assert all(event["who"] and event["why"] for event in events)


def test_what_is_served_is_what_the_bundle_ranks(loop: Loop) -> None:
    record = next(own for own in reversed(History(loop.home).records()) if own.release_id)
    bundle = Bundle.open(record.bundle)
    user = bundle.parts.users["user_id"][3]
    answer = httpx.post(f"{loop.url}/v1/search", json={"user_id": user, "query": "designer", "k": 7}).raise_for_status().json()
    asked = Request(user, "job_search", datetime.fromisoformat(answer["as_of"]), "designer")
    ranked = bundle.recommender.recommend(asked, 7)
    assert [item["item_id"] for item in answer["items"]] == bundle.catalogue.decode(ranked.items)


def test_the_recorded_decision_can_be_replayed(loop: Loop) -> None:
    folder = loop.evaluation()
    verdict = Verdict.from_json((folder / "verdict.json").read_text())
    assert verdict.champion is not None
    names = ("candidate", "popular", verdict.champion)
    candidate, popular, champion = (Measured.read(folder / "measured" / f"{name}.parquet") for name in names)
    again = decide(candidate, baseline=popular, champion=champion, policy=verdict.policy, seed=verdict.seed)
    assert again == verdict


def test_a_second_run_with_nothing_changed_is_served_from_the_cache(loop: Loop) -> None:
    before = loop.demo["release_id"]
    done = loop.rankloop("run", loop.demo["data"]["path"], *RECIPE)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{_logs(loop.home)}"
    assert done.stdout.count("cached") == 6
    assert f"{before} serves" in done.stdout


def test_an_interrupted_run_stops_at_once_and_goes_on_where_it_was(loop: Loop) -> None:
    words = ["run", loop.demo["data"]["path"], *RECIPE, "--set", "trials=5"]
    command = [sys.executable, "-c", "from services.cli import main; main()", *words]
    with subprocess.Popen(command, env=loop.environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "trials to run" in line:
                running.send_signal(signal.SIGINT)
                break
        running.stdout.read()
    assert running.returncode == 130
    assert [process for process in loop.processes() if "pipelines.local" in _command(process)] == []
    done = loop.rankloop(*words)
    assert done.returncode in (0, 3), done.stdout + done.stderr  # the gate may find no difference to the first release
    assert done.stdout.count("cached") >= 3


def test_a_killed_replica_comes_back_by_itself(loop: Loop) -> None:
    replicas = [process for process in loop.processes() if "ServeReplica" in _command(process)]
    assert replicas
    for process in replicas:
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):  # nobody listens until the successor does
            if httpx.get(f"{loop.url}/readyz", timeout=2).is_success:
                break
        time.sleep(0.2)
    alive = [process.pid for process in loop.processes() if "ServeReplica" in _command(process)]
    assert alive
    assert not set(alive) & {process.pid for process in replicas}
    assert httpx.get(f"{loop.url}/readyz", timeout=5).is_success


def test_the_terminal_shows_a_readable_list(loop: Loop) -> None:
    done = loop.rankloop("search", "logo design")
    assert done.returncode == 0, done.stderr
    assert loop.demo["release_id"] in done.stdout
    assert "title" in done.stdout
    assert "bm25" in done.stdout


def test_a_start_that_is_killed_halfway_is_taken_over(loop: Loop) -> None:
    assert loop.rankloop("down", seconds=90).returncode == 0
    command = [sys.executable, "-c", "from services.cli import main; main()", "up"]
    with subprocess.Popen(command, env=loop.environment, stdout=subprocess.DEVNULL) as starting:
        time.sleep(5)
        starting.kill()
    done = loop.rankloop("up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert httpx.get(f"{loop.url}/readyz", timeout=5).is_success, "the last release is back"


def test_down_leaves_no_process_and_no_bound_port(loop: Loop) -> None:
    assert loop.rankloop("down", seconds=90).returncode == 0
    assert loop.processes() == []
    for name in ("RANKLOOP_HTTP_PORT", "RANKLOOP_DASHBOARD_PORT", "RANKLOOP_RAY_PORT", "RANKLOOP_HAPROXY_STATS_PORT"):
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", int(loop.environment[name])))
