"""What is not well, part by part: recorded when it begins and when it is over, not each time it is met again."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from rankloop.errors import Conflict, ControlError, RankloopError
from services.control.database import Database, Session, events, record

__all__ = ["Faults", "recorded"]

log: Final = logging.getLogger("services.control")

_BEGUN: Final = "fault.begun"
_OVER: Final = "fault.over"


def recorded(session: Session) -> dict[str, str]:
    """By part, the faults that stand, as the leader recorded them."""
    last: dict[str, tuple[str, str]] = {}
    for own in reversed(events(session, kind="fault.*")):
        last[own.subject] = own.kind, own.why
    return {part: why for part, (kind, why) in last.items() if kind == _BEGUN}


class Faults:
    """The faults that stand now.

    Args:
        database: where their beginning and end are recorded.
        who: in whose name.
        clock: the present moment, UTC.
    """

    def __init__(self, database: Database, who: str, clock: Callable[[], datetime]) -> None:
        self._database, self._who, self._clock = database, who, clock
        self._standing: dict[str, str] = {}

    def standing(self) -> dict[str, str]:
        """By part, what is not well; empty: everything is."""
        return dict(self._standing)

    def recall(self) -> None:
        """Takes over what the record says, as a new leader: so that a fault is not told again, and its end is told."""
        with self._database.read() as session:
            self._standing = recorded(session)

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Does the block; what goes wrong in it is this part's fault, and stops no other part.

        Raises:
            Conflict: somebody else changed the record first; it is read again at the next tick.
        """
        try:
            yield
        except Conflict:
            raise
        except Exception as error:
            if not isinstance(error, RankloopError):
                log.exception("%s", part)
            self.met(part, str(error) if isinstance(error, RankloopError) else f"{type(error).__name__}: {error}")
        else:
            self.over(part)

    def met(self, part: str, what: str) -> None:
        """Something is not well; recorded unless it was not well before."""
        known = part in self._standing
        self._standing[part] = what
        if not known:
            log.warning("%s: %s", part, what)
            self._record(_BEGUN, part, what)

    def over(self, part: str) -> None:
        """It is well; recorded where it was not."""
        if (what := self._standing.pop(part, None)) is not None:
            log.info("%s is well again", part)
            self._record(_OVER, part, f"it was: {what}")

    def _record(self, kind: str, part: str, why: str) -> None:
        try:
            with self._database.begin() as session:
                record(session, kind=kind, subject=part, who=self._who, why=why[:2000], facts={}, at=self._clock())
        except ControlError as error:  # the database is away: the log has it
            log.warning("could not record the %s of %s: %s", kind, part, error)
