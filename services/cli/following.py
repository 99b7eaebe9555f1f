"""A run that goes on elsewhere, shown as one that goes on here."""

import time
from collections.abc import Callable, Iterator
from typing import Final, TypeVar
from urllib.parse import quote

from pipelines.events import Event
from rankloop.errors import Unavailable
from services.cli.console import err, out
from services.cli.progress import Steps
from services.control.client import ControlClient
from services.control.wire_runs import LogShown, RunShown, StepShown

__all__ = ["follow_log", "follow_run"]

_POLL_SECONDS: Final = 0.5
_AWAY_SECONDS: Final = 60.0
"""How long one waits for a control plane that is started again."""

_LONG: Final = 6
"""Looks after which a run that is still queued waits for another one."""

_GOES_ON: Final = ("queued", "running")
_QUIET: Final = ("waiting", "skipped")
_T = TypeVar("_T")


def follow_run(client: ControlClient, run_id: str) -> RunShown:
    """Shows each step as it goes, until the run has ended.

    Raises:
        Unavailable: the control plane does not answer for a minute.
    """
    address, looks = f"/v1/runs/{quote(run_id, safe='')}", 0
    with Steps() as steps:
        seen = Seen(steps.take)
        while True:
            run = _patiently(lambda: client.get(address, RunShown))
            looks += 1
            if run.state == "queued" and looks == _LONG:
                err.print(f"it waits until no other run of {run.surface} is under way")
            seen.take(run.steps)
            if run.state not in _GOES_ON:
                return run
            time.sleep(_POLL_SECONDS)


def follow_log(client: ControlClient, run_id: str, step: str, *, until_end: bool) -> None:
    """Prints a run's log, of one step or of `all`; with `until_end` also what is still to come.

    Raises:
        Unavailable: the control plane does not answer for a minute.
    """
    run, after = f"/v1/runs/{quote(run_id, safe='')}", 0
    address = f"{run}/steps/{quote(step, safe='')}/log"
    while True:
        ended = not until_end or _patiently(lambda: client.get(run, RunShown)).state not in _GOES_ON
        before = after
        while True:
            part = _patiently(lambda at=after: client.get(address, LogShown, after=at))  # type: ignore[misc]
            out.print(part.text, end="", markup=False, soft_wrap=True)
            if part.next == after:
                break
            after = part.next
        if ended:
            return
        if after == before:
            time.sleep(_POLL_SECONDS)


class Seen:
    """Turns the steps of a run, looked at again and again, into what happened between two looks.

    Args:
        tell: takes each event.

    Example:
        >>> seen = Seen(lambda event: print(f"{event.step} {event.event}: {event.text!r}"))
        >>> seen.take([StepShown("ingest", "running", 0.1, 0.0, ["4,000 rows"])])
        ingest starts: ''
        ingest says: '4,000 rows'
        >>> seen.take([StepShown("ingest", "done", 0.2, 300.0, ["4,000 rows"])])
        ingest done: ''
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._states: dict[str, str] = {}
        self._said: dict[str, int] = {}

    def take(self, steps: list[StepShown]) -> None:
        """Tells what is new."""
        for step in steps:
            if step.state not in _QUIET:
                for event in self._events(step):
                    self._tell(event)

    def _events(self, step: StepShown) -> Iterator[Event]:
        before, known = self._states.get(step.name), self._said.get(step.name, 0)
        self._states[step.name], self._said[step.name] = step.state, len(step.said)
        if before is None and step.state != "cached":
            yield Event(step.name, "starts", "", 0.0)
        failed = step.state == "failed"
        for text in step.said[known : -1 if failed else None]:
            yield Event(step.name, "says", text, 0.0)
        if step.state in (before, "running"):
            return
        words = {"failed": step.said[-1] if step.said else "it failed", "stopped": "stopped"}.get(step.state, "")
        kind = "failed" if step.state == "stopped" else step.state
        yield Event(step.name, kind, words, 0.0, seconds=step.seconds, peak_mb=step.peak_mb)


def _patiently(ask: Callable[[], _T]) -> _T:
    """The answer, also where the control plane is away for a moment."""
    end = time.monotonic() + _AWAY_SECONDS
    while True:
        try:
            return ask()
        except Unavailable:
            if time.monotonic() > end:
                raise
            time.sleep(_POLL_SECONDS)
