"""The history: every change as an event with who, when and why, which nothing can alter."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import Session

from rankloop.errors import ControlError
from services.control.database import tables
from services.control.database.rows import all_of, of_row, one
from services.control.database.types import numbered, utc

__all__ = ["Event", "event", "events", "record"]


class Event(msgspec.Struct, frozen=True):
    """One thing that happened.

    Attributes:
        id: counts up in the order in which events became visible.
        at: when.
        who: a token's name, a person at a terminal, or `rankloop` itself.
        kind: a noun and what happened to it, such as `canary.started`.
        subject: what it happened to: the id of a release, a canary or a run, a schedule's name.
        why: a sentence.
        facts: what else is worth keeping.
        version: of the desired state that it brought about; None where it changed none.
    """

    id: int
    at: datetime
    who: str
    kind: str
    subject: str
    why: str
    facts: dict[str, Any]
    version: int | None = None


def record(
    session: Session,
    *,
    kind: str,
    subject: str,
    who: str,
    why: str,
    at: datetime,
    facts: Mapping[str, Any] | None = None,
    version: int | None = None,
) -> Event:
    """Adds an event to the history, in the transaction of the change it tells of.

    Raises:
        ControlError: it does not say who, or why.
    """
    if not who.strip() or not why.strip():
        raise ControlError(f"the event {kind} of {subject} says who {who!r} and why {why!r}; say both")
    values = {"at": utc(at), "who": who, "kind": kind, "subject": subject, "why": why, "version": version}
    row = session.execute(insert(tables.events).values(**values, facts=dict(facts or {})).returning(tables.events))
    return of_row(Event, row.mappings().one())


def events(
    session: Session,
    *,
    kind: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    after: int | None = None,
    limit: int = 100,
) -> list[Event]:
    """A page of the history, the newest first; with `after`, the oldest first.

    Args:
        session: of `Database.read` or `Database.begin`.
        kind: only this kind; `canary.*` for every kind of that noun.
        subject: only of this.
        since: only from this moment on.
        until: only before this moment.
        before: only events with a smaller id: the last one of the page before.
        after: only events with a larger id, so that a follower misses none.
        limit: the most a page holds.
    """
    own = tables.events.c
    wanted: list[ColumnElement[bool]] = []
    if kind is not None:
        wanted.append(own.kind.startswith(kind[:-1], autoescape=True) if kind.endswith(".*") else own.kind == kind)
    if subject is not None:
        wanted.append(own.subject == subject)
    if since is not None:
        wanted.append(own.at >= utc(since))
    if until is not None:
        wanted.append(own.at < utc(until))
    if before is not None:
        wanted.append(own.id < numbered(before))
    if after is not None:
        wanted.append(own.id > numbered(after))
    query = select(tables.events).where(*wanted)
    ordered = query.order_by(own.id.asc() if after is not None else own.id.desc()).limit(limit)
    return all_of(session, Event, ordered)


def event(session: Session, event_id: int) -> Event:
    """One event.

    Raises:
        Missing: there is none of that number.
    """
    query = select(tables.events).where(tables.events.c.id == numbered(event_id))
    return one(session, Event, query, f"there is no event {event_id}; list them with rankloop events")
