"""What happened in a run so far, told by its steps' events."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

__all__ = [
    "PEAKS",
    "PIPELINES",
    "STEPS",
    "WATCH_STEPS",
    "Event",
    "StepRecord",
    "last_words",
    "read_events",
    "steps_of",
    "summarise",
]

PEAKS: Final = "peaks.json"
"""In a run's folder: the most memory seen while each step ran, in MiB."""

STEPS: Final = ("ingest", "build_features", "train_retrievers", "train_ranker", "evaluate", "package", "deploy")
"""The release pipeline's steps, in order."""

WATCH_STEPS: Final = ("ingest", "watch_drift", "explain_drift", "render_drift", "record_drift")
"""The drift watch's steps, in order."""

PIPELINES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"release": STEPS, "drift_watch": WATCH_STEPS})
"""Every pipeline by name, with its steps."""


@dataclass(frozen=True)
class Event:
    """One line of a run's event file.

    Attributes:
        step: the step's name.
        event: `starts`, `says`, `done`, `failed` or `cached`.
        text: for a person.
        at: seconds since the epoch.
        facts: plain values told with the text.
        seconds: how long the step took, where it ended.
        peak_mb: the largest resident memory of the step's process, in MiB, where it ended.
    """

    step: str
    event: str
    text: str
    at: float
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    peak_mb: float = 0.0


@dataclass
class StepRecord:
    """How one step went.

    Attributes:
        name: the step.
        state: `waiting`, `running`, `done`, `cached`, `failed`, `skipped`, or `stopped` where the run ended under it.
        seconds: how long it took.
        peak_mb: the most memory its processes took together, in MiB.
        said: its lines of progress.
        facts: what it told, the latest of each name.
        began: when it started, seconds since the epoch; 0 where it did not.
    """

    name: str
    state: str = "waiting"
    seconds: float = 0.0
    peak_mb: float = 0.0
    said: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    began: float = 0.0

    def take(self, event: Event) -> None:
        """Moves on by one event."""
        if event.event == "says":
            self.said.append(event.text)
            self.facts |= event.facts
            return
        self.state = {"starts": "running"}.get(event.event, event.event)
        self.seconds, self.peak_mb = event.seconds, event.peak_mb
        if event.event == "starts":
            self.began = event.at
        if event.event == "failed":
            self.said.append(event.text)


def read_events(file: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Whole lines after `offset` bytes, and the offset to go on from."""
    if not file.exists():
        return [], offset
    with file.open("rb") as stream:
        stream.seek(offset)
        text = stream.read()
    whole = text[: text.rfind(b"\n") + 1]
    return list(_decoded(whole.splitlines())), offset + len(whole)


def summarise(events: Iterable[Event], *, ended: bool, pipeline: str = "release") -> dict[str, StepRecord]:
    """Every step of a pipeline, in order; once the run has ended, what never began is `skipped`, what never ended `stopped`."""
    records = {name: StepRecord(name) for name in PIPELINES[pipeline]}
    for event in events:
        records.setdefault(event.step, StepRecord(event.step)).take(event)
    for record in records.values():
        if ended:
            record.state = {"waiting": "skipped", "running": "stopped"}.get(record.state, record.state)
    return records


def steps_of(folder: Path, *, ended: bool, now: float, pipeline: str = "release") -> list[StepRecord]:
    """The steps of a run on this machine as its folder tells them; a step that runs has the seconds until `now`.

    Args:
        folder: the run's folder.
        ended: whether the run has ended.
        now: seconds since the epoch.
        pipeline: one of `PIPELINES`.
    """
    events, _ = read_events(folder / "events.jsonl")
    records = summarise(events, ended=ended, pipeline=pipeline)
    peaks: dict[str, float] = json.loads((folder / PEAKS).read_text()) if (folder / PEAKS).exists() else {}
    for record in records.values():
        record.peak_mb = max(record.peak_mb, peaks.get(record.name, 0.0))
        if record.state == "running":
            record.seconds = max(0.0, now - record.began)
    return list(records.values())


def last_words(events: Sequence[Event], folder: Path) -> str:
    """Why a run on this machine failed, as far as its events and its log tell."""
    log = folder / "run.log"
    failed = [event for event in events if event.event == "failed"]
    if failed:
        return f"step {failed[-1].step} failed: {failed[-1].text}\n  the whole log: {log}"
    # a step that failed before it could tell: its last error stands, indented by KFP, before KFP's own
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    errors = [line.strip() for line in lines if re.match(r"\s+[\w.]*(Error|Exception|Interrupt)\b", line)]
    tail = errors[-1] if errors else "\n".join(lines[-5:])
    return f"the pipeline ended before its last step: {tail}\n  the whole log: {log}"


def _decoded(lines: Iterable[bytes]) -> Iterator[Event]:
    for line in lines:
        raw: dict[str, Any] = json.loads(line)
        yield Event(**raw)
