"""Writers take turns, and each transaction of a leader carries the proof that it leads still."""

from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from rankloop.errors import Conflict
from services.control.database.tables import leases

__all__ = ["Lease", "check_lease", "take_turn"]

_TURN: Final = 7_265_667_011
"""The advisory lock of PostgreSQL that its writers hold until their transactions end."""


def take_turn(connection: Connection) -> None:
    """Waits until no other writer is within a transaction; SQLite does so by itself where one begins immediately."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_TURN})"))


class Lease(msgspec.Struct, frozen=True):
    """What makes one of several processes the leader.

    Attributes:
        name: what it is leader of.
        holder: who leads; no two processes may give the same, not even one after the other.
        epoch: rises by one whenever the lease is taken anew, so that writes of an earlier leader can be told.
        expires_at: until when, by the database's clock, unless it is renewed.
    """

    name: str
    holder: str
    epoch: int
    expires_at: datetime


def check_lease(session: Session, lease: Lease) -> None:
    """Refuses the transaction of a leader that was replaced.

    A lease that expired and that nobody took is still its holder's: writers take turns, so nobody can take it meanwhile.

    Raises:
        Conflict: another took over, or the lease was given back.
    """
    row = session.execute(select(leases.c.holder, leases.c.epoch).where(leases.c.name == lease.name)).one_or_none()
    if row is None or (row.holder, row.epoch) != (lease.holder, lease.epoch):
        now = f"{row.holder} has it, epoch {row.epoch}" if row else "nobody has it"
        raise Conflict(f"{lease.holder} is no longer leader of {lease.name} (epoch {lease.epoch}): {now}; stop leading")
