"""One document of what the edge shows: valid, complete, and with examples that the service would take."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from services.events import openapi as of_events
from services.openapi import Operation
from services.ranking import openapi as of_ranking
from services.settings import Settings

EDGE: dict[str, Any] = json.loads(of_ranking.document(Settings()))
COLLECTOR: dict[str, Any] = json.loads(of_events.document(Settings()))
OPERATIONS: list[Operation] = list(
    {(one.method, one.path): one for one in (*of_events.OPERATIONS, *of_ranking.OPERATIONS)}.values()
)


def described(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = EDGE["paths"][operation.path][operation.method]
    return found


def contents(operation: Operation) -> Iterator[dict[str, Any]]:
    one = described(operation)
    yield from one.get("requestBody", {"content": {}})["content"].values()
    for response in one["responses"].values():
        yield from response["content"].values()


@pytest.mark.parametrize("document", [EDGE, COLLECTOR], ids=["edge", "collector"])
def test_the_document_is_valid(document: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_the_edges_document_holds_every_route_of_both_applications() -> None:
    held = {(method, path) for path, methods in EDGE["paths"].items() for method in methods}
    assert held == {(one.method, one.path) for one in OPERATIONS}
    assert set(COLLECTOR["paths"]) <= set(EDGE["paths"])


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [described(one)["operationId"] for one in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in names)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_an_operation_says_which_token_it_needs_and_how_it_refuses(operation: Operation) -> None:
    one = described(operation)
    assert one["security"] == ([{"token": [operation.scope]}] if operation.scope else [])
    statuses = set(one["responses"])
    assert ({"401", "403"} <= statuses) is (operation.scope is not None)
    if operation.path.startswith("/v1/"):
        assert {"429", "503"} <= statuses
        assert {"Retry-After"} == set(one["responses"]["429"]["headers"]) - {"X-Request-Id"}
        assert {"Retry-After"} == set(one["responses"]["503"]["headers"]) - {"X-Request-Id"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_every_example_fits_its_schema(operation: Operation) -> None:
    for content in contents(operation):
        if "example" in content:
            schema = {**content["schema"], "components": EDGE["components"]}
            jsonschema.Draft202012Validator(schema).validate(content["example"])


def test_every_operation_with_a_body_or_an_answer_of_a_person_has_an_example() -> None:
    with_body = [one for one in OPERATIONS if one.body]
    assert [one.path for one in with_body if one.asks is None or one.answers is None] == []


def test_the_limits_are_those_of_the_settings() -> None:
    schemas = json.loads(of_ranking.document(Settings(max_k=7, max_events=9)))["components"]["schemas"]
    assert schemas["RecommendRequest"]["properties"]["k"]["maximum"] == 7
    assert schemas["Batch"]["properties"]["events"]["maxItems"] == 9
