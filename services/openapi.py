"""An OpenAPI document, made from the very types that decode requests and encode answers."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from rankloop import __version__
from services.auth import Scope
from services.ranking.schemas import REQUEST_ID, Problem

__all__ = ["Operation", "written"]


class Operation(NamedTuple):
    """One route.

    Attributes:
        method: in lower case.
        path: as OpenAPI writes it.
        summary: one sentence.
        answer: what it carries; None: text.
        body: what it takes; None: nothing.
        problems: statuses it may answer with, and when; those of tokens and of a busy service are added.
        status: of the answer.
        parameters: of the path and the query, as OpenAPI writes them.
        name: what generated clients call it; made from the path where empty.
        scope: what its token needs; None: none is asked for.
        asks: an example of a body.
        answers: an example of an answer.
        media: of an answer that is text.
    """

    method: str
    path: str
    summary: str
    answer: type[msgspec.Struct] | type[list[Any]] | None
    body: type[msgspec.Struct] | None = None
    problems: Mapping[int, str] = MappingProxyType({})
    status: int = 200
    parameters: tuple[Mapping[str, Any], ...] = ()
    name: str = ""
    scope: Scope | None = None
    asks: msgspec.Struct | None = None
    answers: msgspec.Struct | None = None
    media: str = "text/plain"


_REQUEST_ID: Final = {"type": "string", "pattern": f"^{REQUEST_ID}$"}
_PARAMETER: Final = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": "Names the request in answers and logs; made where absent.",
    "schema": _REQUEST_ID,
    "example": "shop-7f3a",
}
_HEADERS: Final = {
    "RequestId": {"description": "Names the request in every log.", "required": True, "schema": _REQUEST_ID},
    "RetryAfter": {
        "description": "When to ask again: seconds from now.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "Challenge": {
        "description": "The kind of token that is asked for, after RFC 6750.",
        "required": True,
        "schema": {"type": "string", "pattern": "^Bearer "},
    },
}
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "rl_ and 43 url-safe characters",
    "description": "A token with the scope that the operation names. None is asked for while none is configured.",
}
_GUARDED: Final = {401: "No token, or one that is unknown, revoked or expired.", 403: "The token lacks the scope."}
_BUSY: Final = {429: "The caller asks more often than it may.", 503: "More is asked than can be answered; nothing was done."}


def written(
    operations: Sequence[Operation], summary: str, limits: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType({})
) -> bytes:
    """The whole document as JSON, OpenAPI 3.1.

    Args:
        operations: every route.
        summary: of the application, one sentence.
        limits: what settings add to the schemas: by the type's name and its field.
    """
    types = {kind for operation in operations for kind in (operation.answer, operation.body) if kind} | {Problem}
    ordered = sorted(types, key=lambda kind: kind.__name__)
    refs, schemas = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    for kind, fields in limits.items():
        for name, more in fields.items():
            schemas[kind]["properties"][name] |= more
    by_type = dict(zip(ordered, refs, strict=True))
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, by_type)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Rankloop",
                "version": __version__,
                "summary": summary,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/", "description": "Where this document was found."}],
            "paths": paths,
            "components": {"schemas": schemas, "headers": _HEADERS, "securitySchemes": {"token": _BEARER}},
        }
    )


def _described(operation: Operation, refs: Mapping[Any, Any]) -> dict[str, Any]:
    asked_for = operation.path.startswith("/v1/")
    described: dict[str, Any] = {
        "operationId": operation.name or _name(operation),
        "summary": operation.summary,
        "tags": [operation.scope.value if operation.scope else "open"],
        "parameters": [*operation.parameters, *([_PARAMETER] if asked_for else [])],
        "responses": {str(operation.status): _answer(operation, refs), **_problems(operation, refs, asked_for)},
        "security": [{"token": [operation.scope.value]}] if operation.scope else [],
    }
    if operation.body:
        content: dict[str, Any] = {"schema": refs[operation.body]}
        if operation.asks is not None:
            content["example"] = msgspec.to_builtins(operation.asks)
        described["requestBody"] = {"required": True, "content": {"application/json": content}}
    return described


def _answer(operation: Operation, refs: Mapping[Any, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": refs[operation.answer]} if operation.answer else {}
    if operation.answers is not None:
        content["example"] = msgspec.to_builtins(operation.answers)
    return {
        "description": "The answer.",
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}},
        "content": {"application/json" if operation.answer else operation.media: content},
    }


def _problems(operation: Operation, refs: Mapping[Any, Any], asked_for: bool) -> dict[str, Any]:
    when = {**(_BUSY if asked_for else {}), **(_GUARDED if operation.scope else {}), **operation.problems}
    return {str(status): _problem(status, when[status], refs, asked_for) for status in sorted(when)}


def _problem(status: int, when: str, refs: Mapping[Any, Any], asked_for: bool) -> dict[str, Any]:
    headers = {"X-Request-Id": "RequestId"}
    if status in (401, 403):
        headers["WWW-Authenticate"] = "Challenge"
    if asked_for and status in (429, 503):
        headers["Retry-After"] = "RetryAfter"
    return {
        "description": when,
        "headers": {name: {"$ref": f"#/components/headers/{header}"} for name, header in headers.items()},
        "content": {"application/problem+json": {"schema": refs[Problem]}},
    }


def _name(operation: Operation) -> str:
    words = operation.path.replace("{item_id}/", "").replace("/v1/", "").strip("/").replace("/", "_")
    return words.replace(".", "_")
