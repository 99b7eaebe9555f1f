"""What is put into a frame comes out of it."""

import msgspec
import pytest

from services.events.records import ErasureRecord, EventRecord, ImpressionRecord, RejectedRecord, decode, encode

RECORDS = [
    ImpressionRecord(
        request_id="a1",
        ts=1,
        as_of=2,
        surface="job_feed",
        user_id="u1",
        query=None,
        release_id="r1",
        items=["i1", "i2"],
        scores=[0.5, -1.0],
        sources=["als", "popular"],
        teams=None,
        feature_names="0" * 16,
        features=b"\x00\x00\x80?",
        micros=900,
        fallback=None,
    ),
    EventRecord("e1", 3, 4, "u1", "i1", "click", None, "a1"),
    EventRecord("e2", 3, 4, "ü", "i2", "hire", 2.5, None),
    RejectedRecord(5, "kind is 'look'", b'{"kind": "look"}'),
    ErasureRecord("x1", "u1", 6),
]


def test_every_kind_of_record_comes_back_as_it_was() -> None:
    assert decode(encode(RECORDS)) == RECORDS
    assert decode(encode([])) == []


def test_a_frame_of_something_else_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(msgspec.msgpack.encode([["unknown", 1]]))
