"""The HTTP edge: answers, and for bad input the right status and a sentence."""

import json
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from litestar.testing import TestClient

from rankloop.bundle import Bundle
from services.events.spool import Position, SpoolReader, SpoolWriter
from services.ranking.app import build_app
from services.ranking.engine import Engine
from services.ranking.openapi import OPERATIONS, document
from services.settings import Settings


@pytest.fixture(scope="module")
def client(bundle: Bundle) -> Iterator[TestClient]:
    settings = Settings(max_body_bytes=262_144, budget_ms=60_000)
    engine = Engine(bundle, settings, clock=lambda: Engine(bundle, settings).moment())
    with TestClient(build_app(engine, settings)) as client:
        yield client


def test_a_list_names_its_request_its_release_and_every_item(client: TestClient, bundle: Bundle) -> None:
    answer = client.post("/v1/recommend", json={"user_id": "logo-u3", "k": 5}).json()
    assert answer["release_id"] == bundle.manifest.release_id
    assert re.fullmatch(r"[0-9a-f]{16}", answer["request_id"])
    assert answer["fallback"] is None
    assert [item["position"] for item in answer["items"]] == [1, 2, 3, 4, 5]
    assert all(item["title"] and item["source"] for item in answer["items"])


def test_the_callers_request_id_comes_back_in_body_and_header(client: TestClient) -> None:
    answer = client.post("/v1/recommend", json={"user_id": "logo-u3"}, headers={"X-Request-Id": "a-1.b:2"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "a-1.b:2"


def test_a_problem_has_a_request_id_too(client: TestClient) -> None:
    answer = client.get("/nowhere")
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


def test_a_whole_number_may_be_written_with_a_point(client: TestClient) -> None:
    answer = client.post("/v1/recommend", content=b'{"user_id": "logo-u3", "k": 2.0}')
    assert len(answer.json()["items"]) == 2
    refused = client.post("/v1/recommend", content=b'{"user_id": "logo-u3", "k": 2.5}')
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("k: expected `int`, got `float`")


def test_an_unknown_user_is_answered_and_told_why_less(client: TestClient) -> None:
    answer = client.post("/v1/recommend", json={"user_id": "nobody"})
    assert answer.status_code == 200
    assert answer.json()["items"]
    assert answer.json()["fallback"] == "unknown user: popular and lexical candidates only"


def test_a_search_needs_no_user(client: TestClient) -> None:
    answer = client.post("/v1/search", json={"query": "boiler leak"}).json()
    assert answer["items"]
    assert answer["fallback"] is None


def test_unknown_items_are_listed_and_the_others_ranked(client: TestClient) -> None:
    body = {"user_id": "logo-u3", "item_ids": ["x", "logo-i1", "y", "tax-i1", "plumbing-i1"]}
    answer = client.post("/v1/rank", json=body)
    known = {"logo-i1", "plumbing-i1"}
    assert answer.json()["unknown_items"] == ["x", "y", "tax-i1"]
    assert {item["item_id"] for item in answer.json()["items"]} == known
    assert {item["source"] for item in answer.json()["items"]} == {"given"}
    assert answer.json()["explanations"] is None


def test_an_explanation_is_sorted_and_sums_to_the_score(client: TestClient) -> None:
    body = {"user_id": "logo-u3", "item_ids": ["logo-i1", "plumbing-i1"], "explain": True, "query": "logo"}
    answer = client.post("/v1/rank", json=body).json()
    for item, why in zip(answer["items"], answer["explanations"], strict=True):
        shares = [row["contribution"] for row in why["contributions"]]
        assert why["item_id"] == item["item_id"]
        assert shares == sorted(shares, key=abs, reverse=True)
        assert sum(shares) + why["constant"] == pytest.approx(item["score"], abs=1e-4)


def test_similar_items_leave_out_the_item_itself(client: TestClient) -> None:
    answer = client.get("/v1/items/logo-i1/similar?k=3").json()
    assert answer["item_id"] == "logo-i1"
    assert 1 <= len(answer["items"]) <= 3
    assert "logo-i1" not in {item["item_id"] for item in answer["items"]}


USER = {"user_id": "logo-u3"}
BAD = [
    ("k of 0", "POST", "/v1/recommend", {**USER, "k": 0}, 422, "from 1 to 200"),
    ("k of -1", "POST", "/v1/recommend", {**USER, "k": -1}, 422, "k is -1"),
    ("k of 10,000", "POST", "/v1/recommend", {**USER, "k": 10_000}, 422, "from 1 to 200"),
    ("a huge k", "POST", "/v1/recommend", {**USER, "k": 10**30}, 422, "from 1 to 200"),
    ("k as text", "POST", "/v1/recommend", {**USER, "k": "3"}, 422, "k: expected `int`, got `str`"),
    ("k as a fraction", "POST", "/v1/recommend", {**USER, "k": 2.5}, 422, "k: expected `int`, got `float`"),
    ("k as a truth", "POST", "/v1/recommend", {**USER, "k": True}, 422, "k: expected `int`, got `bool`"),
    ("no user", "POST", "/v1/recommend", {}, 422, "missing required field `user_id`"),
    ("an empty user", "POST", "/v1/recommend", {"user_id": ""}, 422, "user_id: expected `str` of length >= 1"),
    ("a long user", "POST", "/v1/recommend", {"user_id": "u" * 257}, 422, "user_id: expected `str` of length <= 256"),
    ("a user as number", "POST", "/v1/recommend", {"user_id": 7}, 422, "user_id: expected `str`, got `int`"),
    ("a user as null", "POST", "/v1/recommend", {"user_id": None}, 422, "user_id: expected `str`, got `null`"),
    ("another field", "POST", "/v1/recommend", {**USER, "limit": 3}, 422, "unknown field `limit`"),
    ("a list for an object", "POST", "/v1/recommend", [], 422, "expected `object`, got `array`"),
    ("an unknown surface", "POST", "/v1/recommend", {**USER, "surface": "attic"}, 422, "surface is 'attic'"),
    ("no JSON", "POST", "/v1/recommend", b"{", 400, "the body is not JSON"),
    ("no body", "POST", "/v1/recommend", b"", 400, "the body is not JSON"),
    ("no UTF-8", "POST", "/v1/recommend", b'{"user_id": "\xff"}', 400, "the body is not JSON"),
    ("a deep body", "POST", "/v1/recommend", b"[" * 100_000, 422, "expected `object`, got `array`"),
    (
        "a deep field behind a fraction",
        "POST",
        "/v1/recommend",
        b'{"k": 1.5, "user_id": ' + b"[" * 100_000,
        422,
        "k: expected `int`",
    ),
    ("a deep field", "POST", "/v1/recommend", b'{"user_id": "u", "k": ' + b"[" * 100_000, 422, "k: expected `int`, got `array`"),
    ("1 MB", "POST", "/v1/recommend", b" " * 2**20, 413, "larger than 262144 bytes"),
    ("an empty query", "POST", "/v1/search", {"query": ""}, 422, "query is empty"),
    ("a blank query", "POST", "/v1/search", {"query": " \t\n"}, 422, "query is empty"),
    ("a long query", "POST", "/v1/search", {"query": "q" * 501}, 422, "query has 501 characters; the limit is 500"),
    ("a query as list", "POST", "/v1/search", {"query": ["a"]}, 422, "query: expected `str`, got `array`"),
    ("nothing to rank", "POST", "/v1/rank", {**USER, "item_ids": []}, 422, "item_ids has 0 items"),
    ("too much to rank", "POST", "/v1/rank", {**USER, "item_ids": [f"i{n}" for n in range(1001)]}, 422, "from 1 to 1000"),
    ("an item twice", "POST", "/v1/rank", {**USER, "item_ids": ["a", "b", "a"]}, 422, "names 'a' more than once"),
    ("only unknown items", "POST", "/v1/rank", {**USER, "item_ids": ["a", "b"]}, 422, "knows none of the 2 items"),
    ("an item as number", "POST", "/v1/rank", {**USER, "item_ids": ["a", 2]}, 422, "item_ids[1]: expected `str`, got `int`"),
    ("explain as text", "POST", "/v1/rank", {**USER, "item_ids": ["a"], "explain": "yes"}, 422, "explain: expected `bool`"),
    ("an unknown item", "GET", "/v1/items/nothing/similar", None, 404, "does not hold item 'nothing'"),
    ("similar, k of 0", "GET", "/v1/items/logo-i1/similar?k=0", None, 422, "from 1 to 200"),
    ("similar, k as text", "GET", "/v1/items/logo-i1/similar?k=ten", None, 422, "k is 'ten'"),
    ("an unknown route", "GET", "/v2/recommend", None, 404, "there is no '/v2/recommend'"),
    ("the wrong method", "GET", "/v1/recommend", None, 405, "use POST"),
    ("the wrong method on an item", "DELETE", "/v1/items/logo-i1/similar", None, 405, "use GET"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_gets_its_status_and_a_sentence(
    client: TestClient, method: str, path: str, body: object, status: int, says: str
) -> None:
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    answer = client.request(method, path, content=content)
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert says in problem["detail"]
    assert set(problem) == {"status", "title", "detail", "request_id"}
    assert "Traceback" not in answer.text


def test_a_request_id_that_no_log_could_hold_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/recommend", json=USER, headers={"X-Request-Id": "a b"})
    assert answer.status_code == 422
    assert "X-Request-Id is 'a b'" in answer.json()["detail"]
    assert client.get("/healthz", headers={"X-Request-Id": "a b"}).status_code == 200


def test_an_error_of_ours_is_told_without_its_trace(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(bundle, Settings())
    monkeypatch.setattr(engine, "recommend", lambda *_, **__: 1 / 0)
    with TestClient(build_app(engine, Settings()), raise_server_exceptions=False) as client:
        answer = client.post("/v1/recommend", json=USER)
    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text
    assert answer.json()["request_id"] in answer.json()["detail"]


def test_alive_and_ready_are_two_things(client: TestClient, bundle: Bundle) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["release_id"]) == ("ready", bundle.manifest.release_id)
    assert ready["items"] == len(bundle.catalogue)


def test_a_release_with_nothing_to_show_is_alive_but_not_ready(bundle: Bundle) -> None:
    settings = Settings(stale_days=10_000, budget_ms=60_000)
    engine = Engine(bundle, settings, clock=lambda: Engine(bundle, settings).moment() - timedelta(days=0))
    nothing = Engine(bundle, settings, clock=engine.moment)
    nothing.moment = lambda: engine.moment() - timedelta(days=9_000)  # type: ignore[method-assign]  # before any item
    with TestClient(build_app(nothing, settings)) as client:
        assert client.get("/healthz").status_code == 200
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "has nothing to show" in answer.json()["detail"]


def test_time_spent_before_the_replica_counts(bundle: Bundle) -> None:
    settings = Settings(budget_ms=1_000)
    with TestClient(build_app(Engine(bundle, settings), settings)) as client:
        body = {"user_id": "logo-u5"}
        since = {"X-Request-Start": f"t={time.time_ns() // 1_000 - 1_500_000}"}
        late = client.post("/v1/recommend", json=body, headers=since).json()
        assert late["fallback"] == "no time: popular list"
        hopeless = client.post("/v1/recommend", json=body, headers={"X-Request-Start": "t=1"})
        assert (hopeless.status_code, hopeless.headers["retry-after"]) == (503, "1")
        assert "20 times the budget of 1000 ms" in hopeless.json()["detail"]
        strange = client.post("/v1/recommend", json=body, headers={"X-Request-Start": "yesterday"})
        assert strange.status_code == 200


@pytest.mark.parametrize(("headers", "logged"), [({}, 1), ({"X-Rankloop-Part": "1"}, 0)])
def test_what_another_program_asks_for_is_no_impression(
    bundle: Bundle, tmp_path: Path, headers: dict[str, str], logged: int
) -> None:
    spool = SpoolWriter(tmp_path, fsync="never", max_bytes=1 << 20, when_full="refuse")
    settings = Settings(budget_ms=60_000)
    with TestClient(build_app(Engine(bundle, settings, impressions=spool), settings)) as client:
        assert client.post("/v1/recommend", json={"user_id": "logo-u5"}, headers=headers).status_code == 200
    spool.close()
    reader = SpoolReader(tmp_path)
    assert len(list(reader.read(reader.writers()[0], Position(1, 0)))) == logged


def test_every_series_of_a_request_is_counted(client: TestClient) -> None:
    client.post("/v1/recommend", json={"user_id": "nobody", "k": 2})
    client.get("/secret/path")
    text = client.get("/metrics").text
    assert 'rankloop_http_requests_total{method="POST",route="/v1/recommend",status="200"}' in text
    assert 'rankloop_http_requests_total{method="any",route="none",status="404"}' in text
    assert 'rankloop_fallbacks_total{reason="unknown user: popular and lexical candidates only",surface="job_feed"}' in text
    assert 'rankloop_http_request_duration_seconds_count{route="/v1/recommend"}' in text
    assert "secret" not in text


def test_the_document_describes_exactly_the_routes(client: TestClient) -> None:
    routes = {
        (method.lower(), re.sub(r":\w+}", "}", route.path))
        for route in client.app.routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS"
    }
    assert routes == {(operation.method, operation.path) for operation in OPERATIONS}


def test_the_document_is_served_and_its_references_resolve(client: TestClient) -> None:
    served = client.get("/schema/openapi.json")
    assert served.content == document(Settings())
    schemas = served.json()["components"]["schemas"]
    assert {ref.rsplit("/", 1)[1] for ref in re.findall(r"#/components/schemas/\w+", served.text)} <= set(schemas)
    assert served.json()["paths"]["/v1/rank"]["post"]["requestBody"]["required"] is True


def test_every_answer_fits_the_document(client: TestClient) -> None:
    schemas = client.get("/schema/openapi.json").json()["components"]["schemas"]
    answer = client.post("/v1/recommend", json=USER).json()
    assert set(answer) == set(schemas["Answer"]["properties"])
    assert set(answer["items"][0]) == set(schemas["AnsweredItem"]["properties"])


def test_nothing_of_one_machine_is_in_the_document() -> None:
    assert str(Path.home()) not in document(Settings()).decode()
