"""What a run is ordered to do at a terminal, as the real control plane records it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from services.control.client import ControlClient
from services.control.runs import RunOrder
from services.control.wire_runs import RunOrderGiven, RunShown, ScheduleShown
from tests.services.control.toy_runs import Served

Rankloop = Callable[..., Result]
POLICY = {"min_units": 5, "steps": [2500]}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    one = Served(tmp_path)
    monkeypatch.setenv("RANKLOOP_CONTROL_PORT", str(one.settings.control_port))
    yield one
    one.stop()
    for left in one.processes():
        left.kill()
    one.database.close()


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(POLICY))
    return file


def test_what_can_be_ordered_over_http_is_what_a_run_can_be_ordered_to_do() -> None:
    assert RunOrderGiven.__struct_fields__ == RunOrder.__struct_fields__


def test_a_run_is_ordered_with_a_policy_and_was_started_at_a_terminal(place: Served, rankloop: Rankloop, policy: Path) -> None:
    done = rankloop("runs", "start", place.data, "--source", "contract", "--policy", policy)
    assert done.exit_code == 0, done.output
    (run,) = place.runs.runs()
    assert run.order == RunOrder.of({"source": "contract", "path": str(place.data), "policy": POLICY}).fields()
    assert run.trigger == "cli"


def test_a_run_that_a_program_starts_was_not_started_at_a_terminal(place: Served) -> None:
    order = RunOrderGiven("contract", str(place.data), at_once=True)
    with ControlClient.of(place.settings) as client:
        run = client.send("POST", "/v1/runs", {"order": order, "why": "a test"}, RunShown)
    assert run.order["at_once"] is True
    assert run.trigger == "api"


def test_a_schedule_orders_releases_that_serve_at_once(place: Served, rankloop: Rankloop) -> None:
    done = rankloop("runs", "schedule", "nightly", place.data, "--source", "contract", "--cron", "30 2 * * *", "--at-once")
    assert done.exit_code == 0, done.output
    with ControlClient.of(place.settings) as client:
        made = client.get("/v1/schedules/nightly", ScheduleShown)
    assert made.order == RunOrder.of({"source": "contract", "path": str(place.data), "at_once": True}).fields()


def test_a_policy_that_cannot_work_is_refused_before_anything_is_asked(rankloop: Rankloop, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("steps: [20000]\n")
    done = rankloop("runs", "start", tmp_path, "--source", "contract", "--policy", tmp_path / "policy.yaml")
    assert done.exit_code == 1
    assert "20000" in done.output
