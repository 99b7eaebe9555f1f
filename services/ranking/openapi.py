"""The OpenAPI document of API v1, made from the very types that decode requests and encode answers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from rankloop import __version__
from services.ranking.schemas import (
    Answer,
    Health,
    Problem,
    RankAnswer,
    RankRequest,
    Readiness,
    RecommendRequest,
    SearchRequest,
    SimilarAnswer,
)

__all__ = ["OPERATIONS", "Operation", "document"]


class Operation(NamedTuple):
    """One route.

    Attributes:
        method: in lower case.
        path: as OpenAPI writes it.
        summary: one sentence.
        answer: what 200 carries; None: text.
        body: what it takes; None: nothing.
        problems: statuses it may answer with, and when.
    """

    method: str
    path: str
    summary: str
    answer: type[msgspec.Struct] | None
    body: type[msgspec.Struct] | None = None
    problems: Mapping[int, str] = MappingProxyType({})


_ASKED: Final = {
    400: "The body is not JSON.",
    413: "The body is too large.",
    422: "A value breaks a rule; the detail names it.",
}

OPERATIONS: Final = (
    Operation("post", "/v1/recommend", "The best items for a person.", Answer, RecommendRequest, _ASKED),
    Operation("post", "/v1/search", "The best items for a search text.", Answer, SearchRequest, _ASKED),
    Operation("post", "/v1/rank", "Given items in the release's order, explained on demand.", RankAnswer, RankRequest, _ASKED),
    Operation(
        "get",
        "/v1/items/{item_id}/similar",
        "Open items near one item.",
        SimilarAnswer,
        problems={404: "The release does not hold the item.", 422: "A value breaks a rule; the detail names it."},
    ),
    Operation("get", "/healthz", "The process is alive.", Health),
    Operation("get", "/readyz", "The release has answered a self-test.", Readiness, problems={503: "It has not."}),
    Operation("get", "/metrics", "Every series, in Prometheus' text format.", None),
    Operation("get", "/schema/openapi.json", "This document.", None),
)
"""Every route of the application; a test holds them equal."""

_SIMILAR: Final = [
    {"name": "item_id", "in": "path", "required": True, "schema": {"type": "string"}},
    {"name": "k", "in": "query", "required": False, "schema": {"type": "integer", "default": 10}},
]
_REQUEST_ID: Final = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": "Names the request in answers and logs; made where absent.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
}


def document() -> bytes:
    """The whole document as JSON, OpenAPI 3.1."""
    types = {kind for operation in OPERATIONS for kind in (operation.answer, operation.body) if kind} | {Problem}
    ordered = sorted(types, key=lambda kind: kind.__name__)
    refs, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    by_type = dict(zip(ordered, refs, strict=True))
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, by_type)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Rankloop",
                "version": __version__,
                "summary": "Ranked lists of a work marketplace, answered by one release.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": paths,
            "components": {"schemas": components},
        }
    )


def _described(operation: Operation, refs: dict[Any, Any]) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": refs[Problem]}}
    found = {"application/json": {"schema": refs[operation.answer]}} if operation.answer else {"text/plain": {}}
    responses: dict[str, Any] = {"200": {"description": "The answer.", "content": found}}
    responses |= {str(status): {"description": when, "content": problem} for status, when in operation.problems.items()}
    described: dict[str, Any] = {
        "operationId": _name(operation),
        "summary": operation.summary,
        "parameters": [*(_SIMILAR if "{item_id}" in operation.path else []), _REQUEST_ID],
        "responses": responses,
    }
    if operation.body:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": refs[operation.body]}}}
    return described


def _name(operation: Operation) -> str:
    words = operation.path.replace("{item_id}/", "").replace("/v1/", "").strip("/").replace("/", "_")
    return words.replace(".", "_")
