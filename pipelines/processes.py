"""A pipeline's process on this machine: started with a run's folder, followed by its events, ended with all it started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from monitoring.progress import EVENTS
from pipelines.environment import RAY_ENVIRONMENT
from pipelines.events import PEAKS, Event, last_words, read_events
from pipelines.memory import MemoryWatch
from rankloop.errors import RankloopError
from rankloop.files import write_json

__all__ = ["Followed", "PipelineFailed", "in_process", "run_folder"]

_POLL_SECONDS: Final = 0.2
_SAMPLE_SECONDS: Final = 0.5
_ENVIRONMENT: Final = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "KFP_DISABLE_TELEMETRY": "1",
    **RAY_ENVIRONMENT,
}

Followed = tuple[list[Event], dict[str, float]]
"""What happened, and the most memory seen while each step ran, in MiB."""


class PipelineFailed(RankloopError):
    """A step of a run failed; the message names the step, its last words, and the log."""


def in_process(
    pipeline: str, parameters: dict[str, Any], folder: Path, home: Path, on_event: Callable[[Event], None]
) -> Followed:
    """Runs a pipeline in a process of its own and waits for its end.

    Args:
        pipeline: one of `pipelines.events.PIPELINES`.
        parameters: the pipeline's.
        folder: the run's own, which exists; takes its log, events and outputs.
        home: the state folder, below which artifacts and the cache lie.
        on_event: is told each event as it happens.

    Raises:
        PipelineFailed: a step failed.
    """
    places = {"root": str((home / "pipelines").resolve()), "cache": str((home / "cache").resolve())}
    write_json(folder / "parameters.json", {"pipeline": pipeline, "parameters": parameters, **places})
    with _process(folder, home) as process:
        events, peaks = _follow(process, folder / "events.jsonl", on_event)
    if process.returncode != 0:
        raise PipelineFailed(last_words(events, folder))
    return events, peaks


def run_folder(home: Path) -> Path:
    """A new run's folder, named by the time."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]
    folder = (home / "runs" / stamp).resolve()
    folder.mkdir(parents=True)
    return folder


@contextlib.contextmanager
def _process(folder: Path, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, **_ENVIRONMENT, EVENTS: str(folder / "events.jsonl"), "RANKLOOP_HOME": str(home.resolve())}
    environment.setdefault("BENTOML_HOME", str((home / "bento").resolve()))
    with (folder / "run.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.local", str(folder)],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _follow(process: subprocess.Popen[bytes], file: Path, on_event: Callable[[Event], None]) -> Followed:
    """Passes events on until the process ends."""
    events: list[Event] = []
    peaks: dict[str, float] = {}
    offset, watch, due = 0, MemoryWatch(process.pid), 0.0
    while True:
        running = process.poll() is None
        fresh, offset = read_events(file, offset)
        for event in fresh:
            on_event(event)
        events += fresh
        if not running:
            return events, peaks
        if events and time.monotonic() >= due:
            step = events[-1].step
            if (seen := watch.sample_mb()) > peaks.get(step, 0.0):
                peaks[step] = seen
                write_json(file.with_name(PEAKS), peaks)
            due = time.monotonic() + _SAMPLE_SECONDS
        time.sleep(_POLL_SECONDS)
