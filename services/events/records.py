"""What a spool holds: impressions, events, what was refused, and demands to be forgotten."""

from collections.abc import Sequence

import msgspec

__all__ = ["ErasureRecord", "EventRecord", "ImpressionRecord", "Record", "RejectedRecord", "decode", "encode"]


class ImpressionRecord(msgspec.Struct, array_like=True, tag="impression", frozen=True):
    """One answer as it was given.

    Attributes:
        request_id: names the answer.
        ts: the moment of the answer on the wall clock, microseconds since the epoch.
        as_of: the moment features were computed for, microseconds since the epoch.
        surface: the product place.
        user_id: the person; empty where the request named nobody.
        query: the search text.
        release_id: the release that answered.
        items: best first.
        scores: one an item.
        sources: the retriever that proposed each item highest.
        teams: the release that placed each item, when two were interleaved.
        feature_names: fingerprint of the names of the columns in `features`; the release's manifest has the names.
        features: float32, little-endian, row-major, (items, features); empty when unknown.
        micros: time the engine took, microseconds.
        fallback: why less than the whole release was used.
    """

    request_id: str
    ts: int
    as_of: int
    surface: str
    user_id: str
    query: str | None
    release_id: str
    items: list[str]
    scores: list[float]
    sources: list[str]
    teams: list[str] | None
    feature_names: str
    features: bytes
    micros: int
    fallback: str | None


class EventRecord(msgspec.Struct, array_like=True, tag="event", frozen=True):
    """One thing a person did.

    Attributes:
        event_id: names the event; the same id twice has the effect of once.
        ts: when it happened, microseconds since the epoch.
        received: when the collector took it, microseconds since the epoch.
        user_id: the person.
        item_id: the item.
        kind: one of the contract's kinds of outcome.
        value: what it was worth, where that is known.
        request_id: the answer that showed the item, where that is known.
    """

    event_id: str
    ts: int
    received: int
    user_id: str
    item_id: str
    kind: str
    value: float | None
    request_id: str | None


class RejectedRecord(msgspec.Struct, array_like=True, tag="rejected", frozen=True):
    """One event that broke a rule.

    Attributes:
        received: when the collector refused it, microseconds since the epoch.
        reason: the value and the rule, in words.
        raw: the event as it was sent, JSON.
    """

    received: int
    reason: str
    raw: bytes


class ErasureRecord(msgspec.Struct, array_like=True, tag="erasure", frozen=True):
    """A demand to forget a person.

    Attributes:
        receipt_id: names the demand.
        user_id: the person.
        ts: when it came, microseconds since the epoch.
    """

    receipt_id: str
    user_id: str
    ts: int


Record = ImpressionRecord | EventRecord | RejectedRecord | ErasureRecord

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Record])


def encode(records: Sequence[Record]) -> bytes:
    """One frame of a spool, msgpack.

    Example:
        >>> demand = ErasureRecord("r1", "u1", 1_700_000_000_000_000)
        >>> decode(encode([demand])) == [demand]
        True
    """
    return _encoder.encode(records)


def decode(frame: bytes) -> list[Record]:
    """The records of a frame, in the order they were given.

    Raises:
        msgspec.DecodeError: the frame is none of ours; its checksum held, so another version wrote it.
    """
    return _decoder.decode(frame)
