"""Each event of a batch is checked by itself."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.contracts import KINDS
from rankloop.errors import DataError
from rankloop.request import microseconds
from services.events.intake import Intake, Taken
from services.events.records import EventRecord, RejectedRecord
from services.events.wire import Accepted, Kind

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
NOW = microseconds(NOON)
GOOD = {"event_id": "e1", "user_id": "u1", "item_id": "i1", "kind": "click"}


def read(*events: object, **given: Any) -> Taken:
    body = json.dumps({"events": events}).encode()
    return Intake(**{"max_events": 100, "max_age_days": 30, **given}).read(body, NOW)


def test_the_kinds_are_those_of_the_contract() -> None:
    assert get_args(Kind) == KINDS


def test_an_event_becomes_a_record() -> None:
    full = {**GOOD, "ts": "2026-03-04T13:30:00.25+02:00", "value": 3, "request_id": "r1"}
    taken = read(full, {**GOOD, "event_id": "e2"})
    ts = microseconds(datetime(2026, 3, 4, 11, 30, 0, 250_000, tzinfo=UTC))
    assert taken.records == [
        EventRecord("e1", ts, NOW, "u1", "i1", "click", 3.0, "r1"),
        EventRecord("e2", NOW, NOW, "u1", "i1", "click", None, None),
    ]
    assert taken.answer == Accepted(2, [])
    assert taken.counts == Counter({("click", "accepted"): 2})


def test_of_events_with_one_id_the_first_counts() -> None:
    taken = read(GOOD, {**GOOD, "item_id": "i2"}, {**GOOD, "event_id": "e2", "kind": "save"})
    assert [(one.event_id, one.item_id) for one in taken.records] == [("e1", "i1"), ("e2", "i1")]
    assert taken.answer == Accepted(3, [])
    assert taken.counts == Counter({("click", "accepted"): 1, ("click", "duplicate"): 1, ("save", "accepted"): 1})


BAD = [
    (
        "no id",
        {key: value for key, value in GOOD.items() if key != "event_id"},
        "the event: object missing required field `event_id`",
    ),
    ("an empty user", {**GOOD, "user_id": ""}, "user_id: expected `str` of length >= 1"),
    ("a long item", {**GOOD, "item_id": "i" * 257}, "item_id: expected `str` of length <= 256"),
    ("an item as number", {**GOOD, "item_id": 7}, "item_id: expected `str`, got `int`"),
    ("another kind", {**GOOD, "kind": "look"}, "kind: invalid enum value 'look'"),
    ("a kind as list", {**GOOD, "kind": ["click"]}, "kind: expected `str`, got `array`"),
    ("a time without a zone", {**GOOD, "ts": "2026-03-04T12:00:00"}, "ts: expected `datetime` with a timezone component"),
    ("a time as number", {**GOOD, "ts": 1_772_625_600}, "ts: expected `datetime | null`, got `int`"),
    ("a time as prose", {**GOOD, "ts": "noon"}, "ts: invalid RFC3339 encoded datetime"),
    ("the far future", {**GOOD, "ts": "2026-03-05T12:00:01Z"}, "ts: 2026-03-05T12:00:01+00:00 is out of range"),
    ("the far past", {**GOOD, "ts": "2026-02-02T11:59:59Z"}, "at most 30 days old and at most 1 day ahead"),
    ("the first day of all", {**GOOD, "ts": "0001-01-01T00:00:00+23:59"}, "is out of range"),
    ("a value as text", {**GOOD, "value": "3"}, "value: expected `float | null`, got `str`"),
    ("another field", {**GOOD, "colour": "red"}, "the event: object contains unknown field `colour`"),
    ("no object", 17, "the event: expected `object`, got `int`"),
]


@pytest.mark.parametrize(("event", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_event_is_answered_and_quarantined_and_the_others_are_taken(event: Any, says: str) -> None:
    others = [{**GOOD, "event_id": f"other{n}"} for n in range(2)]
    taken = read(others[0], event, others[1])
    (rejection,) = taken.answer.rejected
    assert (taken.answer.accepted, rejection.index) == (2, 1)
    assert says in rejection.reason
    assert rejection.event_id == (event.get("event_id") if isinstance(event, dict) else None)
    *good, bad = taken.records
    assert [one.event_id for one in good] == ["other0", "other1"]
    assert isinstance(bad, RejectedRecord)
    assert (bad.received, bad.reason) == (NOW, rejection.reason)
    kept = json.loads(bad.raw)
    assert kept == event or datetime.fromisoformat(kept["ts"]) == datetime.fromisoformat(event["ts"])


@pytest.mark.parametrize("ts", [NOON + timedelta(days=1), NOON - timedelta(days=30)])
def test_the_limits_of_time_are_within(ts: datetime) -> None:
    assert read({**GOOD, "ts": ts.isoformat()}).answer == Accepted(1, [])


def test_what_no_float_can_hold_is_rejected() -> None:
    body = b'{"events": [{"event_id": "e1", "user_id": "u", "item_id": "i", "kind": "hire", "value": 1e999}]}'
    taken = Intake(max_events=1, max_age_days=30).read(body, NOW)
    assert taken.answer.rejected[0].reason == "value: number out of range"
    assert taken.counts == Counter({("hire", "rejected"): 1})


def test_bytes_that_are_no_text_cost_one_event() -> None:
    good = json.dumps(GOOD).encode()
    body = b'{"events": [' + good.replace(b"u1", b"\xff") + b"," + good.replace(b"e1", b"e2") + b"]}"
    taken = Intake(max_events=2, max_age_days=30).read(body, NOW)
    assert taken.answer.accepted == 1
    assert taken.answer.rejected[0].reason.startswith("the event is not JSON: 'utf-8' codec")
    assert b"\xff" in taken.records[1].raw


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "truncated"),
        (b'{"events": [', "truncated"),
        (b'{"events": [{"event_id": "\\ud800"}]}', "truncated"),
        (b'{"events": [{"value": ' + b"[" * 100_000, "nested too deeply"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `events`"),
        (b'{"events": [], "more": 1}', "unknown field `more`"),
    ],
)
def test_what_is_no_batch_is_refused_as_a_whole(body: bytes, says: str) -> None:
    with pytest.raises(msgspec.DecodeError, match=says):
        Intake(max_events=1, max_age_days=30).read(body, NOW)


def test_too_many_events_are_refused_as_a_whole() -> None:
    with pytest.raises(DataError, match="has 3 events; at most 2"):
        read(*({**GOOD, "event_id": str(n)} for n in range(3)), max_events=2)


def test_an_empty_batch_is_taken() -> None:
    assert read() == Taken([], Accepted(0, []), Counter())


anything = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=2))


@given(
    st.lists(
        st.fixed_dictionaries({}, optional={key: st.just(value) | anything for key, value in GOOD.items()}) | anything, max_size=6
    )
)
def test_every_event_is_either_accepted_or_rejected(events: list[Any]) -> None:
    taken = read(*events)
    assert taken.answer.accepted + len(taken.answer.rejected) == len(events) == sum(taken.counts.values())
    assert sum(isinstance(one, RejectedRecord) for one in taken.records) == len(taken.answer.rejected)
    assert {kind for kind, _ in taken.counts} <= {*KINDS, "unknown"}
