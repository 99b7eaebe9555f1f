"""One run of the real pipeline from the queue: cancelled, killed, and brought to its end by retries."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.environment import RAY_ENVIRONMENT
from rankloop.simulation import Marketplace, Scale
from services.control.database import Run
from services.control.runs import Runs
from tests.services.control.toy_runs import Served

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


class Real(Served):
    """A place where the real pipeline runs."""

    @property
    def command(self) -> tuple[str, ...]:
        return sys.executable, "-c", ALONE


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Real]:
    one = Real(tmp_path)
    yield one
    one.stop()
    for left in one.processes():
        left.kill()
    one.database.close()


def until(runs: Runs, run: Run, holds: Callable[[dict[str, Any]], bool], what: str) -> Run:
    end = time.monotonic() + 300
    while True:
        steps, now = {step.name: step for step in runs.steps(run.run_id)}, runs.run(run.run_id)
        if holds(steps):
            return now
        assert now.state in ("queued", "running"), f"{now.error} before {what}"
        assert time.monotonic() < end, f"waited too long until {what}: {now}"
        time.sleep(0.1)


def test_a_real_run_is_cancelled_lost_and_ends_each_retry_going_on_where_the_one_before_stopped(
    place: Real, tmp_path: Path
) -> None:
    runs = place.runs
    assert os.environ.items() >= RAY_ENVIRONMENT.items()
    Marketplace(Scale.tiny(), rng=1).history().write(tmp_path / "log")
    order = {"source": "contract", "path": str(tmp_path / "log"), "recipe": RECIPE}
    first = runs.start(order, who="ada", why="a test")
    until(runs, first, lambda steps: steps["build_features"].state == "running", "features are built")
    runs.cancel(first.run_id, "ada", "a test")
    assert place.processes() == []
    assert [step.state for step in runs.steps(first.run_id)][:2] == ["done", "stopped"]

    second = runs.retry(first.run_id, "ada")
    trained = ("train_retrievers", "train_ranker")
    placed = until(runs, second, lambda steps: "running" in {steps[name].state for name in trained}, "models are trained")
    assert [step.state for step in runs.steps(second.run_id)][:2] == ["cached", "done"]
    assert placed.pid is not None
    os.kill(placed.pid, signal.SIGKILL)
    place.until_state(second, "lost", ticks=False)
    assert "vanished without an end" in str(runs.run(second.run_id).error)

    third = runs.retry(second.run_id, "ada")
    end = time.monotonic() + 400
    while (ended := runs.run(third.run_id)).state in ("queued", "running"):
        assert time.monotonic() < end, f"waited too long for the end: {runs.steps(third.run_id)}"
        time.sleep(0.1)
    assert (ended.state, ended.error) == ("succeeded", None), ended
    assert ended.verdict in ("fail", "not enough evidence")
    assert ended.release_id is None
    steps = {step.name: step for step in runs.steps(third.run_id)}
    assert [steps[name].state for name in ("ingest", "build_features")] == ["cached"] * 2
    assert [steps[name].state for name in ("train_ranker", "evaluate", "package")] == ["done", "done", "skipped"]
    assert steps["train_ranker"].peak_mb > 0
    assert "train_ranker: done" in runs.log(third.run_id, "train_ranker").text
    place.until(lambda: not place.processes(), "its processes have ended", ticks=False)
