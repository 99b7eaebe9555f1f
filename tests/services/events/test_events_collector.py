"""The collector: what it acknowledges is in the spool, and what it cannot keep it refuses."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from monitoring.metrics import EventMetrics
from rankloop.errors import StateUnavailable
from rankloop.request import microseconds
from rankloop.state import Act, Session, UserState
from services.auth import Scope, TokenEntry, Tokens, digest
from services.events import collector
from services.events.collector import build_collector, open_collector
from services.events.openapi import OPERATIONS, document
from services.events.records import ErasureRecord, EventRecord, Record, RejectedRecord, decode
from services.events.spool import Position, SpoolReader, SpoolWriter
from services.settings import Settings

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
NOW = microseconds(NOON)
EVENT = {"event_id": "e1", "user_id": "u1", "item_id": "i1", "kind": "click"}


class Known:
    """A store that knows one person, and another whom it cannot tell of."""

    def user(self, user_id: str) -> UserState | None:
        if user_id == "unreachable":
            raise StateUnavailable("the online store at 10.0.0.7 does not answer")
        state = UserState(
            (Act("i1", "click", NOW - 9), Act("i2", "save", NOW)), {"click": 5, "save": 1}, Session(NOW - 9, NOW, 2)
        )
        return state if user_id == "u1" else UserState(erased_at=NOW) if user_id == "gone" else None

    def close(self) -> None:
        pass


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Starts collectors in this process."""
    clients = []

    def start(*, max_bytes: int = 1 << 20, tokens: tuple[TokenEntry, ...] = (), **given: Any) -> TestClient:
        writer = SpoolWriter(tmp_path / "spool" / "events", fsync="always", max_bytes=max_bytes, when_full="refuse")
        app = build_collector(
            Settings(home=tmp_path, **given),
            writer=writer,
            store=Known(),
            tokens=Tokens(tokens, tmp_path / "tokens.json"),
            metrics=EventMetrics(process=False),
            clock=lambda: NOW * 1000,
        )
        clients.append(TestClient(app))
        return clients[-1].__enter__()

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(started: Callable[..., TestClient]) -> TestClient:
    return started()


def kept(home: Path) -> list[Record]:
    """Every record in the spool."""
    reader = SpoolReader(home / "spool" / "events")
    found = (reader.read(writer, Position(0, 0), limit_bytes=1 << 40) for writer in reader.writers())
    return [record for frames in found for _, frame in frames for record in decode(frame)]


def test_what_is_acknowledged_is_in_the_spool(client: TestClient, tmp_path: Path) -> None:
    answer = client.post("/v1/events", json={"events": [EVENT, {**EVENT, "event_id": "e2", "kind": "look"}]})
    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 1,
        "rejected": [{"index": 1, "event_id": "e2", "reason": "kind: invalid enum value 'look'"}],
    }
    accepted, rejected = kept(tmp_path)
    assert accepted == EventRecord("e1", NOW, NOW, "u1", "i1", "click", None, None)
    assert isinstance(rejected, RejectedRecord)


def test_the_guides_example_is_answered_as_it_says(client: TestClient, root: Path) -> None:
    guide = (root / "docs" / "guides" / "events.md").read_text(encoding="utf-8")
    (asked,), (answered,) = re.findall(r"/v1/events -d '([^']*)'", guide), re.findall(r"```json\n(.*?)```", guide, re.DOTALL)
    assert client.post("/v1/events", content=asked.encode()).json() == json.loads(answered)


def test_a_batch_is_one_frame(client: TestClient, tmp_path: Path) -> None:
    client.post("/v1/events", json={"events": [{**EVENT, "event_id": str(n)} for n in range(1000)]})
    reader = SpoolReader(tmp_path / "spool" / "events")
    (writer,) = reader.writers()
    assert [len(decode(frame)) for _, frame in reader.read(writer, Position(0, 0))] == [1000]


def test_an_empty_batch_writes_nothing(client: TestClient, tmp_path: Path) -> None:
    assert client.post("/v1/events", json={"events": []}).json() == {"accepted": 0, "rejected": []}
    assert kept(tmp_path) == []


BAD: list[tuple[str, str, str, object, int, str]] = [
    ("no JSON", "POST", "/v1/events", b"{", 400, "the body is not JSON"),
    ("a deep body", "POST", "/v1/events", b'{"events": [' + b"[" * 4000, 400, "nested too deeply"),
    ("no batch", "POST", "/v1/events", [], 422, "the body: expected `object`, got `array`"),
    ("too many", "POST", "/v1/events", {"events": [EVENT] * 11}, 422, "has 11 events; at most 10"),
    ("too large", "POST", "/v1/events", b" " * 5000, 413, "larger than 4096 bytes"),
    ("the wrong method", "GET", "/v1/events", None, 405, "use POST"),
    ("an unknown receipt", "GET", "/v1/receipts/nothing", None, 404, "there is no receipt 'nothing'"),
    ("a file as receipt", "GET", "/v1/receipts/..%2Fkey", None, 404, "there is no"),
    ("a person without a state", "GET", "/v1/users/u2/state", None, 404, "nothing is known of user 'u2'"),
    ("a long user", "DELETE", f"/v1/users/{'u' * 257}", None, 422, "user_id has 257 characters"),
    ("a user of no text", "DELETE", "/v1/users/%ff", None, 422, "user_id is not UTF-8"),
    ("nobody", "DELETE", "/v1/users/", None, 404, "there is no '/v1/users/'"),
    (
        "a store that is gone",
        "GET",
        "/v1/users/unreachable/state",
        None,
        503,
        "the online store does not answer; ask again later",
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_gets_its_status_and_a_sentence(
    started: Callable[..., TestClient], tmp_path: Path, method: str, path: str, body: object, status: int, says: str
) -> None:
    client = started(max_events=10, max_events_bytes=4096)
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    answer = client.request(method, path, content=content)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert says in answer.json()["detail"]
    assert "10.0.0.7" not in answer.text
    assert kept(tmp_path) == []


def test_a_full_spool_refuses_the_whole_batch_and_says_when_to_come_again(
    started: Callable[..., TestClient], tmp_path: Path
) -> None:
    client = started(max_bytes=300)
    statuses = [client.post("/v1/events", json={"events": [{**EVENT, "event_id": str(n)}]}).status_code for n in range(20)]
    taken = statuses.count(200)
    assert statuses == [200] * taken + [503] * (20 - taken)
    assert len(kept(tmp_path)) == taken > 0
    answer = client.post("/v1/events", json={"events": [EVENT]})
    assert int(answer.headers["retry-after"]) > 0
    assert "send all of it again later" in answer.json()["detail"]
    assert str(tmp_path) not in answer.text
    assert client.get("/readyz").status_code == 200
    assert f'rankloop_spool_refused_total{{stream="events"}} {21 - taken}.0' in client.get("/metrics").text


def test_more_than_can_wait_for_the_disk_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go, sync = threading.Event(), os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: go.wait(30) and sync(fd))
    monkeypatch.setattr(collector, "_WAITING", 2)
    app = open_collector(Settings(home=tmp_path))

    async def five() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://collector") as client:
            asked = [asyncio.create_task(client.post("/v1/events", json=batch(n))) for n in range(5)]
            refused, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            while len(refused) < 3:
                refused, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(0)
            go.set()
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert sorted(asyncio.run(five())) == [200, 200, 503, 503, 503]
    app.state.writer.close()
    assert len(kept(tmp_path)) == 20


def test_every_series_is_counted(started: Callable[..., TestClient], tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with TestClient(open_collector(settings)) as client:
        client.post("/v1/events", json={"events": [EVENT, EVENT, {"kind": "save"}, {}]})
        text = client.get("/metrics").text
        assert client.get("/readyz").json()["spool_bytes"] > 0
    for outcome in ('kind="click",outcome="accepted"', 'kind="click",outcome="duplicate"', 'kind="save",outcome="rejected"'):
        assert f"rankloop_events_total{{{outcome}}} 1.0" in text
    assert 'rankloop_events_total{kind="unknown",outcome="rejected"} 1.0' in text
    assert "rankloop_event_batch_duration_seconds_count 1.0" in text
    assert 'rankloop_http_requests_total{method="POST",route="/v1/events",status="200"} 1.0' in text
    assert re.search(r'rankloop_spool_bytes{stream="events"} [1-9]', text)


# to be forgotten


@pytest.mark.parametrize("user_id", ["u1", "ü 1", "a/b", "a//b/", "50%", "%2F", "a?b#c", "x/state", "state", "."])
def test_any_person_can_be_forgotten(client: TestClient, tmp_path: Path, user_id: str) -> None:
    escaped = "".join(f"%{byte:02X}" for byte in user_id.encode())
    answer = client.delete(f"/v1/users/{escaped}")
    receipt = answer.json()
    assert answer.status_code == 202
    assert receipt == {"receipt_id": receipt["receipt_id"], "state": "pending", "erased_at": NOON.isoformat(), "places": []}
    assert kept(tmp_path) == [ErasureRecord(receipt["receipt_id"], user_id, NOW)]
    assert client.get(f"/v1/receipts/{receipt['receipt_id']}").json() == receipt


def test_a_receipt_tells_how_far_the_curator_is(client: TestClient, tmp_path: Path) -> None:
    receipt = client.delete("/v1/users/u1").json()
    file = tmp_path / "privacy" / "receipts" / f"{receipt['receipt_id']}.json"
    done = {"place": "log", "rows": 7, "done_at": NOON.isoformat(), "note": None}
    file.write_text(json.dumps({**receipt, "state": "complete", "places": [done]}))
    answer = client.get(f"/v1/receipts/{receipt['receipt_id']}").json()
    assert (answer["state"], answer["places"]) == ("complete", [done])


def test_a_demand_that_cannot_be_kept_leaves_no_receipt(started: Callable[..., TestClient], tmp_path: Path) -> None:
    answer = started(max_bytes=10).delete("/v1/users/u1")
    assert answer.status_code == 503
    assert list((tmp_path / "privacy" / "receipts").iterdir()) == []


# what is known


def test_what_is_known_of_a_person_is_shown(client: TestClient) -> None:
    assert client.get("/v1/users/u1/state").json() == {
        "user_id": "u1",
        "acts": [
            {"item_id": "i1", "kind": "click", "ts": "2026-03-04T11:59:59.999991+00:00"},
            {"item_id": "i2", "kind": "save", "ts": "2026-03-04T12:00:00+00:00"},
        ],
        "counts": {"click": 5, "save": 1},
        "session_began": "2026-03-04T11:59:59.999991+00:00",
        "session_events": 2,
        "erased_at": None,
    }
    assert client.get("/v1/users/gone/state").json()["erased_at"] == NOON.isoformat()


# tokens, and the document


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/events", Scope.EVENTS),
        ("DELETE", "/v1/users/u1", Scope.ADMIN),
        ("GET", "/v1/users/u1/state", Scope.READ),
        ("GET", "/v1/receipts/x", Scope.ADMIN),
        ("GET", "/metrics", Scope.READ),
    ],
)
def test_each_route_asks_for_its_scope(started: Callable[..., TestClient], method: str, path: str, scope: Scope) -> None:
    client = started(tokens=tuple(TokenEntry(one.value, digest(f"rl_{one.value}"), [one]) for one in Scope))
    statuses = {
        one: client.request(method, path, headers={"Authorization": f"Bearer rl_{one.value}"}).status_code for one in Scope
    }
    assert {one for one, status in statuses.items() if status != 403} == {scope}
    assert client.request(method, path).status_code == 401
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200


def test_the_document_describes_exactly_the_routes(client: TestClient) -> None:
    routes = {
        (method.lower(), re.sub(r":\w+}", "}", route.path))
        for route in client.app.routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS"
    }
    assert routes == {(operation.method, operation.path) for operation in OPERATIONS}
    assert client.get("/schema/openapi.json").content == document(Settings())


# as a process


@pytest.fixture
def run(root: Path, tmp_path: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], httpx.Client]]]:
    """Starts `python -m services.events collect`."""
    children: list[subprocess.Popen[str]] = []

    def start() -> tuple[subprocess.Popen[str], httpx.Client]:
        child = subprocess.Popen(
            [sys.executable, "-m", "services.events", "collect", "--port", "0"],
            cwd=root,
            env={**os.environ, "RANKLOOP_HOME": str(tmp_path)},
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        assert child.stderr is not None
        for line in child.stderr:
            if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", line):
                return child, httpx.Client(base_url=found[1], timeout=30)
        raise AssertionError("the collector did not start")

    yield start
    for child in children:
        child.kill()
        child.wait()


def batch(n: int) -> dict[str, Any]:
    return {"events": [{**EVENT, "event_id": f"{n}-{k}"} for k in range(10)]}


def test_no_acknowledged_event_is_lost_when_the_collector_is_killed(
    run: Callable[[], tuple[subprocess.Popen[str], httpx.Client]], tmp_path: Path
) -> None:
    child, client = run()
    acknowledged = [f"{n}-{k}" for n in range(20) for k in range(client.post("/v1/events", json=batch(n)).json()["accepted"])]
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert [record.event_id for record in kept(tmp_path) if isinstance(record, EventRecord)] == acknowledged
    assert len(acknowledged) == 200
    _, client = run()
    assert client.post("/v1/events", json=batch(20)).json()["accepted"] == 10
    assert len(kept(tmp_path)) == 210


def test_a_collector_that_is_told_to_end_seals_its_spool_and_ends_well(
    run: Callable[[], tuple[subprocess.Popen[str], httpx.Client]], tmp_path: Path
) -> None:
    child, client = run()
    client.post("/v1/events", json=batch(0))
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 0
    assert child.stderr is not None
    assert "Traceback" not in child.stderr.read()
    reader = SpoolReader(tmp_path / "spool" / "events")
    (writer,) = reader.writers()
    assert reader.sealed(writer) == reader.segments(writer) == [1]
    assert len(kept(tmp_path)) == 10


def test_it_listens_beyond_loopback_only_where_a_token_is_asked_for(root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.events", "collect", "--port", "0", "--host", "0.0.0.0"],
        cwd=root,
        env={**os.environ, "RANKLOOP_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "no token is configured" in done.stderr
    assert "Traceback" not in done.stderr
