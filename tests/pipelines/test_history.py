"""Which runs released what."""

from pathlib import Path

from pipelines.history import History


def record(history: History, run: str, release: str | None, inputs: str, champion: str) -> None:
    deployed = {"release_id": release, "bundle": f"/bundles/{release}"} if release else {}
    history.record(run, "pass" if release else "fail", deployed, inputs=inputs, champion=champion)


def test_the_first_run_has_no_champion(tmp_path: Path) -> None:
    assert History(tmp_path).champion_for("inputs", None) == ""


def test_the_serving_release_is_the_champion_of_a_run_on_other_inputs(tmp_path: Path) -> None:
    history = History(tmp_path)
    record(history, "run-1", "r1", inputs="monday", champion="")
    record(history, "run-2", "r2", inputs="tuesday", champion="/bundles/r1")
    assert history.champion_for("wednesday", "r1") == "/bundles/r1"
    assert history.champion_for("wednesday", "r2") == "/bundles/r2"


def test_a_run_that_repeats_the_one_that_serves_has_the_same_champion_as_before(tmp_path: Path) -> None:
    history = History(tmp_path)
    record(history, "run-1", "r1", inputs="monday", champion="")
    record(history, "run-2", "r2", inputs="tuesday", champion="/bundles/r1")
    assert history.champion_for("tuesday", "r2") == "/bundles/r1"
    assert history.champion_for("monday", "r2") == "/bundles/r2"


def test_a_run_that_repeats_one_whose_release_does_not_serve_yet_has_the_same_champion(tmp_path: Path) -> None:
    history = History(tmp_path)
    record(history, "run-1", "r1", inputs="monday", champion="")
    record(history, "run-2", "r2", inputs="tuesday", champion="/bundles/r1")
    assert history.champion_for("tuesday", "r1") == "/bundles/r1"
    assert history.champion_for("monday", "r1") == ""


def test_a_run_the_gate_stopped_changes_nothing(tmp_path: Path) -> None:
    history = History(tmp_path)
    record(history, "run-1", "r1", inputs="monday", champion="")
    record(history, "run-2", None, inputs="tuesday", champion="/bundles/r1")
    assert history.champion_for("tuesday", "r1") == "/bundles/r1"
    assert len(history.records()) == 2
