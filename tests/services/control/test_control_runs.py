"""The queue of runs, with real processes: a small program takes the pipeline's place and speaks as it does."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from pipelines.events import STEPS
from rankloop.errors import Conflict, ControlError, Missing
from services.control.database import Database
from services.control.runs import LocalLauncher, Runs
from tests.services.control.toy_runs import Place, events_of


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    one = Place(tmp_path)
    yield one
    for process in one.begun:
        process.kill()
        process.wait()
    for left in one.processes():
        left.kill()
    one.database.close()


def test_a_run_ends_with_what_its_pipeline_made_and_every_change_is_an_event(place: Place) -> None:
    run = place.start()
    assert (run.state, run.who, run.why, run.order["alone"]) == ("queued", "ada", "a test", False)
    ended = place.until_state(run, "succeeded")
    assert (ended.verdict, ended.release_id, ended.error) == ("pass", "r1", None)
    assert ended.created_at <= ended.started_at <= ended.ended_at  # type: ignore[operator]
    kinds = place.kinds(run)
    assert (kinds[0], kinds[1], kinds[-1]) == ("run.queued", "run.running", "run.succeeded")


def test_the_steps_are_told_while_they_run_and_after(place: Place) -> None:
    place.says("hold-build_features")
    run = place.start()
    assert {step.state for step in place.runs.steps(run.run_id)} == {"waiting"}
    place.until_at(run, "build_features")
    steps = {step.name: step for step in place.runs.steps(run.run_id)}
    assert list(steps) == list(STEPS)
    assert (steps["ingest"].state, steps["build_features"].state, steps["deploy"].state) == ("done", "running", "waiting")
    assert (steps["ingest"].said, steps["ingest"].facts) == (["works"], {"rows": 3})
    assert steps["build_features"].seconds > 0
    assert steps["ingest"].peak_mb > 0
    place.unsays("hold-build_features")
    place.until_state(run, "succeeded")
    assert [step.state for step in place.runs.steps(run.run_id)] == ["done"] * 3 + ["skipped"] * 4


def test_a_log_is_read_in_parts_by_step(place: Place) -> None:
    place.says("hold-build_features")
    run = place.start()
    place.until_at(run, "build_features")
    first = place.runs.log(run.run_id)
    assert first.text.splitlines()[:3] == [
        "05:21:17.914 - INFO - Executing task 'ingest'",
        "ingest: starts",
        "ingest: works",
    ]
    place.unsays("hold-build_features")
    place.until_state(run, "succeeded")
    rest = place.runs.log(run.run_id, after=first.next)
    assert rest.text.endswith("train_retrievers: done\n")
    assert place.runs.log(run.run_id, after=rest.next) == ("", rest.next)
    own = place.runs.log(run.run_id, "build_features").text.splitlines()
    assert [line.split(":")[0] for line in own[1:]] == ["build_features"] * 3


@pytest.fixture
def any_place(tmp_path: Path, any_url: str) -> Iterator[Place]:
    one = Place(tmp_path, any_url)
    yield one
    for left in one.processes():
        left.kill()
    one.database.close()


def test_two_starts_at_once_for_one_surface_and_one_runs(any_place: Place) -> None:
    place = any_place
    place.says("hold-ingest")
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(lambda seed: place.start(seed=seed), (1, 2))
    place.until(lambda: len(place.runs.runs(state="running")) == 1 and place.begins(), "one runs")
    for _ in range(3):
        place.runs.tick()
    assert {place.runs.run(run.run_id).state for run in (first, second)} == {"running", "queued"}
    place.unsays("hold-ingest")
    place.until_state(first, "succeeded")
    place.until_state(second, "succeeded")
    assert sorted(place.begins()) == sorted([first.run_id, second.run_id])


def test_runs_of_two_surfaces_run_beside_each_other(place: Place) -> None:
    place.says("hold-ingest")
    place.start(surface="job_feed")
    place.start(surface="job_search")
    place.until(lambda: len(place.runs.runs(state="running")) == 2, "both run")
    place.unsays("hold-ingest")
    place.until(lambda: len(place.runs.runs(state="succeeded")) == 2, "both end")


def test_an_order_that_waits_already_is_not_queued_twice(any_place: Place) -> None:
    place = any_place
    with ThreadPoolExecutor(4) as many:
        names = {run.run_id for run in many.map(lambda _: place.start(seed=3), range(8))}
    assert len(names) == 1
    assert place.start(seed=4).run_id not in names
    assert place.start(seed=3, surface="job_search").run_id not in names


def test_a_run_that_waits_is_cancelled_at_once(place: Place) -> None:
    run = place.runs.cancel(place.start().run_id, "bob", "not today")
    assert (run.state, run.error) == ("cancelled", "cancelled by bob: not today")
    place.runs.tick()
    assert place.begins() == []
    assert {step.state for step in place.runs.steps(run.run_id)} == {"skipped"}
    with pytest.raises(Conflict, match="is cancelled"):
        place.runs.cancel(run.run_id, "bob")


def test_cancelling_leaves_no_process_even_one_that_will_not_listen(place: Place) -> None:
    place.says("hold-build_features", "child")
    run = place.start()
    place.until_at(run, "build_features")
    assert len(place.processes()) == 2
    place.runs.cancel(run.run_id, "bob", "wrong data")
    assert place.processes() == []
    steps = {step.name: step.state for step in place.runs.steps(run.run_id)}
    assert (steps["ingest"], steps["build_features"], steps["deploy"]) == ("done", "stopped", "skipped")
    place.runs.tick()
    assert place.runs.run(run.run_id).state == "cancelled"


def test_what_a_killed_control_plane_left_of_a_cancelled_run_is_ended_by_the_next_one(place: Place) -> None:
    place.says("hold-ingest", "child")
    run = place.start()
    place.until_at(run, "ingest")

    class Killed(Exception):
        """The process ends here."""

    def kill(*_: Any, **__: Any) -> bool:
        raise Killed

    place.runs._launcher.end = kill  # type: ignore[method-assign]
    with pytest.raises(Killed):
        place.runs.cancel(run.run_id, "bob")
    waiting = place.start(seed=2)
    assert len(place.processes()) == 2
    after = place.control()
    place.unsays("child")
    place.until_state(waiting, "running", runs=after)
    assert [own for own in place.processes() if run.run_id in events_of(own)] == []


def test_a_failed_run_is_retried_from_the_step_that_failed(place: Place) -> None:
    place.says("fail-build_features")
    run = place.until_state(place.start(), "failed")
    assert run.error == "step build_features failed: no more rows"
    place.unsays("fail-build_features")
    again = place.runs.retry(run.run_id, "ada", "the rows are back")
    assert (again.retry_of, again.order) == (run.run_id, run.order)
    assert place.runs.retry(run.run_id, "ada").run_id == again.run_id
    place.until_state(again, "succeeded")
    assert [step.state for step in place.runs.steps(again.run_id)][:3] == ["cached", "done", "done"]
    with pytest.raises(Conflict, match="succeeded"):
        place.runs.retry(again.run_id, "ada")


def test_a_run_goes_on_while_the_control_plane_is_killed_and_is_found_again(place: Place) -> None:
    place.says("hold-build_features")
    run = place.start()
    control = place.process()
    place.until_at(run, "build_features", ticks=False)
    place.until(lambda: place.runs.run(run.run_id).pid, "its process is noted", ticks=False)
    os.kill(control.pid, signal.SIGKILL)
    control.wait()
    noted = place.runs.run(run.run_id)
    assert psutil.Process(noted.pid).is_running()
    place.process()
    time.sleep(0.3)
    assert place.runs.run(run.run_id).state == "running"
    place.unsays("hold-build_features")
    ended = place.until_state(run, "succeeded", ticks=False)
    assert ended.pid == noted.pid
    assert place.begins() == [run.run_id]


def test_a_run_that_ended_while_no_control_plane_was_there_is_read_from_its_folder(place: Place) -> None:
    place.says("hold-ingest")
    run = place.start()
    place.until_at(run, "ingest")
    place.unsays("hold-ingest")
    place.until(lambda: not place.processes(), "its process is gone", ticks=False)
    after = place.control()
    after.tick()
    assert after.run(run.run_id).state == "succeeded"


def test_a_run_whose_start_could_not_be_noted_runs_once(place: Place) -> None:
    place.says("hold-ingest")
    run = place.start()
    place.runs.tick()  # it is started, and most likely not claimed
    after = place.control()
    after.tick()  # started once more
    place.until_at(run, "ingest", runs=after)
    place.until(lambda: len(place.processes()) == 1, "one is left", runs=after)
    place.unsays("hold-ingest")
    place.until_state(run, "succeeded", runs=after)
    assert place.begins() == [run.run_id]


def test_a_run_whose_process_vanishes_is_lost_with_its_last_words_and_how_to_retry(place: Place) -> None:
    place.says("hold-build_features", "child")
    run = place.start()
    place.until_at(run, "build_features")
    place.until(lambda: place.runs.run(run.run_id).pid, "its process is noted")
    os.kill(place.runs.run(run.run_id).pid or 0, signal.SIGKILL)
    lost = place.until_state(run, "lost")
    assert f"its process {lost.pid} vanished without an end" in str(lost.error)
    assert "build_features: works" in str(lost.error)
    assert f"rankloop runs retry {run.run_id}" in str(lost.error)
    place.until(lambda: not place.processes(), "what it left is ended, too")
    place.unsays("hold-build_features")
    again = place.runs.retry(run.run_id, "ada")
    assert again.why == f"{run.run_id} was lost"
    place.until_state(again, "succeeded")


def test_another_process_with_the_same_id_is_not_taken_for_the_run(place: Place) -> None:
    place.says("hold-ingest")
    run = place.start()
    place.until_at(run, "ingest")
    place.until(lambda: place.runs.run(run.run_id).pid, "its process is noted")
    file = place.home / "runs" / run.run_id / "process.json"
    owner = json.loads(file.read_text())
    file.write_text(json.dumps(owner | {"started": owner["started"] - 3600}))
    after = place.control()
    after.tick()
    assert after.run(run.run_id).state == "lost"


def test_a_program_that_cannot_begin_is_lost_with_what_it_said(place: Place) -> None:
    place.says("mute")
    lost = place.until_state(place.start(), "lost")
    assert "it said last: it cannot even begin" in str(lost.error)


def test_a_program_that_is_not_there_fails_the_run(place: Place) -> None:
    launcher = LocalLauncher(place.settings, command=("/there/is/none",))
    runs = Runs(place.database, place.settings, clock=lambda: datetime.now(UTC), launcher=launcher)
    run = place.start(runs=runs)
    runs.tick()
    failed = runs.run(run.run_id)
    assert (failed.state, "could not be started" in str(failed.error)) == ("failed", True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"source": "nowhere"}, "give one of contract"),
        ({"path": "log"}, "absolute"),
        ({"recipe": {"trails": 3}}, "cannot be run"),
        ({"shape": 1}, "unknown field"),
        ({"path": 3}, "str"),
    ],
)
def test_an_order_that_cannot_work_is_refused(place: Place, change: dict[str, Any], says: str) -> None:
    with pytest.raises(ControlError, match=says):
        place.runs.start({"source": "contract", "path": "/data", **change}, who="ada")
    assert place.runs.runs() == []


def test_a_surface_or_a_run_that_is_not_there_is_refused(place: Place) -> None:
    with pytest.raises(ControlError, match="talent_search"):
        place.start(surface="moon")
    for ask in (place.runs.run, place.runs.steps, place.runs.log, lambda name: place.runs.cancel(name, "ada")):
        with pytest.raises(Missing, match="no run 'run-0'"):
            ask("run-0")


def test_a_run_whose_folder_was_removed_is_lost(place: Place) -> None:
    place.says("hold-ingest")
    run = place.start()
    place.until(lambda: place.runs.run(run.run_id).pid, "its process is noted")
    for left in place.processes():
        left.kill()
    shutil.rmtree(place.home / "runs")
    place.control().tick()
    assert place.runs.run(run.run_id).state == "lost"
    assert {step.state for step in place.runs.steps(run.run_id)} == {"skipped"}
    assert place.runs.log(run.run_id) == ("", 0)


class Killed(BaseException):
    """The control plane ends here."""


class Mortal:
    """Lets a control plane end at its nth passage of a transition."""

    def __init__(self, place: Place, last: int) -> None:
        self.place, self.left, self.begun = place, last, False

    def passes(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed

    def control(self) -> Runs:
        launcher = LocalLauncher(self.place.settings, command=self.place.command)
        launcher.begin = self._begin(launcher.begin)  # type: ignore[method-assign]
        database = cast(Database, Watched(self))
        return Runs(database, self.place.settings, clock=lambda: datetime.now(UTC), launcher=launcher)

    def _begin(self, begin: Callable[..., Any]) -> Callable[..., Any]:
        def passing(*given: Any) -> Any:
            if self.begun:  # what is asked again at each tick counts once
                return begin(*given)
            self.begun = True
            self.passes()
            placed = begin(*given)
            self.passes()
            return placed

        return passing


class Watched:
    """A record whose transactions a control plane may end before, within or after."""

    def __init__(self, mortal: Mortal) -> None:
        self.mortal, self.read = mortal, mortal.place.database.read

    @contextmanager
    def begin(self, lease: Any = None) -> Iterator[Any]:
        self.mortal.passes()
        with self.mortal.place.database.begin(lease) as session:
            yield session
            self.mortal.passes()
        self.mortal.passes()


def test_killed_at_any_transition_the_next_control_plane_brings_the_run_to_the_same_end(place: Place) -> None:
    for last in range(1, 100):
        run, mortal = place.start(seed=last), Mortal(place, last)
        try:
            place.until_state(run, "succeeded", runs=mortal.control())
        except Killed:
            place.until_state(run, "succeeded", runs=place.control())
        ended = place.runs.run(run.run_id)
        assert (ended.verdict, ended.release_id) == ("pass", "r1")
        assert place.begins().count(run.run_id) == 1
        assert [kind for kind in place.kinds(run) if kind != "run.changed"] == ["run.queued", "run.running", "run.succeeded"]
        if mortal.left > 0:
            break
    assert last > 3 * 3, "three transactions, each before, within and after, and the start of the process"
