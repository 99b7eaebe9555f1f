"""`rankloop runs ...` against the real API over HTTP, with runs that are real processes."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from services.cli.console import Guarded
from services.cli.runs import app
from tests.services.control.toy_runs import Served

Rankloop = Callable[..., Result]

root = Typer(cls=Guarded)
root.add_typer(app, name="runs")


@root.callback()
def _root(debug: bool = False) -> None:
    """The program."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path)
    yield one
    one.stop()
    for left in one.processes():
        left.kill()
    one.database.close()


@pytest.fixture
def rankloop(place: Served, monkeypatch: pytest.MonkeyPatch) -> Rankloop:
    monkeypatch.setenv("RANKLOOP_CONTROL_PORT", str(place.settings.control_port))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: str) -> Result:
        return CliRunner().invoke(root, ["runs", *words])

    return call


def _started(done: Result) -> str:
    assert done.exit_code == 0, done.output
    return done.output.split()[1]


def test_a_run_is_started_and_followed_to_its_release(place: Served, rankloop: Rankloop) -> None:
    done = rankloop("start", str(place.data), "--follow", "--set", "seed=3", "--why", "new views")
    assert done.exit_code == 0, done.output
    assert [line.split()[1] for line in done.output.splitlines() if line.startswith("✓")] == [
        "ingest",
        "build_features",
        "train_retrievers",
    ]
    assert "verdict: pass; release r1" in done.output
    listed = rankloop("list").output
    assert "succeeded" in listed
    assert "new views" in listed


def test_a_failed_run_is_shown_with_its_step_and_retried(place: Served, rankloop: Rankloop) -> None:
    place.says("fail-build_features")
    done = rankloop("start", str(place.data), "--follow")
    run = done.output.split()[1]
    assert done.exit_code == 1
    assert "✗ build_features" in done.output
    place.unsays("fail-build_features")
    again = rankloop("retry", run, "--follow")
    assert again.exit_code == 0, again.output
    assert "cached" in again.output
    shown = rankloop("show", again.output.split()[1]).output
    assert f"goes on from {run}" in shown
    assert rankloop("retry", again.output.split()[1]).exit_code == 1


def test_a_run_is_cancelled_and_leaves_no_process(place: Served, rankloop: Rankloop) -> None:
    place.says("hold-ingest", "child")
    run = _started(rankloop("start", str(place.data)))
    place.until_at(place.runs.run(run), "ingest", ticks=False)
    assert "is cancelled" in rankloop("cancel", run, "--why", "wrong data").output
    assert place.processes() == []
    assert "wrong data" in rankloop("show", run).output
    refused = rankloop("cancel", run)
    assert refused.exit_code == 1
    assert "is cancelled" in refused.output


def test_the_log_is_printed_whole_by_step_and_to_its_end(place: Served, rankloop: Rankloop) -> None:
    place.says("hold-build_features")
    run = _started(rankloop("start", str(place.data)))
    place.until_at(place.runs.run(run), "build_features", ticks=False)
    assert rankloop("log", run, "ingest").output.splitlines()[1:] == ["ingest: starts", "ingest: works", "ingest: done"]
    letting_go = threading.Timer(0.7, lambda: place.unsays("hold-build_features"))
    letting_go.start()
    followed = rankloop("log", run, "--follow").output
    letting_go.join()
    assert followed.splitlines()[-1] == "train_retrievers: done"
    assert rankloop("log", run).output == followed
    assert "there is no step" in rankloop("log", run, "cooking").output


def test_a_schedule_is_made_listed_and_removed(place: Served, rankloop: Rankloop) -> None:
    assert "no schedule" in rankloop("unschedule", "nightly").output
    made = rankloop("schedule", "nightly", str(place.data), "--cron", "30 2 * * *")
    assert made.exit_code == 0, made.output
    assert "02:30 UTC" in made.output
    rankloop("schedule", "arrivals", str(place.data), "--watch", str(place.data), "--off")
    listed = rankloop("schedules").output
    assert "30 2 * * *" in listed
    assert "new data at" in listed
    assert rankloop("unschedule", "nightly").exit_code == 0
    assert "nightly" not in rankloop("schedules").output
    refused = rankloop("schedule", "nightly", str(place.data), "--cron", "at night")
    assert refused.exit_code == 1
    assert "five fields" in refused.output


def test_an_order_the_machine_cannot_read_is_refused_before_it_is_sent(place: Served, rankloop: Rankloop) -> None:
    for words in (("start", "/there/is/none"), ("start", str(place.data), "--set", "trails=3")):
        assert rankloop(*words).exit_code == 1
    assert place.runs.runs() == []
    assert "no such run" in rankloop().output


def test_what_is_not_there_is_one_sentence(place: Served, rankloop: Rankloop) -> None:
    for words in (("show", "run-0"), ("log", "run-0"), ("cancel", "run-0"), ("retry", "run-0")):
        done = rankloop(*words)
        assert done.exit_code == 1
        assert "there is no run 'run-0'" in done.output
