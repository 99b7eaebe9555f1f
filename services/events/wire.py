"""What goes over the wire to and from a collector: events, receipts, and what is known of a person."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

__all__ = ["Accepted", "ActShown", "Batch", "CollectorReadiness", "Event", "Place", "Receipt", "Rejection", "StateShown"]

Id = Annotated[str, Meta(min_length=1, max_length=256)]
# the contract's words, spelled again: a client that knows them need not load what reads tables; a test holds them equal
Kind = Literal["click", "save", "apply", "interview", "hire", "dismiss"]
Moment = Annotated[datetime, Meta(tz=True)]


class Event(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One thing a person did.

    Attributes:
        event_id: names it for ever; sent again, it changes nothing.
        user_id: the person.
        item_id: the item.
        kind: what was done.
        ts: when, ISO 8601 with a zone; null: when the collector takes it.
        value: what it was worth.
        request_id: of the answer that showed the item.
    """

    event_id: Id
    user_id: Id
    item_id: Id
    kind: Kind
    ts: Moment | None = None
    value: float | None = None
    request_id: Id | None = None


class Batch(Struct, forbid_unknown_fields=True):
    """Events in any order; at most RANKLOOP_MAX_EVENTS."""

    events: list[Event]


class Rejection(Struct):
    """Why one event was not taken; the others were.

    Attributes:
        index: its place in the batch, from 0.
        event_id: as it was sent; null where it had none.
        reason: the value and the rule.
    """

    index: int
    event_id: str | None
    reason: str


class Accepted(Struct):
    """What became of a batch; it is as durable as the collector's policy says.

    Attributes:
        accepted: events that were taken, also those whose id came before in the batch.
        rejected: the others; sent again as they are they will be rejected again.
    """

    accepted: int
    rejected: list[Rejection]


class Place(Struct):
    """How far one place has forgotten a person.

    Attributes:
        place: in words.
        rows: what was removed there so far; null where that cannot be known.
        done_at: when it had nothing left of the person, ISO 8601; null: not yet.
        note: what remains to be said.
    """

    place: str
    rows: int | None = None
    done_at: str | None = None
    note: str | None = None


class Receipt(Struct):
    """That a person is to be forgotten, and how far that is.

    Attributes:
        receipt_id: names the demand.
        state: `pending` or `complete`.
        erased_at: what was known up to this moment is erased; ISO 8601.
        places: where; none until the demand is begun.
    """

    receipt_id: str
    state: Literal["pending", "complete"]
    erased_at: str
    places: list[Place] = []


class ActShown(Struct):
    """Something a person did with an item.

    Attributes:
        item_id: the item.
        kind: what was done.
        ts: when, ISO 8601.
    """

    item_id: str
    kind: str
    ts: str


class StateShown(Struct):
    """What the online store knows of a person.

    Attributes:
        user_id: the person.
        acts: what they did last, oldest first.
        counts: how much they ever did, by kind.
        session_began: of the latest session, ISO 8601; null: there was none.
        session_events: acts in it.
        erased_at: when the person was last forgotten, ISO 8601; null: never.
    """

    user_id: str
    acts: list[ActShown]
    counts: dict[str, int]
    session_began: str | None
    session_events: int
    erased_at: str | None


class CollectorReadiness(Struct):
    """The collector can write.

    Attributes:
        status: always `ready`.
        writer: the name of its spool's folder.
        spool_bytes: what the stream holds that the curator has not taken.
    """

    status: str
    writer: str
    spool_bytes: int
