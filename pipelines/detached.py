"""A run that outlives whoever started it: `python -m pipelines.detached RUN_FOLDER`, in a session of its own.

What it is to do lies in the folder (`order.json`), and so does everything that is to be known of it: who runs it
(`process.json`), what happens (`events.jsonl`, `run.log`), and how it ended (`end.json`).
"""

import json
import os
import signal
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final

import psutil

from rankloop.errors import RankloopError
from rankloop.files import write_json

__all__ = ["End", "Owner", "claim", "leave_order", "main", "read_end", "read_owner", "write_end"]

_ORDER: Final = "order.json"
_OWNER: Final = "process.json"
_END: Final = "end.json"
_CLOCK_SECONDS: Final = 2.0
"""How far two readings of a process's start may lie apart: the machine's clock may have been set in between."""


@dataclass(frozen=True)
class Owner:
    """The process that runs a run.

    Attributes:
        pid: its id.
        started: when it started, seconds since the epoch; tells it from a later process with the same id.
    """

    pid: int
    started: float

    def lives(self) -> bool:
        """Whether this very process is still there; one that has ended and was not waited for is not."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _CLOCK_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@dataclass(frozen=True)
class End:
    """How a run ended by itself.

    Attributes:
        state: `succeeded` or `failed`.
        verdict: the gate's, or the watch's; None where it was not asked.
        release_id: what was released; None where the gate did not pass.
        error: why it failed; empty where it did not.
        at: when, ISO 8601, UTC.
    """

    state: str
    verdict: str | None
    release_id: str | None
    error: str
    at: str


def leave_order(folder: Path, order: dict[str, Any], home: Path, *, pipeline: str = "release") -> None:
    """Says in the folder what `main` is to do there.

    Args:
        folder: the run's.
        order: the fields of `pipelines.launch.Order`, or of `pipelines.watch.WatchOrder`.
        home: the state folder.
        pipeline: `release` or `drift_watch`.
    """
    write_json(folder / _ORDER, {"pipeline": pipeline, "order": order, "home": str(home.resolve())})


def claim(folder: Path) -> bool:
    """Whether the calling process may do the run: the first one that asks, and no other.

    A run may be started twice, when whoever started it died before it could note that it had.
    """
    aside = folder / f".{_OWNER}.{os.getpid()}"
    aside.write_text(json.dumps(asdict(Owner(os.getpid(), psutil.Process().create_time()))))
    try:
        os.link(aside, folder / _OWNER)
    except FileExistsError:
        return False
    finally:
        aside.unlink()
    return True


def read_owner(folder: Path) -> Owner | None:
    """The process that runs it; None before one does."""
    file = folder / _OWNER
    return Owner(**json.loads(file.read_text())) if file.exists() else None


def write_end(folder: Path, state: str, *, verdict: str | None = None, release_id: str | None = None, error: str = "") -> None:
    """Leaves word of how it ended, on the disk."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    write_json(folder / _END, asdict(End(state, verdict, release_id, error, at)), durable=True)


def read_end(folder: Path) -> End | None:
    """How it ended; None while it runs, or where its process vanished."""
    file = folder / _END
    return End(**json.loads(file.read_text())) if file.exists() else None


def main(folder: Path) -> None:
    """Does the run of a folder, unless another process does it already."""
    if not claim(folder):
        return
    signal.signal(signal.SIGTERM, _stop)
    asked = json.loads((folder / _ORDER).read_text())
    try:
        verdict, release_id = _done(asked, folder)
    except RankloopError as error:
        write_end(folder, "failed", error=str(error))
    except Exception as error:
        write_end(folder, "failed", error=f"{type(error).__name__}: {error}")
        raise
    else:
        write_end(folder, "succeeded", verdict=verdict, release_id=release_id)


def _done(asked: dict[str, Any], folder: Path) -> tuple[str, str | None]:
    """Does what was asked; the verdict, and what was released."""
    home = Path(asked["home"])
    if asked.get("pipeline") == "drift_watch":
        from pipelines.watch import WatchOrder, run_watch

        return run_watch(WatchOrder(**asked["order"]), home, folder=folder).verdict, None
    from pipelines.launch import Order, run_release

    result = run_release(Order(**asked["order"]), home, folder=folder)
    return result.verdict, result.release_id


def _stop(number: int, frame: FrameType | None) -> None:
    """Ends as a program does that is told to: what it started ends with it."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
