"""Runs on this machine: a process of its own each, which outlives the control plane and is found again."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Final

import psutil

from monitoring.progress import EVENTS
from pipelines.detached import End, leave_order, read_end, read_owner
from pipelines.events import StepRecord, last_words, read_events, steps_of
from services.control.database import Run, Where
from services.control.runs.launching import Ended, LogPart, Placed
from services.control.runs.orders import RunOrder
from services.control.runs.steps import log_part
from services.settings import Settings

__all__ = ["LocalLauncher"]

_COMMAND: Final = (sys.executable, "-m", "pipelines.detached")
_EVENTS: Final = "events.jsonl"
_OUTPUT: Final = "process.log"
_GOING_ON: Final = ("queued", "running")


class LocalLauncher:
    """Starts `python -m pipelines.detached` in a session of its own, and reads how it goes from the run's folder.

    The process claims its folder, so that a run which is started twice runs once. It is known by its id and the time
    at which it started; all that it starts is known by the event file that it inherits.

    Args:
        settings: where runs lie, and the addresses they use.
        command: what is started, before the folder.
    """

    where: Where = "local"

    def __init__(self, settings: Settings, *, command: Sequence[str] = _COMMAND) -> None:
        self._settings, self._command = settings, tuple(command)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._told: set[int] = set()

    def folder(self, run_id: str) -> str:
        return str((self._settings.home / "runs" / run_id).resolve())

    def begin(self, run: Run, before: Run | None) -> Placed:
        folder = _folder(run)
        owner = read_owner(folder)
        if owner is None and run.run_id not in self._children:
            self._start(run, folder)
        return Placed(owner.pid if owner else None)

    def look(self, run: Run) -> Ended | None:
        folder, child = _folder(run), self._children.get(run.run_id)
        gone = child is not None and child.poll() is not None
        owner = read_owner(folder)
        # a run whose process was noted and whose folder is gone has nobody who could tell of it
        alive = owner.lives() if owner else not gone and run.pid is None
        if end := read_end(folder):  # read last: it may have ended just now
            return _told(end)
        if alive:
            return None
        who = f"its process {owner.pid if owner else run.pid}" if owner or run.pid else "its process"
        remedy = f"go on from the last step that ended with `rankloop runs retry {run.run_id}`"
        return Ended("lost", error=f"{who} vanished without an end; {_last_words(folder)}\n  {remedy}")

    def end(self, run: Run, *, kill: bool) -> bool:
        left = _processes(_folder(run))
        for process in left:
            try:
                if kill:
                    process.kill()
                elif process.pid not in self._told:  # told twice, it would not clean up
                    process.terminate()
                    self._told.add(process.pid)
            except psutil.NoSuchProcess:
                continue  # it ended by itself in the meantime
        if child := self._children.get(run.run_id):
            child.poll()
        return not left

    def steps(self, run: Run, now: datetime) -> list[StepRecord]:
        return steps_of(_folder(run), ended=run.state not in _GOING_ON, now=now.timestamp(), pipeline=run.pipeline)

    def log(self, run: Run, step: str | None, after: int) -> LogPart:
        return log_part(_folder(run) / "run.log", step, after)

    def _start(self, run: Run, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        order = RunOrder.of(run.order).at(self._settings, run.surface)
        leave_order(folder, asdict(order), self._settings.home, pipeline=run.pipeline)
        environment = {**os.environ, EVENTS: str(folder / _EVENTS), "RANKLOOP_HOME": str(self._settings.home)}
        with (folder / _OUTPUT).open("ab") as output:
            self._children[run.run_id] = subprocess.Popen(
                [*self._command, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )


def _folder(run: Run) -> Path:
    return Path(run.folder or "")


def _told(end: End) -> Ended:
    return Ended(end.state, end.verdict, end.release_id, end.error, datetime.fromisoformat(end.at))


def _last_words(folder: Path) -> str:
    events, _ = read_events(folder / _EVENTS)
    if not events and not (folder / "run.log").exists():
        output = folder / _OUTPUT
        lines = output.read_text(errors="replace").strip().splitlines() if output.exists() else []
        return f"it said last: {lines[-1]}\n  all it said: {output}" if lines else "it said nothing"
    return last_words(events, folder)


def _processes(folder: Path) -> list[psutil.Process]:
    """Every living process of a run, also one whose parent is gone."""
    mark = str(folder / _EVENTS)
    return [process for process in psutil.process_iter() if _mark(process) == mark]


def _mark(process: psutil.Process) -> str | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else process.environ().get(EVENTS)
    except (psutil.Error, OSError):  # it is somebody else's, or ended just now
        return None
