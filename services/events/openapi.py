"""The routes of a collector, as its OpenAPI document has them."""

from typing import Any, Final

from services.auth import Scope
from services.events.wire import Accepted, Batch, CollectorReadiness, Event, Receipt, Rejection, StateShown
from services.openapi import Operation, written
from services.ranking.schemas import Health
from services.settings import Settings

__all__ = ["OPERATIONS", "document", "limits"]

_USER: Final = (
    {"name": "user_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 256}},
)
_RECEIPT: Final = ({"name": "receipt_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},)
_RULE: Final = "A value breaks a rule; the detail names it."

OPERATIONS: Final = (
    Operation(
        "post",
        "/v1/events",
        "Says what people did; good events are taken whatever the others are.",
        Accepted,
        Batch,
        {
            400: "The body is not JSON.",
            413: "The body is too large.",
            422: "The body is no batch, or has too many events.",
            503: "Nothing of the batch could be kept.",
        },
        name="events",
        scope=Scope.EVENTS,
        asks=Batch([Event("e1", "u17", "j1", "click")]),
        answers=Accepted(1, [Rejection(1, "e2", "kind: invalid enum value 'look'")]),
    ),
    Operation(
        "delete",
        "/v1/users/{user_id}",
        "Has a person forgotten; the receipt says how far that is.",
        Receipt,
        problems={422: _RULE, 503: "The demand could not be kept."},
        status=202,
        parameters=_USER,
        name="forget_user",
        scope=Scope.ADMIN,
    ),
    Operation(
        "get",
        "/v1/users/{user_id}/state",
        "What the online store knows of a person.",
        StateShown,
        problems={404: "Nothing is known.", 422: _RULE, 503: "The online store does not answer."},
        parameters=_USER,
        name="user_state",
        scope=Scope.READ,
    ),
    Operation(
        "get",
        "/v1/receipts/{receipt_id}",
        "How far a person is forgotten.",
        Receipt,
        problems={404: "There is no such receipt.", 422: _RULE},
        parameters=_RECEIPT,
        name="receipt",
        scope=Scope.ADMIN,
    ),
    Operation("get", "/healthz", "The process is alive.", Health),
    Operation("get", "/readyz", "The collector can write.", CollectorReadiness),
    Operation("get", "/metrics", "Every series, in Prometheus' text format.", None, scope=Scope.READ),
    Operation("get", "/schema/openapi.json", "This document.", None, media="application/vnd.oai.openapi+json"),
)
"""Every route of the application; a test holds them equal."""


def document(settings: Settings) -> bytes:
    """The whole document as JSON, OpenAPI 3.1.

    Args:
        settings: the limits that are part of the schemas.
    """
    return written(OPERATIONS, "What people do with what they are shown, and what is known of them.", limits(settings))


def limits(settings: Settings) -> dict[str, dict[str, dict[str, Any]]]:
    """What settings add to the schemas: by the type's name and its field."""
    return {"Batch": {"events": {"maxItems": settings.max_events}}}
