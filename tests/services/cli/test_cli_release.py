import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from pipelines import launch
from pipelines.events import STEPS, Event, StepRecord
from pipelines.launch import Order, PipelineFailed, RunResult
from rankloop.canary import Policy as Checked
from rankloop.errors import SettingsError
from rankloop.gate import Policy, Row, Verdict
from rankloop.recipe import Recipe
from rankloop.simulation import Marketplace, Scale
from services import stack
from services.cli.progress import Steps
from services.cli.release import recipe_from
from services.cli.tried import FIRST, POLICY
from services.control.wire import CanaryShown
from services.settings import Settings
from services.stack import ProcessStatus, StackStatus

Rankloop = Callable[..., Result]


def evaluation(outcome: Any) -> dict[str, Any]:
    """What `evaluate` records, of two systems."""
    row = Row(
        metric="ndcg@10",
        slice="all",
        rule="better than popular",
        outcome=outcome,
        binding=True,
        reason="It is what it is [sic].",
        reference="popular",
        candidate_value=0.5,
        reference_value=0.25,
        difference=0.25,
        lower=0.125,
        upper=0.375,
    )
    extra = Row(metric="empty", slice="all", rule="at most 1 %", outcome="pass", binding=False, reason="Few.")
    verdict = Verdict(outcome=outcome, reasons=(row.reason,), rows=(row, extra), candidate="r2", policy=Policy(), seed=1)
    mean = {"mean": 0.5, "lower": 0.375, "upper": 0.625}
    systems = {name: {"ndcg@10": mean, "recall@100": mean} for name in ("candidate", "popular")}
    return {"verdict": json.loads(verdict.to_json()), "systems": systems}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    Marketplace(Scale.tiny(), rng=1).history().write(tmp_path / "log")
    return tmp_path / "log"


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Any) -> list[Order]:
    """Lets a run end as its recipe's seed says (1: pass, else fail) and the stack be up; gathers what was ordered.

    A release with a policy is a canary, any other one serves.
    """
    asked: list[Order] = []

    def run_release(order: Order, home: Path, on_event: Callable[[Event], None]) -> RunResult:
        asked.append(order)
        passed = (order.recipe or {}).get("seed") == 1
        on_event(Event("ingest", "starts", "", 0.0))
        on_event(Event("ingest", "says", "4,000 impressions", 0.0))
        on_event(Event("ingest", "done", "", 1.0, seconds=2.5, peak_mb=1000.0))
        steps = tuple(StepRecord(name, "done", 1.5, 300.0) for name in STEPS)
        recorded = evaluation("pass" if passed else "not enough evidence")
        verdict = recorded["verdict"]["outcome"]
        report, release = tmp_path / "report.html", "r-abc" if passed else None
        state = ("canary" if order.policy else "serving") if passed else ""
        return RunResult("run-1", tmp_path, steps, verdict, recorded, report, release, state, 12.0)

    process = ProcessStatus("haproxy", 1, "sleeping", (), None, 250.0)  # type: ignore[arg-type]
    now = StackStatus("up", tmp_path, urls={"service": server.url}, processes=(process, process))
    monkeypatch.setattr(launch, "run_release", run_release)
    monkeypatch.setattr(stack, "up", lambda settings, say: now)
    monkeypatch.setattr(stack, "status", lambda settings: StackStatus(**vars(now) | {"release_id": "r-abc"}))
    return asked


def test_fields_given_one_by_one_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("trials: 4\nseed: 3\n")
    assert recipe_from(file, ["trials=8", "retrievers=[popular]"]) == {"trials": 8, "seed": 3, "retrievers": ["popular"]}


@pytest.mark.parametrize("field", ["trials", "trails=4", "trials=many", "training=0.9"])
def test_a_field_that_cannot_work_is_refused_before_anything_runs(field: str) -> None:
    with pytest.raises(SettingsError):
        recipe_from(None, [field])


def test_a_recipe_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("- trials\n")
    with pytest.raises(SettingsError, match="holds list"):
        recipe_from(tmp_path / "recipe.yaml", [])


def test_a_run_shows_steps_systems_gate_and_release(rankloop: Rankloop, orders: list[Order], log: Path) -> None:
    done = rankloop("run", log, "--set", "seed=1")
    assert done.exit_code == 0
    assert "✓ ingest" in done.output
    assert "1.05 GB" in done.output
    assert "0.5000 (0.375 to 0.625)" in done.output
    assert "+0.2500 (+0.125 to +0.375)" in done.output
    assert "It is what it is [sic]." in done.output
    assert "at most 1 %" not in done.output
    assert "release r-abc serves" in done.output
    assert (orders[0].source, orders[0].path, orders[0].recipe) == ("contract", str(log), {"seed": 1})


def test_a_run_takes_a_policy_or_lets_the_release_serve_at_once(
    rankloop: Rankloop, orders: list[Order], log: Path, tmp_path: Path
) -> None:
    (tmp_path / "policy.yaml").write_text("min_units: 5\n")
    tried = rankloop("run", log, "--set", "seed=1", "--policy", tmp_path / "policy.yaml")
    assert "release r-abc is a canary; follow it with rankloop canary watch" in tried.output
    rankloop("run", log, "--set", "seed=1", "--at-once")
    assert [(order.at_once, order.policy) for order in orders] == [(False, {"min_units": 5}), (True, {})]


@pytest.mark.parametrize("text", ["min_units: many", "min_unit: 5", "steps: [5000, 1000]"])
def test_a_policy_that_cannot_work_is_refused_before_anything_runs(
    rankloop: Rankloop, orders: list[Order], log: Path, tmp_path: Path, text: str
) -> None:
    (tmp_path / "policy.yaml").write_text(text)
    assert rankloop("run", log, "--policy", tmp_path / "policy.yaml").exit_code == 1
    assert orders == []


def test_comparisons_that_only_inform_are_shown_on_demand(rankloop: Rankloop, orders: list[Order], log: Path) -> None:
    assert "at most 1 %" in rankloop("run", log, "--set", "seed=1", "--all").output


def test_a_run_the_gate_stopped_is_exit_code_3(rankloop: Rankloop, orders: list[Order], log: Path) -> None:
    done = rankloop("run", log)
    assert done.exit_code == 3
    assert "verdict: not enough evidence" in done.output
    assert "nothing was released" in done.output


def test_a_step_that_failed_is_one_sentence(
    rankloop: Rankloop, orders: list[Order], log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> RunResult:
        raise PipelineFailed("step ingest failed: no")

    monkeypatch.setattr(launch, "run_release", fail)
    done = rankloop("run", log)
    assert done.exit_code == 1
    assert done.output.endswith("step ingest failed: no\n")


@pytest.fixture
def lists(server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A service that gives lists, and a control plane where nothing serves."""
    monkeypatch.setenv("RANKLOOP_CONTROL_PORT", str(server.http.server_port))
    server.says("/v1/recommend", server.answer)
    server.says("/v1/search", server.answer)
    server.says("/v1/serving", {"at": "2026-11-17T14:05:00Z", "slots": []})
    return server


@pytest.fixture
def crowds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Lets a crowd promote one canary and roll one back; gathers whose people came."""
    folders: list[Path] = []

    def canary(release: str, status: str) -> CanaryShown:
        now = datetime(2026, 11, 17, tzinfo=UTC)
        told: dict[str, Any] = {"step": 0, "steps": 1, "weight_bp": 0, "policy": {}, "who": "ada", "why": "a test", "late": False}
        return CanaryShown(
            canary_id=f"c-{release}", release_id=release, against="r0", slot="blue", status=status, created_at=now, **told
        )

    def tried(settings: Settings, folder: Path) -> list[CanaryShown]:
        folders.append(folder)
        return [canary("r-abc", "promoted"), canary("r-bad", "rolled back")]

    monkeypatch.setattr("services.cli.demo.tried", tried)
    return folders


def test_the_demo_tries_a_release_before_a_crowd_and_ends_with_lists_addresses_and_a_record(
    rankloop: Rankloop, orders: list[Order], crowds: list[Path], home: Path, lists: Any
) -> None:
    done = rankloop("demo", "--impressions", 2000, "--set", "seed=1")
    assert done.exit_code == 0, done.output
    parts = ["the stack is up", "a first, simple release", "the release pipeline", "the gate", "a ranked list over HTTP"]
    assert sorted(parts, key=done.output.index) == parts
    assert done.output.count("Data analyst [remote]") == 2
    assert "stop it with: rankloop down" in done.output
    record = json.loads((home / "demo.json").read_text())
    assert [step["name"] for step in record["steps"]] == ["simulate", "up", "first release", *STEPS, "canaries"]
    assert record["steps"][1]["peak_mb"] == 2 * 250.0
    assert record["steps"][2]["peak_mb"] == 300.0
    assert record["steps"][3] == {"name": "ingest", "state": "done", "seconds": 1.5, "peak_mb": 300.0}
    assert (record["verdict"], record["release_id"], record["urls"]) == ("pass", "r-abc", {"service": lists.url})
    ends = [{"release_id": "r-abc", "status": "promoted"}, {"release_id": "r-bad", "status": "rolled back"}]
    assert record["canaries"] == ends
    assert crowds == [Path(record["data"]["path"])]
    assert lists.posted["query"]
    assert lists.posted["user_id"]


def test_the_demos_first_release_serves_at_once_and_the_next_one_is_a_canary(
    rankloop: Rankloop, orders: list[Order], crowds: list[Path], lists: Any
) -> None:
    rankloop("demo", "--impressions", 2000, "--set", "seed=1")
    first, second = orders
    assert (first.recipe, first.alone, first.at_once, first.policy) == ({"seed": 1} | FIRST, True, True, None)
    assert (second.recipe, second.alone, second.at_once, second.policy) == ({"seed": 1}, False, False, POLICY)
    assert first.path == second.path
    assert Checked.of(POLICY).steps == tuple(POLICY["steps"])
    Recipe.from_mapping(FIRST)


def test_the_demo_makes_no_first_release_where_one_serves(
    rankloop: Rankloop, orders: list[Order], crowds: list[Path], lists: Any, home: Path
) -> None:
    slot = {"slot": "green", "release_id": "r0", "share_bp": 10_000, "stable": True, "interleaved_bp": 0}
    lists.says("/v1/serving", {"at": "2026-11-17T14:05:00Z", "slots": [slot]})
    assert rankloop("demo", "--impressions", 2000, "--set", "seed=1").exit_code == 0
    assert [order.policy for order in orders] == [POLICY]
    record = json.loads((home / "demo.json").read_text())
    assert [step["name"] for step in record["steps"]] == ["simulate", "up", *STEPS, "canaries"]


@pytest.mark.parametrize("own", [True, False])
def test_without_a_canary_or_with_your_log_no_crowd_comes_and_the_release_serves_at_once(
    rankloop: Rankloop, orders: list[Order], crowds: list[Path], lists: Any, log: Path, home: Path, own: bool
) -> None:
    words = ("--data", log) if own else ("--no-canary", "--impressions", 2000)
    done = rankloop("demo", *words, "--set", "seed=1")
    assert done.exit_code == 0, done.output
    assert [(order.at_once, order.alone, order.policy) for order in orders] == [(True, False, None)]
    assert crowds == []
    assert json.loads((home / "demo.json").read_text())["canaries"] == []
    assert "release r-abc serves" in done.output


def test_no_crowd_comes_for_a_release_that_the_gate_stopped(
    rankloop: Rankloop, orders: list[Order], crowds: list[Path], lists: Any
) -> None:
    assert rankloop("demo", "--impressions", 2000).exit_code == 3
    assert crowds == []


def test_the_demo_on_your_log_whose_gate_said_no_shows_the_release_before(
    rankloop: Rankloop, orders: list[Order], log: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(stack, "down", lambda settings, say: ended.append(1))
    server.says("/v1/recommend", server.answer)
    server.says("/v1/search", server.answer)
    done = rankloop("demo", "--data", log, "--no-keep")
    assert done.exit_code == 3
    assert "the release before it, r-abc, still serves" in done.output
    assert orders[0].path == str(log)
    assert ended == [1]


def test_a_demo_that_fails_still_stops_the_stack_when_asked(
    rankloop: Rankloop, orders: list[Order], log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> RunResult:
        raise PipelineFailed("step evaluate failed: no")

    ended: list[int] = []
    monkeypatch.setattr(launch, "run_release", fail)
    monkeypatch.setattr(stack, "down", lambda settings, say: ended.append(1))
    assert rankloop("demo", "--data", log, "--no-keep").exit_code == 1
    assert ended == [1]


def test_progress_shows_each_kind_of_event(capsys: pytest.CaptureFixture[str]) -> None:
    with Steps() as steps:
        for event in (
            Event("ingest", "cached", "", 0.0),
            Event("evaluate", "starts", "", 0.0),
            Event("evaluate", "says", "measuring [popular]", 0.0),
            Event("evaluate", "failed", "DataError: no", 0.0),
        ):
            steps.take(event)
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert lines == [["✓", "ingest", "cached"], ["·", "evaluate", "measuring [popular]"], ["✗", "evaluate", "DataError: no"]]


def test_compile_writes_every_step(rankloop: Rankloop, tmp_path: Path) -> None:
    done = rankloop("pipeline", "compile", tmp_path / "out" / "release.yaml")
    assert done.exit_code == 0
    compiled = next(yaml.safe_load_all((tmp_path / "out" / "release.yaml").read_text()))
    assert {name.replace("_", "-") for name in STEPS} <= {name.removeprefix("comp-") for name in compiled["components"]}


@pytest.mark.parametrize("host", ["http://127.0.0.1:9", "nonsense"])
def test_submit_where_no_server_answers_is_one_sentence(rankloop: Rankloop, log: Path, host: str) -> None:
    done = rankloop("pipeline", "submit", log, "--host", host)
    assert done.exit_code == 1
    assert f"no KFP API answers at '{host}'" in done.output
