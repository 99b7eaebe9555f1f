"""One run of the real pipeline from the queue: cancelled, killed, and brought to its end by retries."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from monitoring.progress import EVENTS
from pipelines.environment import RAY_ENVIRONMENT
from rankloop.simulation import Marketplace, Scale
from services.control.database import Run, open_database
from services.control.runs import LocalLauncher, Runs
from services.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ALONE = """
import json, sys
from pathlib import Path
from pipelines.detached import main
folder = Path(sys.argv[1])
asked = json.loads((folder / "order.json").read_text())
asked["order"]["ray_address"] = ""  # no stack runs here: the step starts a Ray of its own
(folder / "order.json").write_text(json.dumps(asked))
main(folder)
"""
RECIPE = {"trials": 1, "rounds": 20, "judged_requests": 40, "retrievers": ["popular", "profile"]}


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    settings = Settings.read(home=str(tmp_path / "home"), stop_seconds=20)
    launcher = LocalLauncher(settings, command=(sys.executable, "-c", ALONE))
    with open_database(f"sqlite:///{tmp_path / 'record.db'}") as database:
        yield Runs(database, settings, clock=lambda: datetime.now(UTC), launcher=launcher)
        for left in processes(tmp_path):
            left.kill()


def processes(folder: Path) -> list[psutil.Process]:
    return [own for own in psutil.process_iter() if events_of(own).startswith(str(folder.resolve()))]


def events_of(process: psutil.Process) -> str:
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else process.environ().get(EVENTS, "")
    except (psutil.Error, OSError):
        return ""


def until(runs: Runs, run: Run, holds: Callable[[dict[str, Any]], bool], what: str) -> Run:
    end = time.monotonic() + 300
    while True:
        runs.tick()
        steps, now = {step.name: step for step in runs.steps(run.run_id)}, runs.run(run.run_id)
        if holds(steps):
            return now
        assert now.state in ("queued", "running"), f"{now.error} before {what}"
        assert time.monotonic() < end, f"waited too long until {what}: {now}"
        time.sleep(0.1)


def test_a_real_run_is_cancelled_lost_and_ends_each_retry_going_on_where_the_one_before_stopped(
    runs: Runs, tmp_path: Path
) -> None:
    assert os.environ.items() >= RAY_ENVIRONMENT.items()
    Marketplace(Scale.tiny(), rng=1).history().write(tmp_path / "log")
    order = {"source": "contract", "path": str(tmp_path / "log"), "recipe": RECIPE}
    first = runs.start(order, who="ada", why="a test")
    until(runs, first, lambda steps: steps["build_features"].state == "running", "features are built")
    runs.cancel(first.run_id, "ada", "a test")
    assert processes(tmp_path) == []
    assert [step.state for step in runs.steps(first.run_id)][:2] == ["done", "stopped"]

    second = runs.retry(first.run_id, "ada")
    placed = until(runs, second, lambda steps: steps["train_retrievers"].state == "running", "retrievers are trained")
    assert [step.state for step in runs.steps(second.run_id)][:2] == ["cached", "done"]
    assert placed.pid is not None
    os.kill(placed.pid, signal.SIGKILL)
    while runs.run(second.run_id).state == "running":
        runs.tick()
    assert "vanished without an end" in str(runs.run(second.run_id).error)

    third = runs.retry(second.run_id, "ada")
    end = time.monotonic() + 400
    while (ended := runs.run(third.run_id)).state in ("queued", "running"):
        assert time.monotonic() < end, f"waited too long for the end: {runs.steps(third.run_id)}"
        runs.tick()
        time.sleep(0.1)
    assert (ended.state, ended.error) == ("succeeded", None), ended
    assert ended.verdict in ("fail", "not enough evidence")
    assert ended.release_id is None
    steps = {step.name: step for step in runs.steps(third.run_id)}
    assert [steps[name].state for name in ("ingest", "build_features")] == ["cached"] * 2
    assert [steps[name].state for name in ("train_ranker", "evaluate", "package")] == ["done", "done", "skipped"]
    assert steps["train_ranker"].peak_mb > 0
    assert "train_ranker: done" in runs.log(third.run_id, "train_ranker").text
    assert processes(tmp_path) == []
