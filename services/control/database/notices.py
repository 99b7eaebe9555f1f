"""The outbox: what is to be sent of incidents, noted in the transaction that makes it so, and sent afterwards."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from services.control.database import tables
from services.control.database.rows import all_of
from services.control.database.types import utc

__all__ = [
    "Notice",
    "NoticeKind",
    "NoticeState",
    "add_notice",
    "change_notice",
    "claim_notice",
    "drop_notices",
    "due_notices",
    "notice_counts",
    "notices",
    "rewrite_notice",
]

NoticeKind = Literal["trigger", "update", "acknowledge", "resolve"]
NoticeState = Literal["waiting", "sent", "failed", "dropped"]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one receiver.

    Attributes:
        number: larger for later ones.
        incident_id: what it is about.
        receiver: pagerduty, slack, webhook or mail.
        kind: what the receiver is to do.
        payload: what it says; no key of a receiver is in it.
        state: waiting, sent, failed (given up), or dropped: the incident ended before it was sent.
        attempts: how often it was tried.
        next_at: not before, UTC; None: never again.
        at: when it was noted.
        sent_at: when the receiver took it; None: it has not.
        error: why the last attempt failed; None: it did not.
    """

    number: int
    incident_id: str
    receiver: str
    kind: NoticeKind
    payload: dict[str, Any]
    state: NoticeState
    attempts: int
    next_at: datetime | None
    at: datetime
    sent_at: datetime | None
    error: str | None


def add_notice(
    session: Session, *, incident_id: str, receiver: str, kind: NoticeKind, payload: dict[str, Any], at: datetime
) -> None:
    """Notes a message that is to be sent; it is due at once."""
    fields = {"incident_id": incident_id, "receiver": receiver, "kind": kind, "payload": payload}
    due = {"state": "waiting", "attempts": 0, "next_at": utc(at), "at": utc(at)}
    session.execute(insert(tables.notices).values(**fields, **due))


def claim_notice(session: Session, number: int, *, at: datetime) -> bool:
    """Notes that a message is about to be sent, so that one of an attempt that was killed is not taken for one never tried.

    Returns:
        Whether it still waits.
    """
    own = tables.notices.c
    values = {"attempts": own.attempts + 1, "next_at": utc(at)}
    claimed = update(tables.notices).where(own.number == number, own.state == "waiting").values(values).returning(own.number)
    return session.execute(claimed).first() is not None


def rewrite_notice(session: Session, number: int, payload: dict[str, Any]) -> None:
    """Says something newer in a message that nobody has tried to send yet."""
    own = tables.notices.c
    untried = update(tables.notices).where(own.number == number, own.state == "waiting", own.attempts == 0)
    session.execute(untried.values(payload=payload))


def due_notices(session: Session, at: datetime) -> list[Notice]:
    """What is to be sent at a moment: of each incident and receiver only the oldest that waits, so none overtakes another."""
    own = tables.notices.c
    waiting = select(func.min(own.number)).where(own.state == "waiting").group_by(own.incident_id, own.receiver)
    found = select(tables.notices).where(own.number.in_(waiting), own.next_at <= utc(at)).order_by(own.number)
    return all_of(session, Notice, found)


def notices(session: Session, incident_id: str) -> list[Notice]:
    """Every message about an incident, the oldest first."""
    own = tables.notices.c
    found = select(tables.notices).where(own.incident_id == incident_id).order_by(own.number)
    return all_of(session, Notice, found)


def change_notice(
    session: Session,
    number: int,
    *,
    state: NoticeState,
    next_at: datetime | None = None,
    sent_at: datetime | None = None,
    error: str | None = None,
) -> None:
    """Says what came of an attempt to send; of a message that was dropped meanwhile only that it was sent after all."""
    own = tables.notices.c
    values = {"state": state, "next_at": next_at, "sent_at": sent_at, "error": error}
    states = ("waiting", "dropped") if state == "sent" else ("waiting",)
    session.execute(update(tables.notices).where(own.number == number, own.state.in_(states)).values(values))


def drop_notices(session: Session, incident_id: str) -> None:
    """Drops what was not sent yet about an incident that ended or was silenced."""
    own = tables.notices.c
    waiting = update(tables.notices).where(own.incident_id == incident_id, own.state == "waiting")
    session.execute(waiting.values(state="dropped", next_at=None))


def notice_counts(session: Session) -> dict[tuple[str, str], int]:
    """How many messages there were since the record began, by receiver and outcome: sent, failed or dropped."""
    own = tables.notices.c
    counted = select(own.receiver, own.state, func.count()).where(own.state != "waiting").group_by(own.receiver, own.state)
    return {(receiver, state): number for receiver, state, number in session.execute(counted)}
