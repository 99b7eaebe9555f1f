"""What a pipeline step says while it works: a line for a person, and an event for whoever watches.

Events are JSON lines appended to the file that `RANKLOOP_EVENTS` names; without it a step only prints.
"""

import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

__all__ = ["EVENTS", "Say", "step"]

EVENTS: Final = "RANKLOOP_EVENTS"
"""Environment variable: the file to append events to."""


class Say(Protocol):
    """Takes one line of progress, and facts that whoever watches may need (plain values)."""

    def __call__(self, text: str, **facts: object) -> None: ...


@contextmanager
def step(name: str) -> Iterator[Say]:
    """Reports that a step starts, what it is doing, and how it ended.

    Yields a function that takes one line of progress.

    Example:
        >>> with step("ingest") as say:
        ...     say("200,000 impressions")
        ingest: starts
        ingest: 200,000 impressions
        ingest: done
    """
    started = time.monotonic()
    _tell(name, "starts")
    try:
        yield lambda text, **facts: _tell(name, "says", text=text, facts=facts)
    except BaseException as error:
        _tell(name, "failed", text=f"{type(error).__name__}: {error}", **_spent(started))
        raise
    _tell(name, "done", **_spent(started))


def _tell(name: str, event: str, *, text: str = "", **more: Any) -> None:
    print(f"{name}: {text or event}", flush=True)
    if file := os.environ.get(EVENTS):
        line = json.dumps({"step": name, "event": event, "text": text, "at": time.time(), **more})
        with open(file, "a", encoding="utf-8") as stream:
            stream.write(line + "\n")


def _spent(started: float) -> dict[str, Any]:
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {"seconds": time.monotonic() - started, "peak_mb": max(own, children) / 1024}
