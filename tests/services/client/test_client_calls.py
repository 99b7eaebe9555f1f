"""What each method sends, and what a client brings with it."""

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankloop import __version__
from rankloop.errors import DataError
from services.client import AsyncClient, Client
from services.client.calls import Call, rank, recommend, search
from services.ranking.schemas import RankRequest
from tests.services.client.conftest import ANSWER

Open = Callable[..., Any]
RECEIPT = {"receipt_id": "e1", "state": "pending", "erased_at": "2026-05-01T00:00:00+00:00", "places": []}
STATE = {"user_id": "u", "acts": [], "counts": {}, "session_began": None, "session_events": 0, "erased_at": None}
NEAR = {name: value for name, value in ANSWER.items() if name != "fallback"}
RANKED = {**ANSWER, "unknown_items": ["x"], "explanations": None}
READY = {"status": "ready", "release_id": "r", "as_of": "2026-05-01T00:00:00+00:00", "items": 1, "users": 1}
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], str, str, Any, Any]] = [
    ("recommend", ("u",), {}, "POST", "/v1/recommend", {"user_id": "u", "k": 10, "surface": "job_feed"}, ANSWER),
    ("search", ("a b",), {"k": 2}, "POST", "/v1/search",
     {"query": "a b", "user_id": None, "k": 2, "surface": "job_search"}, ANSWER),
    ("rank", ("u", ("j1", "j2")), {"explain": True}, "POST", "/v1/rank",
     {"user_id": "u", "item_ids": ["j1", "j2"], "query": None, "explain": True, "surface": None}, RANKED),
    ("similar", ("j/1 ?#ä",), {"k": 3}, "GET", "/v1/items/j%2F1%20%3F%23%C3%A4/similar?k=3", None, {**NEAR, "item_id": "j"}),
    ("similar", ("..",), {}, "GET", "/v1/items/%2E%2E/similar?k=10", None, {**NEAR, "item_id": ".."}),
    ("delete_user", ("u/1",), {}, "DELETE", "/v1/users/u%2F1", None, RECEIPT),
    ("receipt", ("e1",), {}, "GET", "/v1/receipts/e1", None, RECEIPT),
    ("user_state", ("u",), {}, "GET", "/v1/users/u/state", None, STATE),
    ("ready", (), {}, "GET", "/readyz", None, READY),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "named", "method", "path", "body", "answer"), CASES, ids=lambda v: str(v)[:20])
def test_a_method_asks_what_the_service_takes_and_reads_what_it_says(
    toy: Any, open_client: Open, name: str, given: Any, named: Any, method: str, path: str, body: Any, answer: Any
) -> None:
    toy.plan = [(202 if method == "DELETE" else 200, answer)]
    said = getattr(open_client(toy.url), name)(*given, **named)
    assert [(one[0], one[1], one[3]) for one in toy.asked] == [(method, path, body)]
    assert {field: getattr(said, field) for field in answer if field != "items"} == {
        field: value for field, value in answer.items() if field != "items"
    }


@pytest.mark.parametrize(("token", "variable", "sent"), [
    (None, "", None), (None, "rl_env", "Bearer rl_env"), ("rl_mine", "rl_env", "Bearer rl_mine"), ("", "rl_env", None),
])  # fmt: skip
def test_the_token_is_the_given_one_or_that_of_the_environment(
    toy: Any, open_client: Open, monkeypatch: pytest.MonkeyPatch, token: str | None, variable: str, sent: str | None
) -> None:
    monkeypatch.setenv("RANKLOOP_TOKEN", variable)
    open_client(toy.url, token=token).recommend("u")
    assert toy.asked[0][2].get("authorization") == sent
    assert toy.asked[0][2]["user-agent"] == f"rankloop/{__version__}"


def test_a_token_that_was_copied_with_a_line_break_is_refused_without_being_shown(open_client: Open) -> None:
    with pytest.raises(DataError) as told:
        open_client("http://127.0.0.1:1", token="rl_secret\n")
    assert "secret" not in str(told.value)


def test_the_request_id_and_the_unit_travel_as_headers(toy: Any, open_client: Open) -> None:
    open_client(toy.url).recommend("u", request_id="shop-1", unit="Zoë")
    headers = toy.asked[0][2]
    assert headers["x-request-id"] == "shop-1"
    assert headers["x-rankloop-unit"].encode("latin-1").decode() == "Zoë"


@pytest.mark.parametrize(
    "named", [{"request_id": ""}, {"request_id": "a b"}, {"unit": ""}, {"unit": "a\r\nb: c"}, {"unit": " a"}]
)
def test_what_no_header_can_hold_is_refused_before_it_is_sent(toy: Any, open_client: Open, named: dict[str, str]) -> None:
    with pytest.raises(DataError, match=next(iter(named))):
        open_client(toy.url).recommend("u", **named)
    assert toy.asked == []


def test_a_path_in_the_address_is_kept(toy: Any, open_client: Open) -> None:
    open_client(f"{toy.url}/blue/").recommend("u")
    assert toy.asked[0][1] == "/blue/v1/recommend"


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    def shape(kind: type) -> dict[str, Any]:
        members = inspect.getmembers(kind, inspect.isfunction)
        return {name: inspect.signature(method) for name, method in members if name[0] != "_" and "close" not in name}

    assert shape(Client) == shape(AsyncClient)
    assert set(shape(Client)) == {case[0] for case in CASES} | {"send_events"}


def test_a_client_closes_its_connections_at_the_end_of_a_block(toy: Any) -> None:
    with Client(toy.url) as client:
        client.recommend("u")
    with pytest.raises(RuntimeError, match="closed"):
        client.recommend("u")


def test_a_call_is_the_same_whatever_client_makes_it() -> None:
    calls: list[Call[Any]] = [
        recommend("u", 3, "job_feed", "r", None),
        search("q", None, 3, "job_search", "r", None),
        rank(RankRequest("u", ["j"]), "r", None),
    ]
    assert [call.path for call in calls] == ["/v1/recommend", "/v1/search", "/v1/rank"]


def test_importing_the_client_loads_nothing_that_an_application_would_not_want(root: Path) -> None:
    unwanted = ("ray", "kfp", "litestar", "numpy", "polars", "bentoml", "prometheus_client", "pydantic", "uvicorn")
    code = f"import sys, services.client; print(*[name for name in {unwanted!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
