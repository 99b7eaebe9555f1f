"""Starting the release pipeline: as YAML, and on this machine with a log that cannot be read."""

import logging
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from kfp.local import cache

from pipelines.events import STEPS, Event, last_words, read_events
from pipelines.launch import Order, PipelineFailed, compile_release, run_release
from pipelines.local import CacheWatch

ORDER = Order("contract", "")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict:
    file = tmp_path_factory.mktemp("compiled") / "sub" / "release.yaml"
    compile_release(file)
    return next(iter(yaml.safe_load_all(file.read_text())))


def test_the_pipeline_compiles_to_every_step_and_one_gate(compiled: dict) -> None:
    inner = compiled["components"]["comp-condition-1"]["dag"]["tasks"]
    outer = compiled["root"]["dag"]["tasks"]
    assert {name.replace("-", "_") for name in [*outer, *inner]} == {*STEPS, "condition_1"}
    assert set(inner) == {"package", "deploy"}
    condition = outer["condition-1"]["triggerPolicy"]["condition"]
    assert condition.endswith("== 'pass'")


def test_only_the_deployment_is_never_cached(compiled: dict) -> None:
    tasks = compiled["root"]["dag"]["tasks"] | compiled["components"]["comp-condition-1"]["dag"]["tasks"]
    cached = {name: task.get("cachingOptions", {}).get("enableCache", False) for name, task in tasks.items()}
    assert [name for name, on in cached.items() if not on and name != "condition-1"] == ["deploy"]


def test_every_step_runs_in_the_image_and_installs_nothing(compiled: dict) -> None:
    for executor in compiled["deploymentSpec"]["executors"].values():
        container = executor["container"]
        assert container["image"].startswith("rankloop/steps:")
        assert "pip install" not in " ".join(container["command"])


def test_the_parameters_name_the_data_and_the_code(tmp_path: Path) -> None:
    (tmp_path / "items.parquet").write_bytes(b"x")
    parameters = replace(ORDER, path=str(tmp_path)).parameters()
    assert len(parameters["data_version"]) == len(parameters["code_version"]) == 16
    assert parameters["recipe"] == {}


def test_a_log_that_cannot_be_read_stops_the_run_with_the_step_and_the_reason(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "items.parquet").write_bytes(b"this is no parquet")
    seen: list[Event] = []
    with pytest.raises(PipelineFailed, match=r"step ingest failed: .*items") as raised:
        run_release(replace(ORDER, path=str(data), alone=True), tmp_path / "home", seen.append)
    assert "run.log" in str(raised.value)
    assert next(event.event for event in seen if event.step == "ingest") == "starts"
    assert seen[-1].event == "failed"


def test_a_step_that_dies_before_it_can_speak_is_explained_by_its_last_error(tmp_path: Path) -> None:
    lines = ("    Traceback", "    ModuleNotFoundError: No module named 'x'", "", "RuntimeError: Pipeline failed")
    (tmp_path / "run.log").write_text("\n".join(lines))
    assert "ModuleNotFoundError: No module named 'x'" in last_words([], tmp_path)


def test_a_cached_step_is_told_by_the_line_that_kfp_logs(tmp_path: Path) -> None:
    source = Path(str(cache.__file__)).parent / "orchestrator" / "task_executor.py"
    assert "cache hit (key=" in source.read_text(), "KFP logs cache hits in other words now; change CacheWatch"
    file = tmp_path / "events.jsonl"
    said = "Task build-features cache hit (key=1); skipping execution."
    record = logging.LogRecord("root", logging.INFO, "", 0, said, (), None)
    before = time.time()
    assert CacheWatch(str(file)).filter(record)
    (event,), _ = read_events(file)
    assert (event.step, event.event) == ("build_features", "cached")
    assert event.at >= before
