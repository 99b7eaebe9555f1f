"""Incidents: one open for each cause, what is known of it, and every change of it as an event of the history."""

from datetime import datetime
from typing import Any, TypedDict, Unpack

import msgspec
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from rankloop.errors import Conflict
from services.control.database import tables
from services.control.database.events import record
from services.control.database.rows import all_of, one, one_or_none
from services.control.database.types import new_id, utc
from services.control.incident import AlertKept, Context, IncidentStatus, Severity

__all__ = [
    "Incident",
    "IncidentFields",
    "change_incident",
    "closed_since",
    "incident",
    "incident_counts",
    "incidents",
    "new_incident",
    "open_incident",
    "open_incidents",
]


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """All that is wrong for one cause, in one place.

    Attributes:
        incident_id: its name.
        fingerprint: of cause, surface and component; one incident of each is open at a time.
        cause: what is wrong, in kebab-case; of a rule that does not say, the alert's name.
        component: where: a process, a table, a column.
        surface: the product place, or `all`.
        release_id: the release it is about; `none` where there is none.
        owner: the team it is for.
        severity: the worst of the alerts that fire; of none, the worst there was.
        title: what broke, in one line.
        status: firing, acknowledged, quiet (nothing fires any more; it ends by itself), or resolved.
        alerts: each with its own state.
        context: what was found out.
        since: when the first alert began to fire, UTC.
        opened_at: when it was heard of.
        changed_at: when it changed last.
        acknowledged_at: when somebody took it; None: nobody has.
        acknowledged_by: who.
        silenced_until: nobody is told anything before; None: it is not silenced.
        quiet_since: since when nothing fires; None: something does.
        looked_at: when examples were looked up; None: not yet.
        resolved_at: when it ended; None: it has not.
        told: the worst severity that receivers were told; empty: they were told nothing.
        open: True, or None where it ended.
    """

    incident_id: str
    fingerprint: str
    cause: str
    component: str
    surface: str
    release_id: str
    owner: str
    severity: Severity
    title: str
    status: IncidentStatus
    alerts: list[AlertKept]
    context: Context
    since: datetime
    opened_at: datetime
    changed_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    silenced_until: datetime | None = None
    quiet_since: datetime | None = None
    looked_at: datetime | None = None
    resolved_at: datetime | None = None
    told: str = ""
    open: bool | None = True

    def silent(self, at: datetime) -> bool:
        """Whether nobody is to be told anything at a moment."""
        return self.silenced_until is not None and at < self.silenced_until

    def firing(self) -> list[AlertKept]:
        """The alerts that fire, the worst first, then the oldest."""
        order = ("page", "ticket", "info")
        return sorted(
            (own for own in self.alerts if own.status == "firing"), key=lambda own: (order.index(own.severity), own.since)
        )


class IncidentFields(TypedDict, total=False):
    """What may change of an incident."""

    release_id: str
    owner: str
    severity: Severity
    title: str
    status: IncidentStatus
    alerts: list[AlertKept]
    context: Context
    since: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    silenced_until: datetime | None
    quiet_since: datetime | None
    looked_at: datetime | None
    resolved_at: datetime | None
    told: str
    open: bool | None


def new_incident(
    session: Session,
    *,
    who: str,
    why: str,
    at: datetime,
    fingerprint: str,
    cause: str,
    component: str,
    surface: str,
    **fields: Any,
) -> Incident:
    """Opens an incident.

    Args:
        session: of `Database.begin`.
        who: who told of it.
        why: a sentence.
        at: when.
        fingerprint: of its cause; none of the same may be open.
        cause: what is wrong.
        component: where.
        surface: the product place.
        fields: the other fields of `Incident` that have no default.
    """
    named: dict[str, Any] = {"fingerprint": fingerprint, "cause": cause, "component": component, "surface": surface}
    own = Incident(incident_id=new_id("inc", at), opened_at=utc(at), changed_at=utc(at), **named, **fields)
    session.execute(insert(tables.incidents).values(**_columns(msgspec.structs.asdict(own))))
    told = {**named, "severity": own.severity, "release_id": own.release_id, "alerts": [one.name for one in own.alerts]}
    record(session, kind="incident.opened", subject=own.incident_id, who=who, why=why, at=at, facts=told)
    return own


def incident(session: Session, incident_id: str) -> Incident:
    """One incident.

    Raises:
        Missing: there is none of that name.
    """
    query = select(tables.incidents).where(tables.incidents.c.incident_id == incident_id)
    return one(session, Incident, query, f"there is no incident {incident_id!r}; see rankloop incidents list")


def open_incident(session: Session, fingerprint: str) -> Incident | None:
    """The open incident of a cause."""
    own = tables.incidents.c
    found = select(tables.incidents).where(own.fingerprint == fingerprint, own.open.is_(True))
    return one_or_none(session, Incident, found)


def open_incidents(session: Session) -> list[Incident]:
    """Every incident that has not ended, the oldest first."""
    own = tables.incidents.c
    found = select(tables.incidents).where(own.open.is_(True)).order_by(own.opened_at, own.incident_id)
    return all_of(session, Incident, found)


def closed_since(session: Session, fingerprint: str, at: datetime) -> list[Incident]:
    """Incidents of a cause that ended, or are silenced, after a moment, the newest first."""
    own = tables.incidents.c
    late = (own.resolved_at > utc(at)) | (own.silenced_until > utc(at))
    found = select(tables.incidents).where(own.fingerprint == fingerprint, own.open.is_(None), late)
    return all_of(session, Incident, found.order_by(own.opened_at.desc(), own.incident_id.desc()))


def incidents(
    session: Session,
    *,
    status: str | None = None,
    surface: str | None = None,
    before: datetime | None = None,
    limit: int = 100,
) -> list[Incident]:
    """Incidents, the newest first.

    Args:
        session: of `Database.read` or `Database.begin`.
        status: only those that stand there; `open` for every one that has not ended.
        surface: only those of it.
        before: only those opened before this moment: that of the last one of the page before.
        limit: the most a page holds.
    """
    own = tables.incidents.c
    query = select(tables.incidents).order_by(own.opened_at.desc(), own.incident_id.desc()).limit(limit)
    if status is not None:
        query = query.where(own.open.is_(True) if status == "open" else own.status == status)
    if surface is not None:
        query = query.where(own.surface == surface)
    if before is not None:
        query = query.where(own.opened_at < utc(before))
    return all_of(session, Incident, query)


def change_incident(
    session: Session,
    known: Incident,
    *,
    kind: str,
    who: str,
    why: str,
    at: datetime,
    facts: dict[str, Any] | None = None,
    **fields: Unpack[IncidentFields],
) -> Incident:
    """Changes an incident, with the event `incident.KIND` that says why.

    Args:
        session: of `Database.begin`, in which `known` was read.
        known: as it is.
        kind: what happened to it.
        who: who changes it.
        why: a sentence.
        at: when.
        facts: what else is worth keeping.
        fields: what changes.

    Raises:
        Conflict: it ended.
    """
    if known.open is None and kind != "noted":
        raise Conflict(f"incident {known.incident_id} is resolved; only a note can be added")
    after = msgspec.structs.replace(known, changed_at=utc(at), **fields)
    values = _columns({**fields, "changed_at": utc(at)})
    session.execute(update(tables.incidents).where(tables.incidents.c.incident_id == known.incident_id).values(values))
    record(session, kind=f"incident.{kind}", subject=known.incident_id, who=who, why=why, at=at, facts=facts)
    return after


def incident_counts(session: Session) -> dict[tuple[str, str], int]:
    """How many incidents are open, by status and severity."""
    own = tables.incidents.c
    counted = select(own.status, own.severity, func.count()).where(own.open.is_(True)).group_by(own.status, own.severity)
    return {(status, severity): number for status, severity, number in session.execute(counted)}


def _columns(fields: dict[str, Any]) -> dict[str, Any]:
    """As the database takes them: structs within JSON become plain objects."""
    return {name: msgspec.to_builtins(value) if name in ("alerts", "context") else value for name, value in fields.items()}
