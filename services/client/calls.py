"""What is sent for each question, and what its answer is read as; nothing here touches the network."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar
from urllib.parse import quote

import msgspec

from rankloop.errors import DataError
from services.events.wire import Accepted, Receipt, StateShown
from services.ranking.schemas import (
    REQUEST_ID,
    Answer,
    RankAnswer,
    RankRequest,
    Readiness,
    RecommendRequest,
    SearchRequest,
    SimilarAnswer,
)

__all__ = ["Call", "batch_of", "delete_user", "rank", "ready", "receipt", "recommend", "search", "similar", "user_state"]

T = TypeVar("T")

_REQUEST_ID: Final = re.compile(REQUEST_ID)
_DOTS: Final = {".": "%2E", "..": "%2E%2E"}


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One question, the same however often it is sent.

    Attributes:
        method: of HTTP.
        path: with its query.
        answer: what a good answer is read as.
        request_id: names it in the service's logs; one for all tries.
        content: the body; None: none.
        headers: further ones.
    """

    method: str
    path: str
    answer: type[T]
    request_id: str
    content: bytes | None = None
    headers: dict[str, bytes] = field(default_factory=dict)


def recommend(user_id: str, k: int, surface: str, request_id: str | None, unit: str | None) -> Call[Answer]:
    """The best items for a person."""
    return _post("/v1/recommend", RecommendRequest(user_id, k, surface), Answer, request_id, unit)


def search(query: str, user_id: str | None, k: int, surface: str, request_id: str | None, unit: str | None) -> Call[Answer]:
    """The best items for a search text."""
    return _post("/v1/search", SearchRequest(query, user_id, k, surface), Answer, request_id, unit)


def rank(asked: RankRequest, request_id: str | None, unit: str | None) -> Call[RankAnswer]:
    """Given items in the release's order."""
    return _post("/v1/rank", asked, RankAnswer, request_id, unit)


def similar(item_id: str, k: int, request_id: str | None, unit: str | None) -> Call[SimilarAnswer]:
    """Items near one."""
    return Call("GET", f"/v1/items/{_part(item_id)}/similar?k={k}", SimilarAnswer, _id(request_id), None, _unit(unit))


def batch_of(events: Sequence[bytes]) -> Call[Accepted]:
    """Events, encoded already, in one body."""
    content = b'{"events":[' + b",".join(events) + b"]}"
    return Call("POST", "/v1/events", Accepted, _id(None), content, {"Content-Type": b"application/json"})


def delete_user(user_id: str, request_id: str | None) -> Call[Receipt]:
    """Has a person forgotten."""
    return Call("DELETE", f"/v1/users/{_part(user_id)}", Receipt, _id(request_id))


def receipt(receipt_id: str, request_id: str | None) -> Call[Receipt]:
    """How far a deletion is."""
    return Call("GET", f"/v1/receipts/{_part(receipt_id)}", Receipt, _id(request_id))


def user_state(user_id: str, request_id: str | None) -> Call[StateShown]:
    """What is known of a person."""
    return Call("GET", f"/v1/users/{_part(user_id)}/state", StateShown, _id(request_id))


def ready(request_id: str | None) -> Call[Readiness]:
    """Which release answers."""
    return Call("GET", "/readyz", Readiness, _id(request_id))


def _post(path: str, body: msgspec.Struct, answer: type[T], request_id: str | None, unit: str | None) -> Call[T]:
    headers = {"Content-Type": b"application/json", **_unit(unit)}
    return Call("POST", path, answer, _id(request_id), msgspec.json.encode(body), headers)


def _id(given: str | None) -> str:
    if given is None:
        return uuid.uuid4().hex
    if not _REQUEST_ID.fullmatch(given):
        raise DataError(f"request_id is {given[:128]!r}; it must be 1 to 128 letters, digits or '._:-'")
    return given


def _unit(given: str | None) -> dict[str, bytes]:
    if given is None:
        return {}
    if not given or not given.isprintable() or given != given.strip():
        raise DataError(f"unit is {given[:128]!r}; it must be printable text without spaces around it")
    return {"X-Rankloop-Unit": given.encode()}


def _part(text: str) -> str:
    """An id as one part of a path, also where it would mean a folder."""
    return _DOTS.get(text) or quote(text, safe="")
