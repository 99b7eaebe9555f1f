"""What should be: which release in which slot, and who gets which. And what was, from the history alone."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from rankloop.errors import Conflict, ControlError, Missing
from services.control.database import tables
from services.control.database.events import record
from services.control.database.rows import one_or_none
from services.control.database.types import utc
from services.edge.slots import BUCKETS, Slots

__all__ = ["Desired", "Serving", "change_desired", "desired", "desired_at", "serving_at"]


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """What the edges and Ray Serve are made equal to.

    Attributes:
        version: counts the changes; 0 before the first.
        stable: the slot that serves.
        canary_bp: share of units that get the idle slot, basis points.
        interleave_bp: share of units that get both slots' lists, interleaved, basis points.
        split_seed: of the first share.
        interleave_seed: of the second.
        blue: the release in the slot blue; None: it is empty.
        green: the release in the slot green.
        kept_until: until when the idle slot stays warm; None: it does not end by itself.
        changed_at: when the last change was; None before the first.
    """

    version: int = 0
    stable: str = "blue"
    canary_bp: int = 0
    interleave_bp: int = 0
    split_seed: int = 1
    interleave_seed: int = 2
    blue: str | None = None
    green: str | None = None
    kept_until: datetime | None = None
    changed_at: datetime | None = None

    def slots(self) -> Slots:
        """What the edges are told.

        Raises:
            StackError: a name or a number cannot be.
        """
        return Slots(self.stable, self.canary_bp, self.interleave_bp, self.split_seed, self.interleave_seed)

    def release(self, slot: str) -> str | None:
        """The release wanted in a slot."""
        return {"blue": self.blue, "green": self.green}[slot]


class Serving(msgspec.Struct, frozen=True):
    """A slot that holds a release at a moment.

    Attributes:
        slot: blue or green.
        release_id: the release in it.
        share_bp: share of units that it answers, basis points; 0: it is warm and answers nobody.
        stable: whether it is the stable slot.
        interleaved_bp: share of units whose lists are drawn from both slots instead, basis points.
    """

    slot: str
    release_id: str
    share_bp: int
    stable: bool
    interleaved_bp: int = 0


def desired(session: Session) -> Desired:
    """What should be at this moment."""
    return one_or_none(session, Desired, select(tables.desired)) or Desired()


def change_desired(
    session: Session,
    change: Desired,
    *,
    expected_version: int,
    who: str,
    why: str,
    kind: str,
    at: datetime,
    subject: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Desired:
    """Records what should be from now on, and the event that says why.

    Args:
        session: of `Database.begin`.
        change: what should be; its version and `changed_at` are set here.
        expected_version: the version that the change was made from.
        who: who changes it.
        why: a sentence.
        kind: the event's, such as `canary.advanced`.
        at: when; where another process's clock was ahead, the moment of the change before it.
        subject: the event's; unless given, the release of the stable slot.
        facts: further facts of the event.

    Returns:
        What should be, with its version.

    Raises:
        Conflict: something else changed it first.
        Missing: a release is not registered.
        ControlError: a slot with a share holds no release.
        StackError: a name or a number cannot be.
    """
    change.slots()
    now = desired(session)
    if now.version != expected_version:
        raise Conflict(f"what should be is at version {now.version}, the change was made from {expected_version}; look again")
    moment = max(utc(at), now.changed_at or utc(at))
    new = msgspec.structs.replace(change, version=expected_version + 1, changed_at=moment)
    _check(session, new)
    _write(session, new)
    told = {**(facts or {}), "desired": msgspec.to_builtins(new)}
    about = subject or new.release(new.stable) or new.stable
    record(session, kind=kind, subject=about, who=who, why=why, at=moment, facts=told, version=new.version)
    return new


def desired_at(session: Session, at: datetime) -> Desired:
    """What should have been at a moment, from the history alone."""
    own = tables.events.c
    past = select(own.facts).where(own.version.is_not(None), own.at <= utc(at)).order_by(own.version.desc()).limit(1)
    facts = session.execute(past).scalar_one_or_none()
    return msgspec.convert(facts["desired"], Desired) if facts else Desired()


def serving_at(session: Session, at: datetime) -> list[Serving]:
    """What was serving at a moment, from the history alone: the stable slot first, empty slots left out."""
    then = desired_at(session, at)
    slots = then.slots()
    shares = {slots.stable: BUCKETS - then.canary_bp, slots.idle: then.canary_bp}
    return [
        Serving(slot, held, share, slot == then.stable, then.interleave_bp)
        for slot, share in shares.items()
        if (held := then.release(slot)) is not None
    ]


def _check(session: Session, new: Desired) -> None:
    slots = new.slots()
    something = new.blue is not None or new.green is not None
    asked = {slots.stable: (BUCKETS - new.canary_bp) * something, slots.idle: new.canary_bp + new.interleave_bp}
    for slot, share in asked.items():
        if share and new.release(slot) is None:
            raise ControlError(f"slot {slot} shall have {share} basis points of the units and holds no release; fill it first")
    wanted = {name for name in (new.blue, new.green) if name is not None}
    own = tables.releases.c.release_id
    unknown = wanted - set(session.execute(select(own).where(own.in_(wanted))).scalars())
    if unknown:
        raise Missing(f"release {min(unknown)!r} is not registered; register it before it serves")


def _write(session: Session, new: Desired) -> None:
    values = msgspec.structs.asdict(new)
    if new.version == 1:
        session.execute(insert(tables.desired).values(id=1, **values))
    else:
        session.execute(update(tables.desired).values(values))
