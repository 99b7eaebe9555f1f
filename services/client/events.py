"""Events on their way: each has its id before it is first sent, and a batch is no larger than the service takes."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from rankloop.errors import ApiError, SettingsError
from services.client.calls import batch_of
from services.client.exchange import Conversation, Line, asked
from services.events import wire
from services.events.wire import Accepted, Kind, Rejection

__all__ = ["Event", "named", "sent"]

_BYTES: Final = 200_000
_TOO_LARGE: Final = 413


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a person did.

    Attributes:
        user_id: the person.
        item_id: the item.
        kind: click, save, apply, interview, hire or dismiss.
        ts: when, with a zone; None: when the service takes it.
        value: what it was worth.
        request_id: of the answer that showed the item.
        event_id: names it for ever: sent again, it changes nothing; None: one is made.
    """

    user_id: str
    item_id: str
    kind: Kind
    ts: datetime | None = None
    value: float | None = None
    request_id: str | None = None
    event_id: str | None = None


def named(events: Iterable[Event]) -> list[Event]:
    """The same events, each with an id."""
    return [event if event.event_id else msgspec.structs.replace(event, event_id=uuid.uuid4().hex) for event in events]


def sent(line: Line, events: Iterable[Event], batch: int) -> Conversation[Accepted]:
    """Sends events in batches, one after the other, each tried as often as the policy says.

    Args:
        line: the world.
        events: what to send.
        batch: how many at once at most; fewer where the service takes less.

    Raises:
        ApiError: a batch was refused as a whole; `unsent` holds its events and those after it, with their ids.
        SettingsError: a batch of nothing.
    """
    if batch < 1:
        raise SettingsError(f"batch is {batch}; it must be at least 1")
    waiting = named(events)
    texts = [msgspec.json.encode(_on_the_wire(event)) for event in waiting]
    done, all_of_them = 0, Accepted(0, [])
    while done < len(texts):
        end = _end(texts, done, batch)
        try:
            took = yield from asked(line, batch_of(texts[done:end]))
        except ApiError as error:
            if error.status == _TOO_LARGE and end - done > 1:
                batch = (end - done) // 2
                continue
            error.unsent = waiting[done:]
            raise
        all_of_them.accepted += took.accepted
        all_of_them.rejected += [Rejection(done + one.index, one.event_id, one.reason) for one in took.rejected]
        done = end
    return all_of_them


def _on_the_wire(event: Event) -> wire.Event:
    return wire.Event(event.event_id or "", event.user_id, event.item_id, event.kind, event.ts, event.value, event.request_id)


def _end(texts: Sequence[bytes], start: int, batch: int) -> int:
    """Behind the last event that fits into a batch; at least one does."""
    end, room = start + 1, _BYTES - len(texts[start])
    while end < len(texts) and end - start < batch and (room := room - len(texts[end]) - 1) >= 0:
        end += 1
    return end
