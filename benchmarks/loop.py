"""The whole loop on a simulated marketplace: minutes, memory, quality against the truth, repeatability, recovery."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import psutil

from benchmarks.result import Bar, Result
from rankloop.errors import RankloopError
from rankloop.gate import Measured
from rankloop.metrics import bootstrap_mean, ndcg
from rankloop.request import Request
from rankloop.simulation import Truth

__all__ = ["run"]

_SIZE = 200_000
_QUICK_SIZE = 30_000
_QUICK_RECIPE = ("trials=3", "rounds=60", "judged_requests=150", "policy={min_users: 30, min_requests: 50}")
_PORTS = ("HTTP_PORT", "DASHBOARD_PORT", "RAY_PORT", "HAPROXY_METRICS_PORT", "HAPROXY_STATS_PORT")
_LIMIT_S = 1_500


@dataclass(frozen=True)
class Home:
    """A state folder, ports of its own, and the terminal program."""

    folder: Path
    ports: Mapping[str, str]

    def rankloop(self, *words: str) -> float:
        """Runs a command to its end; the seconds it took.

        Raises:
            RankloopError: its exit code is not 0.
        """
        begin = time.perf_counter()
        command = [sys.executable, "-c", "from services.cli import main; main()", *words]
        environment = {**os.environ, **self.ports, "RANKLOOP_HOME": str(self.folder), "COLUMNS": "140"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        if done.returncode:
            raise RankloopError(f"rankloop {' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return time.perf_counter() - begin

    @property
    def url(self) -> str:
        """Where requests are answered."""
        return f"http://127.0.0.1:{self.ports['RANKLOOP_HTTP_PORT']}"

    def demo(self) -> dict[str, Any]:
        """What the demo recorded."""
        record: dict[str, Any] = json.loads((self.folder / "demo.json").read_text())
        return record

    def evaluation(self) -> Path:
        """What the last demo's run measured."""
        outputs = json.loads((self.folder / "runs" / self.demo()["run_id"] / "outputs.json").read_text())
        return Path(outputs["evaluation"])


def run(quick: bool) -> Result:
    """Runs the demo twice from nothing, once more from the cache, and breaks what serves."""
    size = _QUICK_SIZE if quick else _SIZE
    recipe = [word for field in _QUICK_RECIPE for word in ("--set", field)] if quick else []
    # a small crowd shows nothing
    asked = ["demo", "--impressions", str(size), *recipe, *(["--no-canary"] if quick else [])]
    with _home() as home:
        seconds = home.rankloop(*asked)
        demo, first = home.demo(), home.evaluation()
        quality = _quality(first, Path(demo["data"]["path"]) / "truth")
        again = home.rankloop("run", demo["data"]["path"], *recipe)
        recovery = _kill_replica(home)
        means = _means(first)
        home.rankloop("down")
        left = _left(home)
    with _home() as other:
        other.rankloop("demo", "--impressions", str(size), *recipe, "--no-canary")
        twice = other.demo()["release_id"], _means(other.evaluation())
        other.rankloop("down")
    # the second home has no release before it
    apart = max(abs(means[name] - twice[1][name]) for name in means.keys() & twice[1].keys())
    peak = max(step["peak_mb"] for step in demo["steps"]) * 2**20 / 1e9
    figures = {
        "impressions": size,
        "demo_s": seconds,
        "steps": {step["name"]: {"seconds": step["seconds"], "peak_gb": step["peak_mb"] * 2**20 / 1e9} for step in demo["steps"]},
        "second_run_s": again,
        "ndcg@10": quality,
        "gap_captured": _captured(quality),
        "same_release_twice": twice[0] == demo["release_id"],
        "largest_difference_of_a_metric": apart,
        **recovery,
        **left,
    }
    return Result("loop", figures=figures, bars=_bars(figures, peak))


def _bars(figures: Mapping[str, Any], peak_gb: float) -> list[Bar]:
    quality = figures["ndcg@10"]
    lower = quality["candidate"]["lower"]
    return [
        Bar.at_most("demo after installation, seconds", figures["demo_s"], 240),
        Bar.at_most("peak memory of a step, GB", peak_gb, 4),
        Bar.at_least(
            "nDCG@10, the ranker's lower end less the logged order's upper", lower - quality["logged order"]["upper"], 0
        ),
        Bar.at_least("nDCG@10, the ranker's lower end less the popular baseline's upper", lower - quality["popular"]["upper"], 0),
        Bar.at_least("share of the gap from popular to the true-preference oracle", figures["gap_captured"], 0.6),
        Bar.at_most("largest difference of a metric, same seed twice", figures["largest_difference_of_a_metric"], 1e-6),
        Bar.at_most("second run with nothing changed, seconds", figures["second_run_s"], 15),
        Bar.at_most("seconds until a killed replica's successor answers", figures["recovered_s"], 60),
        Bar.at_most("processes left by down", figures["processes_left"], 0),
        Bar.at_most("ports left bound by down", figures["ports_left"], 0),
    ]


def _quality(evaluation: Path, truth: Path) -> dict[str, dict[str, float]]:
    """nDCG@10 on the shown lists, with the oracle that knows every preference."""
    systems = {file.stem.replace("_", " "): Measured.read(file) for file in sorted((evaluation / "measured").glob("*.parquet"))}
    values = {name: np.asarray(system.array("ndcg@10")) for name, system in systems.items()}
    lists = pl.read_parquet(evaluation / "lists.parquet")
    requests = [
        Request(user, surface, ts, query)
        for user, surface, ts, query in lists.select("user_id", "surface", "ts", "query").iter_rows()
    ]
    utilities = Truth.load(truth).utilities(requests, lists["item_ids"].to_list())
    grades = np.concatenate(lists["grades"].to_list()).astype(np.int32)
    values["oracle"] = ndcg(np.concatenate(utilities), grades, np.array([len(own) for own in utilities]), k=10)
    units = np.asarray(systems["candidate"].units)
    intervals = {name: bootstrap_mean(array, units, rng=0) for name, array in values.items()}
    return {name: {"mean": found.mean, "lower": found.lower, "upper": found.upper} for name, found in intervals.items()}


def _captured(quality: Mapping[str, Mapping[str, float]]) -> float:
    candidate, popular, oracle = (quality[name]["mean"] for name in ("candidate", "popular", "oracle"))
    return (candidate - popular) / (oracle - popular)


def _means(evaluation: Path) -> dict[str, float]:
    systems = json.loads((evaluation / "evaluation.json").read_text())["systems"]
    return {f"{name}/{metric}": row["mean"] for name, rows in systems.items() for metric, row in rows.items()}


def _kill_replica(home: Home) -> dict[str, float]:
    """Kills what answers, and asks ten times a second until the answers come back for good."""
    before = _replicas(home)
    for process in before:
        process.send_signal(signal.SIGKILL)
    begin, failed, answered = time.perf_counter(), 0, 0
    while answered < 20 and time.perf_counter() - begin < 120:
        good = _answers(home.url)
        answered = answered + 1 if good else 0
        failed += not good
        time.sleep(0.1)
    back = {process.pid for process in _replicas(home)} - {process.pid for process in before}
    seconds = time.perf_counter() - begin - 2.0 if answered and back else float("inf")
    return {"recovered_s": max(seconds, 0.0), "requests_failed_meanwhile": float(failed)}


def _answers(url: str) -> bool:
    try:
        return httpx.post(f"{url}/v1/recommend", json={"user_id": "u0000001", "k": 5}, timeout=5).is_success
    except httpx.TransportError:
        return False


def _replicas(home: Home) -> list[psutil.Process]:
    return [process for process in _processes(home) if "ServeReplica" in " ".join(process.cmdline())]


def _left(home: Home) -> dict[str, int]:
    return {"processes_left": len(list(_processes(home))), "ports_left": sum(map(_bound, map(int, home.ports.values())))}


def _processes(home: Home) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("RANKLOOP_HOME") == str(home.folder):
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _bound(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _home() -> Iterator[Home]:
    folder = Path(tempfile.mkdtemp(prefix="rl-", dir="/tmp"))
    sockets = [socket.socket() for _ in _PORTS]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = {f"RANKLOOP_{name}": str(one.getsockname()[1]) for name, one in zip(_PORTS, sockets, strict=True)}
    for one in sockets:
        one.close()
    home = Home(folder, ports)
    try:
        yield home
    finally:
        home.rankloop("down")
        shutil.rmtree(folder, ignore_errors=True)
