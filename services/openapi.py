"""An OpenAPI document, made from the very types that decode requests and encode answers."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from rankloop import __version__
from services.ranking.schemas import Problem

__all__ = ["Operation", "written"]


class Operation(NamedTuple):
    """One route.

    Attributes:
        method: in lower case.
        path: as OpenAPI writes it.
        summary: one sentence.
        answer: what it carries; None: text.
        body: what it takes; None: nothing.
        problems: statuses it may answer with, and when.
        status: of the answer.
        parameters: of the path and the query, as OpenAPI writes them.
        name: what generated clients call it; made from the path where empty.
    """

    method: str
    path: str
    summary: str
    answer: type[msgspec.Struct] | None
    body: type[msgspec.Struct] | None = None
    problems: Mapping[int, str] = MappingProxyType({})
    status: int = 200
    parameters: tuple[Mapping[str, Any], ...] = ()
    name: str = ""


_REQUEST_ID: Final = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": "Names the request in answers and logs; made where absent.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
}


def written(operations: Sequence[Operation], summary: str) -> bytes:
    """The whole document as JSON, OpenAPI 3.1.

    Args:
        operations: every route.
        summary: of the application, one sentence.
    """
    types = {kind for operation in operations for kind in (operation.answer, operation.body) if kind} | {Problem}
    ordered = sorted(types, key=lambda kind: kind.__name__)
    refs, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
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
            "paths": paths,
            "components": {"schemas": components},
        }
    )


def _described(operation: Operation, refs: dict[Any, Any]) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": refs[Problem]}}
    found = {"application/json": {"schema": refs[operation.answer]}} if operation.answer else {"text/plain": {}}
    responses: dict[str, Any] = {str(operation.status): {"description": "The answer.", "content": found}}
    responses |= {str(status): {"description": when, "content": problem} for status, when in operation.problems.items()}
    described: dict[str, Any] = {
        "operationId": operation.name or _name(operation),
        "summary": operation.summary,
        "parameters": [*operation.parameters, _REQUEST_ID],
        "responses": responses,
    }
    if operation.body:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": refs[operation.body]}}}
    return described


def _name(operation: Operation) -> str:
    words = operation.path.replace("{item_id}/", "").replace("/v1/", "").strip("/").replace("/", "_")
    return words.replace(".", "_")
