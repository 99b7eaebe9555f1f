"""Canaries: one at a time, with every observation and decision, so that each can be replayed."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypedDict, Unpack

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from rankloop.errors import Conflict, ControlError
from services.control.database import tables
from services.control.database.events import record
from services.control.database.releases import release
from services.control.database.rows import all_of, of_row, one, one_or_none
from services.control.database.types import new_id, numbered, utc

__all__ = [
    "ACTIVE",
    "ENDED",
    "Canary",
    "CanaryFields",
    "CanaryStatus",
    "Step",
    "active_canary",
    "canaries",
    "canary",
    "change_canary",
    "end_canary",
    "last_step",
    "new_canary",
    "save_step",
    "steps",
]

CanaryStatus = Literal["warming", "running", "paused", "promoted", "rolled back", "aborted", "failed"]

ACTIVE: Final = ("warming", "running", "paused")
"""What a canary is while it has a slot."""

_KEPT_BESIDE: Final = ("finished", "seen")
"""What a state holds of observations, which the steps hold themselves."""

ENDED: Final = ("promoted", "rolled back", "aborted", "failed")
"""How a canary ends; nothing changes it afterwards."""


class Canary(msgspec.Struct, frozen=True, kw_only=True):
    """One release on trial beside the stable one.

    Attributes:
        canary_id: its name.
        release_id: the release on trial.
        against: the stable release.
        slot: where the release on trial is.
        policy: `rankloop.canary.Policy`, as JSON has it.
        state: `rankloop.canary.State`, as JSON has it; empty before it runs.
        status: where it stands.
        warmth: what was measured before the first unit.
        created_at: when it was asked for.
        ended_at: when it ended.
        who: who asked for it.
        why: the sentence that was given.
    """

    canary_id: str
    release_id: str
    against: str
    slot: str
    policy: dict[str, Any]
    state: dict[str, Any]
    status: CanaryStatus
    warmth: dict[str, Any] | None
    created_at: datetime
    ended_at: datetime | None
    who: str
    why: str


class Step(msgspec.Struct, frozen=True):
    """One look at a canary.

    Attributes:
        number: counts up over all canaries.
        canary_id: whose.
        at: when.
        observation: `rankloop.canary.Observation`, as JSON has it; None where nothing could be observed.
        decision: `rankloop.canary.Decision`, as JSON has it; its state without the observations, which the steps hold.
    """

    number: int
    canary_id: str
    at: datetime
    observation: dict[str, Any] | None
    decision: dict[str, Any]


class CanaryFields(TypedDict, total=False):
    """What may change of a canary."""

    status: CanaryStatus
    state: Mapping[str, Any]
    warmth: Mapping[str, Any] | None


def new_canary(
    session: Session,
    *,
    release_id: str,
    against: str,
    slot: str,
    policy: Mapping[str, Any],
    who: str,
    why: str,
    at: datetime,
    canary_id: str | None = None,
) -> Canary:
    """Asks for a canary; it is `warming` first.

    Raises:
        Conflict: one is under way.
        Missing: a release is not registered.
    """
    under_way = active_canary(session)
    if under_way is not None:
        raise Conflict(f"canary {under_way.canary_id} of {under_way.release_id} is {under_way.status}; end it first")
    for wanted in (release_id, against):
        release(session, wanted)
    name = canary_id or new_id("canary", at)
    values = {"canary_id": name, "release_id": release_id, "against": against, "slot": slot, "policy": dict(policy)}
    rest = {"state": {}, "status": "warming", "active": True, "created_at": utc(at), "who": who, "why": why}
    try:
        with session.begin_nested():
            session.execute(insert(tables.canaries).values(**values, **rest))
    except IntegrityError:
        raise Conflict(f"a canary of {release_id} cannot be: another canary is under way, or {name} exists; look again") from None
    told = {"release_id": release_id, "against": against, "slot": slot, "policy": dict(policy)}
    record(session, kind="canary.created", subject=name, who=who, why=why, at=at, facts=told)
    return canary(session, name)


def canary(session: Session, canary_id: str) -> Canary:
    """One canary.

    Raises:
        Missing: there is none of that name.
    """
    query = select(tables.canaries).where(tables.canaries.c.canary_id == canary_id)
    return one(session, Canary, query, f"there is no canary {canary_id!r}; see rankloop canary show")


def active_canary(session: Session) -> Canary | None:
    """The canary that has a slot, if any."""
    return one_or_none(session, Canary, select(tables.canaries).where(tables.canaries.c.active))


def canaries(
    session: Session,
    *,
    status: CanaryStatus | None = None,
    release_id: str | None = None,
    before: datetime | None = None,
    limit: int = 100,
) -> list[Canary]:
    """Canaries, those asked for last first.

    Args:
        session: of `Database.read` or `Database.begin`.
        status: only those that stand there.
        release_id: only those of this release.
        before: only those asked for before this moment: that of the last one of the page before.
        limit: the most a page holds.
    """
    own = tables.canaries.c
    query = select(tables.canaries).order_by(own.created_at.desc(), own.canary_id.desc()).limit(limit)
    if status is not None:
        query = query.where(own.status == status)
    if release_id is not None:
        query = query.where(own.release_id == release_id)
    if before is not None:
        query = query.where(own.created_at < utc(before))
    return all_of(session, Canary, query)


def change_canary(
    session: Session,
    canary_id: str,
    *,
    from_statuses: Collection[str],
    kind: str,
    who: str,
    why: str,
    at: datetime,
    facts: Mapping[str, Any] | None = None,
    **fields: Unpack[CanaryFields],
) -> Canary:
    """Changes a canary, with the event that says why.

    Args:
        session: of `Database.begin`.
        canary_id: which.
        from_statuses: where it must stand.
        kind: the event's, such as `canary.paused`.
        who: who changes it.
        why: a sentence.
        at: when.
        facts: further facts of the event.
        fields: what changes; a status of `ENDED` ends it.

    Raises:
        Conflict: it stands elsewhere.
        Missing: there is none of that name.
    """
    known = canary(session, canary_id)
    if known.status not in from_statuses:
        raise Conflict(f"canary {canary_id} is {known.status}; this takes one that is {' or '.join(sorted(from_statuses))}")
    status = fields.get("status", known.status)
    ended = {"active": None, "ended_at": utc(at)} if status in ENDED else {}
    session.execute(update(tables.canaries).where(tables.canaries.c.canary_id == canary_id).values(**fields, **ended))
    told = {"from": known.status, "to": status, **(facts or {})}
    record(session, kind=kind, subject=canary_id, who=who, why=why, at=at, facts=told)
    return canary(session, canary_id)


def end_canary(
    session: Session,
    canary_id: str,
    status: CanaryStatus,
    *,
    who: str,
    why: str,
    at: datetime,
    state: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Canary:
    """Ends an active canary; the event is `canary.` and the status, such as `canary.rolled_back`.

    Raises:
        Conflict: it ended before.
        Missing: there is none of that name.
        ControlError: the status is no end.
    """
    if status not in ENDED:
        raise ControlError(f"{status!r} is no end of a canary; it is one of {', '.join(ENDED)}")
    fields = CanaryFields(status=status) if state is None else CanaryFields(status=status, state=state)
    kind = f"canary.{status.replace(' ', '_')}"
    return change_canary(session, canary_id, from_statuses=ACTIVE, kind=kind, who=who, why=why, at=at, facts=facts, **fields)


def save_step(
    session: Session,
    canary_id: str,
    observation: Mapping[str, Any] | None,
    decision: Mapping[str, Any],
    at: datetime,
) -> Step:
    """Keeps one look: what was seen, what was decided, and the canary's new state, which is `decision["state"]`.

    Raises:
        Conflict: the canary ended.
        Missing: there is none of that name.
    """
    known = canary(session, canary_id)
    if known.status not in ACTIVE:
        raise Conflict(f"canary {canary_id} is {known.status}; it takes no further step")
    values = {"canary_id": canary_id, "at": utc(at), "observation": observation, "decision": _lean(decision)}
    row = session.execute(insert(tables.observations).values(values).returning(tables.observations)).mappings().one()
    if "state" in decision:
        own = tables.canaries.c.canary_id == canary_id
        session.execute(update(tables.canaries).where(own).values(state=decision["state"]))
    return of_row(Step, row)


def _lean(decision: Mapping[str, Any]) -> dict[str, Any]:
    state = {name: value for name, value in decision.get("state", {}).items() if name not in _KEPT_BESIDE}
    return {**decision, "state": state}


def last_step(session: Session, canary_id: str) -> Step | None:
    """What was seen of a canary last; None before its first step."""
    own = tables.observations.c
    newest = select(tables.observations).where(own.canary_id == canary_id).order_by(own.number.desc()).limit(1)
    return one_or_none(session, Step, newest)


def steps(session: Session, canary_id: str, *, after: int = 0, limit: int = 1000) -> list[Step]:
    """What was seen of a canary and decided, the oldest first.

    Args:
        session: of `Database.read` or `Database.begin`.
        canary_id: whose.
        after: only steps with a larger number: that of the last one of the page before.
        limit: the most a page holds.
    """
    own = tables.observations.c
    wanted = select(tables.observations).where(own.canary_id == canary_id, own.number > numbered(after))
    return all_of(session, Step, wanted.order_by(own.number).limit(limit))
