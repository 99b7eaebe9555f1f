"""What the queue needs of a place where runs run, be it this machine or a cluster."""

from datetime import datetime
from typing import NamedTuple, Protocol

from pipelines.events import StepRecord
from services.control.database import Run, Where

__all__ = ["Ended", "Launcher", "LogPart", "Placed"]


class Placed(NamedTuple):
    """Where a run was put.

    Attributes:
        pid: its process; None where it has none here, or none yet.
        external_id: its name on the cluster; None on this machine.
    """

    pid: int | None = None
    external_id: str | None = None


class Ended(NamedTuple):
    """How a run ended.

    Attributes:
        state: `succeeded`, `failed`, `cancelled`, or `lost` where it vanished without a word.
        verdict: the gate's; None where it is not known.
        release_id: what was released; None where nothing was, or where it is not known.
        error: why it failed, or what it said last.
        at: when; None where nobody knows.
    """

    state: str
    verdict: str | None = None
    release_id: str | None = None
    error: str = ""
    at: datetime | None = None


class LogPart(NamedTuple):
    """A piece of a log.

    Attributes:
        text: whole lines.
        next: the offset to go on from.
    """

    text: str
    next: int


class Launcher(Protocol):
    """A place where runs run. It may be asked again for what it did already: it then changes nothing."""

    where: Where
    """Its name in the record, `local` or `kfp`."""

    def folder(self, run_id: str) -> str | None:
        """The folder a run will have; None where it has none on this machine."""

    def begin(self, run: Run, before: Run | None) -> Placed:
        """Starts a run, unless it was started already; `before` is the run it tries again.

        Raises:
            StackError: the place does not answer; ask again later.
            RankloopError: it refuses.
        """

    def look(self, run: Run) -> Ended | None:
        """How it ended; None while it goes on.

        Raises:
            StackError: the place does not answer.
        """

    def end(self, run: Run, *, kill: bool) -> bool:
        """Tells it to end, or ends it by force; whether nothing is left of it.

        Raises:
            StackError: the place does not answer.
        """

    def steps(self, run: Run, now: datetime) -> list[StepRecord]:
        """Its steps as they are now, in the pipeline's order."""

    def log(self, run: Run, step: str | None, after: int) -> LogPart:
        """What it wrote after an offset; of one step, or of all."""
