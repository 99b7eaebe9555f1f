"""How routes of the control plane are described: what changes something, and what shows something."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from services.auth import Scope
from services.openapi import Operation

__all__ = ["LIMIT", "MOMENT", "NUMBER", "changes", "in_path", "in_query", "shows"]

MOMENT: Final = {"type": "string", "format": "date-time"}
"""A moment, ISO 8601."""

NUMBER: Final = {"type": "integer", "minimum": 0, "maximum": 2**62}
"""The number of a row."""

_ID: Final = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"}
_RULE: Final = "A value breaks a rule; the detail names it."
_ASKED: Final = {
    400: "The body is not JSON.",
    409: "Its state does not allow it, or something else changed it first.",
    413: "The body is too large.",
    415: "The body is not JSON by its type.",
    422: _RULE,
}
_NONE: Final[Mapping[int, str]] = MappingProxyType({})
_Kind = type[msgspec.Struct]


def in_path(*names: str) -> tuple[Mapping[str, Any], ...]:
    """Names of things in the path."""
    return tuple({"name": name, "in": "path", "required": True, "schema": _ID} for name in names)


def in_query(name: str, schema: Mapping[str, Any], says: str) -> Mapping[str, Any]:
    """One parameter of the query."""
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": says}


LIMIT: Final = in_query("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "At most so many.")
"""How long a page is."""

_WHO: Final = {
    "name": "X-Rankloop-Who",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[ -~]{0,128}$"},
    "description": "Whose name the history keeps while no token is asked for; percent-encoded UTF-8.",
}


def changes(
    path: str,
    summary: str,
    answer: _Kind,
    body: _Kind,
    name: str,
    asks: msgspec.Struct,
    answers: msgspec.Struct,
    *,
    method: str = "post",
    parameters: tuple[Mapping[str, Any], ...] = (),
    problems: Mapping[int, str] = _NONE,
) -> Operation:
    """A route that changes something: it takes JSON, needs `admin`, and the history keeps who asked."""
    more: dict[str, Any] = {"parameters": (*parameters, _WHO), "asks": asks, "answers": answers}
    return Operation(method, path, summary, answer, body, {**_ASKED, **problems}, name=name, scope=Scope.ADMIN, **more)


def shows(
    path: str,
    summary: str,
    answer: _Kind | type[list[Any]],
    name: str,
    *,
    parameters: tuple[Mapping[str, Any], ...] = (),
    problems: Mapping[int, str] = _NONE,
) -> Operation:
    """A route that shows something: it needs `read`."""
    missing = {404: "There is none of that name."} if "{" in path else {}
    told = {422: _RULE, **missing, **problems}
    return Operation("get", path, summary, answer, problems=told, name=name, scope=Scope.READ, parameters=parameters)
