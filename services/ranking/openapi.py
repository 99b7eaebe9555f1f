"""The OpenAPI document of API v1: the routes of a release, and those of the collector, as the edge shows them together."""

from typing import Any, Final

from rankloop.contracts import SURFACES
from services.auth import Scope
from services.events import openapi as of_events
from services.openapi import Operation, written
from services.ranking.schemas import (
    Answer,
    AnsweredItem,
    Contribution,
    Explanation,
    Health,
    RankAnswer,
    RankRequest,
    Readiness,
    RecommendRequest,
    SearchRequest,
    SimilarAnswer,
)
from services.settings import Settings

__all__ = ["OPERATIONS", "document"]


_RULE: Final = "A value breaks a rule; the detail names it."
_ASKED: Final = {400: "The body is not JSON.", 413: "The body is too large.", 422: _RULE}


def _near(k: dict[str, int]) -> tuple[dict[str, Any], ...]:
    item = {"name": "item_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}, "example": "j1"}
    return item, {"name": "k", "in": "query", "required": False, "schema": {"type": "integer", "default": 10, **k}}


_NAMES: Final = ("5f1c09d2a4b3e877", "r20260304-8df37f32", "2026-03-04T00:00:00+00:00")
_FOUND: Final = [
    AnsweredItem("j1", "Python scraper for price lists", 0.89, 1, "als"),
    AnsweredItem("j7", "Data pipeline in Airflow", 0.54, 2, "bm25"),
]
_WHY: Final = Explanation("j1", 0.1, [Contribution("item_popularity_7d", 12.0, 0.79)])

OPERATIONS: Final = (
    Operation(
        "post",
        "/v1/recommend",
        "The best items for a person.",
        Answer,
        RecommendRequest,
        _ASKED,
        scope=Scope.READ,
        asks=RecommendRequest("u17", 2),
        answers=Answer(*_NAMES, _FOUND),
    ),
    Operation(
        "post",
        "/v1/search",
        "The best items for a search text.",
        Answer,
        SearchRequest,
        _ASKED,
        scope=Scope.READ,
        asks=SearchRequest("python scraper", "u17", 2),
        answers=Answer(*_NAMES, _FOUND),
    ),
    Operation(
        "post",
        "/v1/rank",
        "Given items in the release's order, explained on demand.",
        RankAnswer,
        RankRequest,
        _ASKED | {422: "A value breaks a rule, or the release holds none of the items; the detail says which."},
        scope=Scope.READ,
        asks=RankRequest("u17", ["j1", "j0"], explain=True),
        answers=RankAnswer(*_NAMES, [AnsweredItem("j1", _FOUND[0].title, 0.89, 1, "given")], ["j0"], None, [_WHY]),
    ),
    Operation(
        "get",
        "/v1/items/{item_id}/similar",
        "Open items near one item.",
        SimilarAnswer,
        problems={404: "The release does not hold the item.", 422: _RULE},
        parameters=_near({}),
        scope=Scope.READ,
        answers=SimilarAnswer(*_NAMES, "j1", [AnsweredItem("j7", _FOUND[1].title, 0.97, 1, "similar")]),
    ),
    Operation("get", "/healthz", "The process is alive.", Health, answers=Health()),
    Operation(
        "get",
        "/readyz",
        "The release has answered a self-test.",
        Readiness,
        problems={503: "It has not."},
        answers=Readiness("ready", _NAMES[1], _NAMES[2], 1710, 1050),
    ),
    Operation("get", "/metrics", "Every series, in Prometheus' text format.", None, scope=Scope.READ),
    Operation("get", "/schema/openapi.json", "This document.", None, media="application/vnd.oai.openapi+json"),
)
"""Every route of a release's application; a test holds them equal."""


def document(settings: Settings) -> bytes:
    """What the edge shows as one, as JSON, OpenAPI 3.1.

    Args:
        settings: the limits that are part of the schemas.
    """
    own = {operation.path for operation in OPERATIONS}
    beside = [operation for operation in of_events.OPERATIONS if operation.path not in own]
    k = {"minimum": 1, "maximum": settings.max_k}
    asked = [one._replace(parameters=_near(k)) if one.answer is SimilarAnswer else one for one in OPERATIONS]
    summary = "Ranked lists of a work marketplace, answered by one release, and what people do with them."
    return written([*asked, *beside], summary, {**_limits(settings, k), **of_events.limits(settings)})


def _limits(settings: Settings, k: dict[str, int]) -> dict[str, dict[str, dict[str, Any]]]:
    """What the engine checks by settings, for the schemas; a document that keeps it to itself would promise too much."""
    surface = {"enum": list(SURFACES)}
    query = {"minLength": 1, "maxLength": settings.max_query_chars, "pattern": r"\S"}
    items = {"minItems": 1, "maxItems": settings.max_rank_items, "uniqueItems": True}
    return {
        "RecommendRequest": {"k": k, "surface": surface},
        "SearchRequest": {"k": k, "surface": surface, "query": query},
        "RankRequest": {"item_ids": items, "query": query, "surface": {"enum": [*SURFACES, None]}},
    }
