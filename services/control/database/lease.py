"""One leader among several processes: a lease that the database's own clock lets expire."""

from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from services.control.database.engine import Database
from services.control.database.fence import Lease, check_lease
from services.control.database.rows import one_or_none
from services.control.database.tables import leases
from services.control.database.types import Moment

__all__ = ["Lease", "check_lease", "database_now", "leader", "release_lease", "take_or_renew"]


def take_or_renew(database: Database, name: str, holder: str, *, seconds: float, now: datetime | None = None) -> Lease | None:
    """Takes a lease that is free or expired, or renews one's own.

    Args:
        database: where it is kept; its clock decides, so those of the processes may differ.
        name: what to be leader of.
        holder: who asks, such as host, process id and something random.
        seconds: how long it holds unless it is renewed.
        now: another clock than the database's, for tests.

    Returns:
        The lease; its epoch rises when it was taken anew. None where another holds it.

    Raises:
        ControlError: the database does not answer.
    """
    with database.begin() as session:
        at = now or database_now(session)
        held = _held(session, name)
        if held and held.expires_at > at and held.holder != holder:
            return None
        own = held is not None and held.holder == holder and held.expires_at > at
        epoch = (held.epoch if held else 0) + (not own)
        lease = Lease(name, holder, epoch, at + timedelta(seconds=seconds))
        values = {"holder": holder, "epoch": epoch, "expires_at": lease.expires_at}
        if held:
            session.execute(update(leases).where(leases.c.name == name).values(values))
        else:
            session.execute(leases.insert().values(name=name, **values))
        return lease


def release_lease(database: Database, lease: Lease) -> bool:
    """Gives a lease back, so that another process need not wait for it to expire.

    Returns:
        Whether it was still the holder's.
    """
    with database.begin() as session:
        own = (leases.c.name == lease.name) & (leases.c.holder == lease.holder) & (leases.c.epoch == lease.epoch)
        gone = update(leases).where(own).values(expires_at=database_now(session), holder="")
        return bool(session.execute(gone.returning(leases.c.name)).all())


def leader(session: Session, name: str) -> Lease | None:
    """Who leads at this moment, by the database's clock; None where the lease is free or expired."""
    lease = _held(session, name)
    return lease if lease and lease.holder and lease.expires_at > database_now(session) else None


def database_now(session: Session) -> datetime:
    """What the database's clock says: the machine's for SQLite, the server's for PostgreSQL."""
    sqlite = session.get_bind().dialect.name == "sqlite"
    clock = func.strftime("%Y-%m-%dT%H:%M:%f000Z", "now", type_=Moment) if sqlite else func.clock_timestamp(type_=Moment)
    return session.execute(select(clock)).scalar_one()


def _held(session: Session, name: str) -> Lease | None:
    return one_or_none(session, Lease, select(leases).where(leases.c.name == name))
