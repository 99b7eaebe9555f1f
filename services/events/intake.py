"""From the body of a batch to records: each event is checked by itself, and the good ones do not wait for the bad."""

from collections import Counter
from typing import Any, Final, NamedTuple

import msgspec

from rankloop.contracts import KINDS
from rankloop.errors import DataError
from rankloop.request import microseconds
from services.events.records import EventRecord, Record, RejectedRecord
from services.events.wire import Accepted, Batch, Event, Rejection
from services.strict import in_words

__all__ = ["Intake", "Taken"]

_DAY: Final = 86_400_000_000
_AHEAD: Final = _DAY
_KEPT: Final = 8192


class Taken(NamedTuple):
    """What became of a batch, before it is kept.

    Attributes:
        records: what the spool is to hold.
        answer: what the sender is told once it holds them.
        counts: (kind, outcome) to events.
    """

    records: list[Record]
    answer: Accepted
    counts: Counter[tuple[str, str]]


class _Refused(NamedTuple):
    event_id: str | None
    kind: str
    reason: str
    raw: bytes


class _Named(msgspec.Struct):
    event_id: Any = None
    kind: Any = None


class _RawBatch(msgspec.Struct, forbid_unknown_fields=True):
    events: list[msgspec.Raw]


class Intake:
    """Checks batches; it neither keeps nor remembers anything.

    Args:
        max_events: of one batch.
        max_age_days: an event that is older is rejected, and so is one that is more than a day ahead of the clock.
    """

    def __init__(self, *, max_events: int, max_age_days: float) -> None:
        self._max_events, self._max_age_days = max_events, max_age_days
        self._batch, self._raw = msgspec.json.Decoder(Batch), msgspec.json.Decoder(_RawBatch)
        self._event, self._named = msgspec.json.Decoder(Event), msgspec.json.Decoder(_Named)

    def read(self, body: bytes, now: int) -> Taken:
        """The records of a batch; of events with one id the first counts.

        Args:
            body: JSON.
            now: microseconds since the epoch.

        Raises:
            msgspec.DecodeError: the body is not JSON, or no batch.
            DataError: it has too many events.
        """
        events = self._events(body)
        if len(events) > self._max_events:
            raise DataError(f"the batch has {len(events)} events; at most {self._max_events} are taken at once: send it in parts")
        records: list[Record] = []
        refused: list[Record] = []
        answer, seen = Accepted(0, []), set()
        counts: Counter[tuple[str, str]] = Counter()
        oldest, newest = now - round(self._max_age_days * _DAY), now + _AHEAD
        for index, event in enumerate(events):
            if isinstance(event, Event):
                ts = now if event.ts is None else microseconds(event.ts)
                if oldest <= ts <= newest:
                    new = event.event_id not in seen
                    counts[event.kind, "accepted" if new else "duplicate"] += 1
                    if new:
                        seen.add(event.event_id)
                        records.append(_recorded(event, ts, now))
                    continue
                event = _Refused(event.event_id, event.kind, self._mistimed(event), msgspec.json.encode(event))
            counts[event.kind, "rejected"] += 1
            answer.rejected.append(Rejection(index, event.event_id, event.reason))
            refused.append(RejectedRecord(now, event.reason, event.raw[:_KEPT]))
        answer.accepted = len(events) - len(refused)
        return Taken(records + refused, answer, counts)

    def _events(self, body: bytes) -> list[Event] | list[Event | _Refused]:
        """All at once, which is fast; one by one only where that fails."""
        try:
            return self._batch.decode(body).events
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        try:
            return [self._one(bytes(raw)) for raw in self._raw.decode(body).events]
        except RecursionError as error:
            raise msgspec.DecodeError("it is nested too deeply") from error

    def _one(self, raw: bytes) -> Event | _Refused:
        try:
            return self._event.decode(raw)
        except msgspec.ValidationError as error:
            reason = in_words(error, "the event")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reason = f"the event is not JSON: {error}"
        try:
            named = self._named.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            named = _Named()
        event_id = named.event_id[:256] if isinstance(named.event_id, str) else None
        return _Refused(event_id, named.kind if named.kind in KINDS else "unknown", reason, raw)

    def _mistimed(self, event: Event) -> str:
        rule = f"it may be at most {self._max_age_days:g} days old and at most 1 day ahead of the collector's clock"
        return f"ts: {event.ts and event.ts.isoformat()} is out of range; {rule}"


def _recorded(event: Event, ts: int, now: int) -> EventRecord:
    return EventRecord(event.event_id, ts, now, event.user_id, event.item_id, event.kind, event.value, event.request_id)
