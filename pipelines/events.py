"""What happened in a run so far, told by its steps' events."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

__all__ = ["STEPS", "Event", "StepRecord", "read_events", "summarise"]

STEPS: Final = ("ingest", "build_features", "train_retrievers", "train_ranker", "evaluate", "package", "deploy")
"""The release pipeline's steps, in order."""


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
        state: `waiting`, `running`, `done`, `cached`, `failed` or `skipped`.
        seconds: how long it took.
        peak_mb: the most memory its processes took together, in MiB.
        said: its lines of progress.
        facts: what it told, the latest of each name.
    """

    name: str
    state: str = "waiting"
    seconds: float = 0.0
    peak_mb: float = 0.0
    said: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Moves on by one event."""
        if event.event == "says":
            self.said.append(event.text)
            self.facts |= event.facts
            return
        self.state = {"starts": "running"}.get(event.event, event.event)
        self.seconds, self.peak_mb = event.seconds, event.peak_mb
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


def summarise(events: Iterable[Event], *, ended: bool) -> dict[str, StepRecord]:
    """Every step of the pipeline, in order; steps that never began are `skipped` once the run has ended."""
    records = {name: StepRecord(name) for name in STEPS}
    for event in events:
        records.setdefault(event.step, StepRecord(event.step)).take(event)
    for record in records.values():
        if ended and record.state == "waiting":
            record.state = "skipped"
    return records


def _decoded(lines: Iterable[bytes]) -> Iterator[Event]:
    for line in lines:
        raw: dict[str, Any] = json.loads(line)
        yield Event(**raw)
