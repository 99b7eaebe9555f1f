"""Schedules: what starts runs by itself, at a time or when new data came."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.orm import Session

from rankloop.errors import ControlError, Missing
from services.control.database import tables
from services.control.database.events import record
from services.control.database.rows import all_of, one, one_or_none
from services.control.database.types import new_id, utc

__all__ = ["Schedule", "due_schedules", "put_schedule", "remove_schedule", "schedule", "schedules", "set_schedule_times"]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """When to start a run of a surface.

    Attributes:
        schedule_id: its number.
        name: what people call it; no two are alike.
        surface: the product place the run is for.
        cron: the expression; None: it is not by time.
        watch: the path that is watched for new data; None: none is.
        watched_version: what was last seen there.
        order: what the run is asked for.
        enabled: whether it starts anything.
        next_at: when it is due.
        last_at: when it last was.
    """

    schedule_id: str
    name: str
    surface: str
    cron: str | None
    watch: str | None
    watched_version: str | None
    order: dict[str, Any]
    enabled: bool
    next_at: datetime | None
    last_at: datetime | None


def put_schedule(
    session: Session,
    *,
    name: str,
    surface: str,
    order: Mapping[str, Any],
    who: str,
    why: str,
    at: datetime,
    cron: str | None = None,
    watch: str | None = None,
    watched_version: str | None = None,
    enabled: bool = True,
    next_at: datetime | None = None,
) -> Schedule:
    """Makes a schedule, or replaces the one of that name; when it last was due stays known.

    Raises:
        ControlError: it says neither a time nor what to watch.
    """
    if cron is None and watch is None:
        raise ControlError(f"schedule {name!r} says neither cron nor watch; give one of them, or it never starts a run")
    values: dict[str, Any] = {
        "surface": surface,
        "cron": cron,
        "watch": watch,
        "watched_version": watched_version,
        "order": dict(order),
        "enabled": enabled,
        "next_at": utc(next_at) if next_at else None,
    }
    known = one_or_none(session, Schedule, _named(name))
    if known is None:
        session.execute(insert(tables.schedules).values(schedule_id=new_id("schedule", at), name=name, **values))
    else:
        session.execute(update(tables.schedules).where(tables.schedules.c.name == name).values(values))
    kind = "schedule.changed" if known else "schedule.added"
    record(session, kind=kind, subject=name, who=who, why=why, at=at, facts=values)
    return schedule(session, name)


def schedule(session: Session, name: str) -> Schedule:
    """One schedule.

    Raises:
        Missing: there is none of that name.
    """
    return one(session, Schedule, _named(name), f"there is no schedule {name!r}; see rankloop runs schedules")


def schedules(session: Session) -> list[Schedule]:
    """Every schedule, by name."""
    return all_of(session, Schedule, select(tables.schedules).order_by(tables.schedules.c.name))


def due_schedules(session: Session, now: datetime) -> list[Schedule]:
    """Enabled schedules whose time has come, the one that waits longest first."""
    own = tables.schedules.c
    due = select(tables.schedules).where(own.enabled, own.next_at <= utc(now)).order_by(own.next_at, own.name)
    return all_of(session, Schedule, due)


def set_schedule_times(
    session: Session,
    schedule_id: str,
    *,
    next_at: datetime | None,
    last_at: datetime | None,
    watched_version: str | None = None,
) -> None:
    """Notes when a schedule was due and is due again; the run that it started carries the event.

    Args:
        session: of `Database.begin`, the one that adds the run.
        schedule_id: which.
        next_at: when it is due again.
        last_at: when it was due.
        watched_version: what was seen at the path it watches; None leaves what was noted.

    Raises:
        Missing: it was removed.
    """
    values: dict[str, Any] = {"next_at": utc(next_at) if next_at else None, "last_at": utc(last_at) if last_at else None}
    if watched_version is not None:
        values["watched_version"] = watched_version
    own = tables.schedules.c
    changed = update(tables.schedules).where(own.schedule_id == schedule_id).values(values).returning(own.name)
    if not session.execute(changed).all():
        raise Missing(f"there is no schedule {schedule_id!r} any more; nothing is due")


def remove_schedule(session: Session, name: str, *, who: str, why: str, at: datetime) -> None:
    """Removes a schedule; its past stays in the history.

    Raises:
        Missing: there is none of that name.
    """
    known = schedule(session, name)
    session.execute(delete(tables.schedules).where(tables.schedules.c.name == name))
    facts = msgspec.to_builtins(known)
    record(session, kind="schedule.removed", subject=name, who=who, why=why, at=at, facts=facts)


def _named(name: str) -> Select[Any]:
    return select(tables.schedules).where(tables.schedules.c.name == name)
