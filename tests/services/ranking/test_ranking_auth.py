"""Which token opens which route of a release."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from rankloop.bundle import Bundle
from rankloop.errors import SettingsError
from services.auth import Scope, digest
from services.ranking.app import build_app
from services.ranking.engine import Engine
from services.settings import Settings

TOKENS = {scope: f"rl_{scope.value:x<43}" for scope in Scope}
ROUTES = {
    "/v1/recommend": {"user_id": "logo-u3"},
    "/v1/search": {"query": "logo"},
    "/v1/rank": {"user_id": "logo-u3", "item_ids": ["logo-i1"]},
    "/v1/items/logo-i1/similar": None,
    "/metrics": None,
}


@pytest.fixture(scope="module")
def guarded(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    text = ",".join(f"{scope.value}:{scope.value}:{digest(token)}" for scope, token in TOKENS.items())
    settings = Settings.read(home=tmp_path_factory.mktemp("home"), tokens_sha256=text)
    return build_app(Engine(bundle, settings), settings)


@pytest.fixture(scope="module")
def client(guarded: Litestar) -> Iterator[TestClient]:
    with TestClient(guarded) as client:
        yield client


def status(client: TestClient, route: str, scope: Scope | None) -> int:
    headers = {"authorization": f"Bearer {TOKENS[scope]}"} if scope else {}
    body = ROUTES.get(route)
    answer = client.post(route, json=body, headers=headers) if body else client.get(route, headers=headers)
    return answer.status_code


@pytest.mark.parametrize("route", ROUTES)
def test_what_a_release_answers_needs_the_scope_read(client: TestClient, route: str) -> None:
    assert [status(client, route, scope) for scope in (None, *Scope)] == [401, 200, 403, 403]


@pytest.mark.parametrize("route", ["/healthz", "/readyz", "/schema/openapi.json"])
def test_health_and_the_document_are_open(client: TestClient, route: str) -> None:
    assert status(client, route, None) == 200


def test_every_route_says_what_it_needs(guarded: Litestar) -> None:
    handlers = [handler for route in guarded.routes for handler in getattr(route, "route_handlers", [])]
    assert [str(handler) for handler in handlers if "OPTIONS" not in handler.http_methods and "scope" not in handler.opt] == []


def test_a_refusal_is_a_problem_that_names_the_remedy_and_no_token(client: TestClient) -> None:
    answer = client.post("/v1/recommend", json={"user_id": "u"}, headers={"authorization": f"Bearer {TOKENS[Scope.EVENTS]}"})
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["detail"] == (
        "the token 'events' has no scope 'read'; use one made with `rankloop tokens create --scope read`"
    )
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


def test_a_refused_request_is_refused_before_its_body_is_read(client: TestClient) -> None:
    assert client.post("/v1/recommend", content="no JSON").status_code == 401


def test_a_release_with_broken_tokens_does_not_open(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_text(json.dumps({"tokens": [{"name": "a"}]}))
    settings = Settings.read(home=tmp_path)
    with pytest.raises(SettingsError, match=r"tokens\.json"):
        build_app(Engine(bundle, settings), settings)
