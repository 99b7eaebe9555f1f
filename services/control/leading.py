"""Who runs the loop: the holder of a lease, renewed at each tick, which every transaction of the loop proves."""

import logging
import os
import secrets
import socket
from typing import Final

from services.control.database import Database, Lease, release_lease, take_or_renew

__all__ = ["LEASE", "Leading"]

log: Final = logging.getLogger("services.control")

LEASE: Final = "control"
"""The lease's name in the record."""


class Leading:
    """One process's part in the choice of a leader.

    Args:
        database: where the lease is; its clock decides.
        seconds: how long the lease holds unless it is renewed; a leader that was killed is replaced after that and one tick.
        holder: who asks; empty: this process, by a name that no other one has, not even its successor.
    """

    def __init__(self, database: Database, *, seconds: float = 10.0, holder: str = "") -> None:
        self._database, self._seconds = database, seconds
        self.holder = holder or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.lease: Lease | None = None

    def take(self) -> Lease | None:
        """Takes the lease, or renews it; None where another process leads.

        Raises:
            ControlError: the database does not answer; whether this process leads is not known, so it acts as if it did not.
        """
        before, self.lease = self.lease, None
        self.lease = take_or_renew(self._database, LEASE, self.holder, seconds=self._seconds)
        if (before is None) != (self.lease is None):
            log.info("%s %s", self.holder, "leads" if self.lease else "follows")
        return self.lease

    def leave(self) -> None:
        """Gives the lease back, so that another process leads at once."""
        if self.lease is not None:
            release_lease(self._database, self.lease)
            self.lease = None
