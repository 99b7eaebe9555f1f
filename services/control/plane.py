"""What every part of the control plane works with: the record, and the two things it changes in the world."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from rankloop.errors import StackError
from services.control.database import Database, Desired, Lease, Session, desired
from services.control.drivers.base import Edges, Server

__all__ = ["LOOP", "Plane", "nothing", "now"]

LOOP: Final = "rankloop"
"""In whose name the loop records what it does by itself."""


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)


def nothing(_: str) -> None:
    """What happens at a transition unless a test says otherwise."""


@dataclass(frozen=True)
class Plane:
    """The record, the edges, what runs releases, and a clock.

    Attributes:
        database: the record.
        edges: who gets which release.
        server: which release is in which slot.
        clock: the present moment, UTC.
        passed: is told of each transition when it begins and when it has ended, such as `before edges`, `after edges`; a
            test ends the process there.
    """

    database: Database
    edges: Edges
    server: Server
    clock: Callable[[], datetime] = now
    passed: Callable[[str], None] = nothing
    _telling: threading.Lock = field(default_factory=threading.Lock, repr=False)  # commands come in other threads

    @contextmanager
    def transition(self, name: str) -> Iterator[None]:
        """One step that a kill may come before or after."""
        self.passed(f"before {name}")
        yield
        self.passed(f"after {name}")

    @contextmanager
    def change(self, name: str, lease: Lease | None = None) -> Iterator[Session]:
        """One transaction, which a kill may come before, within or after.

        Args:
            name: of the transition.
            lease: the loop's; None for a command, which needs no leader.

        Raises:
            Conflict: another process leads.
            ControlError: the database does not answer.
        """
        with self.transition(name), self.database.begin(lease) as session:
            yield session
            self.passed(f"within {name}")

    def wanted(self) -> Desired:
        """What should be at this moment."""
        with self.database.read() as session:
            return desired(session)

    def tell(self) -> Desired:
        """Makes the edges split as the record says, at once; where the record changes meanwhile, once more.

        Of several processes that do this at the same time, the last one to write has read the last version.

        Returns:
            What the edges do now.

        Raises:
            StackError: some edge did not take it; the leader goes on trying.
        """
        while True:
            wanted, failed = self.wanted(), None
            try:
                with self._telling, self.transition("edges"):
                    self.edges.apply(wanted.slots())
            except StackError as error:
                failed = error
            if self.wanted().version != wanted.version:
                continue
            if failed is not None:
                raise failed
            return wanted
