"""The OpenAPI document of API v1, made from the very types that decode requests and encode answers."""

from typing import Final

from services.openapi import Operation, written
from services.ranking.schemas import (
    Answer,
    Health,
    RankAnswer,
    RankRequest,
    Readiness,
    RecommendRequest,
    SearchRequest,
    SimilarAnswer,
)

__all__ = ["OPERATIONS", "document"]

_ASKED: Final = {
    400: "The body is not JSON.",
    413: "The body is too large.",
    422: "A value breaks a rule; the detail names it.",
}

_SIMILAR: Final = (
    {"name": "item_id", "in": "path", "required": True, "schema": {"type": "string"}},
    {"name": "k", "in": "query", "required": False, "schema": {"type": "integer", "default": 10}},
)

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
        parameters=_SIMILAR,
    ),
    Operation("get", "/healthz", "The process is alive.", Health),
    Operation("get", "/readyz", "The release has answered a self-test.", Readiness, problems={503: "It has not."}),
    Operation("get", "/metrics", "Every series, in Prometheus' text format.", None),
    Operation("get", "/schema/openapi.json", "This document.", None),
)
"""Every route of the application; a test holds them equal."""


def document() -> bytes:
    """The whole document as JSON, OpenAPI 3.1."""
    return written(OPERATIONS, "Ranked lists of a work marketplace, answered by one release.")
