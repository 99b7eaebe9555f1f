"""What the edge does to a request and to an answer: ids, headers, limits, errors, other slots, dead servers."""

import csv
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from services.ranking.schemas import Problem
from tests.services.certificates import self_signed
from tests.services.edge.conftest import Rig, Told, until


def assert_problem(answer: httpx.Response, status: int, says: str) -> None:
    """An error the edge makes looks like one of ours."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem(**answer.json())
    assert (problem.status, problem.request_id) == (status, answer.headers["x-request-id"])
    assert says in problem.detail
    assert ("retry-after" in answer.headers) == (status in {429, 503})
    assert len(answer.headers.get_list("x-request-id")) == 1


@pytest.mark.parametrize("given", ["abc", "a.B_c:9-", "x" * 128])
def test_a_clients_request_id_is_kept_and_returned_once(rig: Rig, given: str) -> None:
    answer = rig.recommend(headers={"X-Request-Id": given})
    assert answer.headers.get_list("x-request-id") == [given]
    assert answer.json()["headers"]["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 129, "semi;colon", "a,b"])
def test_another_request_id_is_made_by_the_edge(rig: Rig, given: str | None) -> None:
    answer = rig.recommend(headers={} if given is None else {"X-Request-Id": given})
    made = answer.headers.get_list("x-request-id")
    assert len(made) == 1
    assert made[0] != given
    assert made[0] == answer.json()["headers"]["x-request-id"]
    assert len(made[0]) == 36


def test_a_replica_learns_when_the_request_came_and_its_slot(rig: Rig) -> None:
    before = time.time()
    asked = rig.recommend(headers={"X-Request-Start": "t=1"}).json()["headers"]
    assert before - 1 <= int(asked["x-request-start"].removeprefix("t=")) / 1e6 <= time.time() + 1
    assert asked["x-rankloop-slot"] == "blue"


def test_a_client_cannot_set_what_the_edge_sets(rig: Rig) -> None:
    mine = {"X-Rankloop-Slot": "green", "X-Rankloop-Interleave": "green", "X-Rankloop-Part": "1"}
    asked = rig.recommend(headers=mine).json()["headers"]
    assert asked["x-rankloop-slot"] == "blue"
    assert "x-rankloop-interleave" not in asked
    assert "x-rankloop-part" not in asked


def test_the_inner_listener_asks_the_slot_its_path_names_and_keeps_the_part(rig: Rig) -> None:
    for slot in ("blue", "green"):
        answer = httpx.post(
            f"{rig.inner_url}/{slot}/v1/recommend", json={}, headers={"X-Rankloop-Part": "1", "X-Request-Start": "t=5"}
        )
        said = answer.json()
        assert (said["path"], answer.headers["x-rankloop-slot"]) == (f"/{slot}/v1/recommend", slot)
        assert (said["headers"]["x-rankloop-part"], said["headers"]["x-request-start"]) == ("1", "t=5")
    assert httpx.get(f"{rig.inner_url}/readyz").headers["x-rankloop-slot"] == "blue"


def test_a_path_that_names_a_slot_does_not_choose_it_in_public(rig: Rig) -> None:
    assert httpx.post(f"{rig.url}/green/v1/recommend", json={}).json()["path"] == "/blue/green/v1/recommend"


def test_the_query_reaches_the_replica(rig: Rig) -> None:
    assert httpx.get(f"{rig.url}/v1/items/a%20b/similar?k=3&x=%2F").json()["path"] == "/blue/v1/items/a%20b/similar?k=3&x=%2F"


@pytest.mark.parametrize("path", ["/v1/events", "/v1/users/u1", "/v1/users/u1/state", "/v1/receipts/r1"])
def test_events_and_people_go_to_the_collectors(rig: Rig, path: str) -> None:
    ports = {httpx.request(method, f"{rig.url}{path}", timeout=10).json()["port"] for method in ("POST", "DELETE", "GET", "GET")}
    assert ports == set(rig.edge.config.collectors)
    assert rig.serve.seen == []


def test_the_edge_answers_for_itself_at_healthz(rig: Rig) -> None:
    answer = httpx.get(f"{rig.url}/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
    assert rig.serve.seen == []


def test_a_body_that_is_too_large_is_413(rig: Rig) -> None:
    limit = rig.edge.config.max_body_bytes
    assert httpx.post(f"{rig.url}/v1/rank", content=b"x" * limit).json()["body"] == limit
    assert_problem(httpx.post(f"{rig.url}/v1/rank", content=b"x" * (limit + 1)), 413, f"larger than {limit} bytes")
    assert_problem(httpx.post(f"{rig.url}/v1/rank", content=iter([b"x" * limit, b"x"])), 413, f"larger than {limit} bytes")


def test_a_batch_of_events_has_a_limit_of_its_own(rig: Rig) -> None:
    limit = rig.edge.config.max_events_bytes
    assert httpx.post(f"{rig.url}/v1/events", content=b"x" * limit).json()["body"] == limit
    assert_problem(httpx.post(f"{rig.url}/v1/events", content=b"x" * (limit + 1)), 413, f"larger than {limit} bytes")


def test_headers_that_are_too_large_are_431(rig: Rig) -> None:
    limit = rig.edge.config.max_header_bytes
    assert_problem(rig.recommend(headers={"X-Long": "x" * limit}), 431, f"larger than {limit} bytes")


def test_what_is_no_http_is_refused(rig: Rig) -> None:
    with socket.create_connection(("127.0.0.1", rig.edge.config.http_port)) as line:
        line.sendall(b"nonsense\r\n\r\n")
        assert line.recv(1000).startswith(b"HTTP/1.1 400")


def test_a_slot_without_a_release_is_503(rig: Rig) -> None:
    rig.serve.ready["blue"] = False
    until(lambda: not rig.up("blue"), "blue is down")
    assert_problem(rig.recommend(), 503, "no replica of slot blue is ready")
    assert httpx.get(f"{rig.url}/readyz").status_code == 503


@pytest.mark.parametrize(("status", "says"), [(500, "was lost while it answered"), (404, "holds no release")])
def test_an_error_of_rays_own_becomes_a_503_of_ours(rig: Rig, status: int, says: str) -> None:
    rig.serve.told = Told(status, "text/plain", b"Internal Server Error")
    assert_problem(rig.recommend(), 503, says)


@pytest.mark.parametrize("status", [404, 422, 429, 500, 503])
def test_a_problem_of_the_release_stays_as_it_is(rig: Rig, status: int) -> None:
    rig.serve.told = Told(status, "application/problem+json", b'{"status":1}')
    answer = rig.recommend()
    assert (answer.status_code, answer.content) == (status, b'{"status":1}')


def test_a_request_that_died_with_its_replica_is_asked_again(rig: Rig) -> None:
    for broken in (1, 2, 3):
        rig.serve.break_off = broken
        assert rig.recommend().status_code == 200
    rig.serve.break_off = 4
    assert_problem(rig.recommend(), 502, "broke off")


def test_a_large_body_is_sent_again_whole(rig: Rig) -> None:
    size = rig.edge.config.max_body_bytes
    rig.serve.break_off = 1
    assert httpx.post(f"{rig.url}/v1/rank", content=b"x" * size).json()["body"] == size
    rig.collectors[0].break_off = rig.collectors[1].break_off = 1
    assert httpx.post(f"{rig.url}/v1/events", content=b"x" * size).json()["body"] == size


def test_a_slow_sender_does_not_hold_a_replica(rig: Rig) -> None:
    with socket.create_connection(("127.0.0.1", rig.edge.config.http_port)) as line:
        line.sendall(b"POST /v1/recommend HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345")
        assert rig.recommend().status_code == 200
        assert len(rig.serve.seen) == 1
        line.sendall(b"67890")
        assert line.recv(1000).startswith(b"HTTP/1.1 200")
    assert len(rig.serve.seen) == 2


def ask_many(rig: Rig, many: int) -> list[httpx.Response]:
    """Asks at once while nobody answers, until all but those under way are refused."""
    rig.serve.hold.clear()
    with ThreadPoolExecutor(many) as pool:
        asked = [pool.submit(rig.recommend, f"u{n}") for n in range(many)]
        until(lambda: sum(one.done() for one in asked) == many - rig.edge.config.serve_in_flight, "the rest is refused")
        rig.serve.hold.set()
        return [one.result() for one in asked]


def refused_at_once(answers: list[httpx.Response], limit: int) -> int:
    refused = [one for one in answers if one.status_code != 200]
    at_once = [one for one in refused if f"{limit} requests wait for a replica already" in one.text]
    for one in refused:
        assert_problem(one, 503, "wait for a replica already" if one in at_once else "every replica is busy")
    return len(at_once)


def test_a_burst_may_wait_and_what_is_beyond_it_is_refused(start_rig: Callable[..., Rig]) -> None:
    rig = start_rig(queued=2, queued_burst=8, burst_ms=10_000, queue_ms=2_000)
    answers = ask_many(rig, 20)
    assert sum(one.status_code == 200 for one in answers) == rig.edge.config.serve_in_flight
    assert refused_at_once(answers, 8) >= 20 - rig.edge.config.serve_in_flight - 8 - 1
    assert rig.recommend().status_code == 200


def test_a_queue_that_stays_is_kept_short(start_rig: Callable[..., Rig]) -> None:
    rig = start_rig(queued=2, queued_burst=8, burst_ms=1, queue_ms=3_000)
    rig.serve.hold.clear()
    with ThreadPoolExecutor(20) as pool:
        first = [pool.submit(rig.recommend, f"u{n}") for n in range(8)]
        until(lambda: len(rig.serve.seen) == 4, "four are under way")
        until(lambda: queued(rig) >= 2, "two wait")
        time.sleep(0.01)
        later = [pool.submit(rig.recommend, f"v{n}") for n in range(6)]
        until(lambda: all(one.done() for one in later), "the later ones are refused")
        rig.serve.hold.set()
        assert refused_at_once([one.result() for one in later], 2) == 6
        assert sum(one.result().status_code == 200 for one in first) >= 4 + 2
    assert rig.recommend().status_code == 200


def queued(rig: Rig) -> int:
    """How many wait for the blue slot."""
    rows = csv.DictReader(rig.edge.admin.command("show stat -1 6 -1").removeprefix("# ").splitlines())
    return sum(int(row["qcur"] or 0) for row in rows if row["pxname"] == "blue")


def test_the_other_slot_has_its_own_queue(rig: Rig) -> None:
    rig.serve.hold.clear()
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(rig.recommend, f"u{n}") for n in range(8)]
        until(lambda: len(rig.serve.seen) == rig.edge.config.serve_in_flight, "blue is full")
        green = pool.submit(httpx.post, f"{rig.inner_url}/green/v1/recommend", json={}, timeout=20)
        until(lambda: any(one["path"].startswith("/green") for one in rig.serve.seen), "green is asked")
        rig.serve.hold.set()
        assert green.result().status_code == 200
        assert {one.result().status_code for one in asked} <= {200, 503}


def test_one_collector_is_enough(rig: Rig) -> None:
    dead, alive = rig.collectors
    dead.stop()
    try:
        answers = [httpx.post(f"{rig.url}/v1/events", content=b"{}", timeout=20) for _ in range(6)]
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.json()["port"] for answer in answers} == {alive.port}
    finally:
        dead.start()


def test_a_collector_that_refuses_is_not_the_last_word(rig: Rig) -> None:
    rig.collectors[0].told = Told(503)
    assert {httpx.post(f"{rig.url}/v1/events").status_code for _ in range(6)} == {200}


def test_the_series_are_on_a_port_of_their_own(rig: Rig) -> None:
    rig.recommend()
    text = httpx.get(f"http://127.0.0.1:{rig.edge.config.metrics_port}/metrics").text
    assert 'haproxy_backend_http_responses_total{proxy="blue",code="2xx"}' in text
    assert 'haproxy_backend_active_servers{proxy="collectors"} 2' in text
    assert "server=" not in text


def test_the_log_tells_neither_query_nor_token(rig: Rig) -> None:
    rig.serve.told = Told(500, "text/plain", b"")
    httpx.get(
        f"{rig.url}/v1/items/i1/similar?secret=what-i-typed",
        headers={"Authorization": "Bearer rl_token", "X-Request-Id": "find-me"},
    )
    log = rig.edge.folder / "edge.log"
    until(lambda: "find-me" in log.read_text(), "the line is written")
    assert "/v1/items/i1/similar find-me" in log.read_text()
    assert "what-i-typed" not in log.read_text()
    assert "rl_token" not in log.read_text()


def test_a_client_that_asks_too_often_is_429_and_another_is_not(start_rig: Callable[..., Rig]) -> None:
    rig = start_rig(client_rate=2)
    mine = {"Authorization": "Bearer rl_mine"}
    answers = [rig.recommend(headers=mine) for _ in range(22)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429] * 2
    assert_problem(answers[-1], 429, "more than 2 requests a second")
    assert rig.recommend(headers={"Authorization": "Bearer rl_other"}).status_code == 200
    assert rig.recommend().status_code == 200
    assert httpx.get(f"{rig.url}/healthz", headers=mine).status_code == 200


def test_an_address_with_too_many_connections_is_429_then_unheard(start_rig: Callable[..., Rig]) -> None:
    rig = start_rig(client_connections=3)
    address = ("127.0.0.1", rig.edge.config.http_port)
    idle = [socket.create_connection(address) for _ in range(3)]
    until(lambda: "conn_cur=3" in rig.edge.admin.command("show table sources"), "three are counted")
    assert_problem(rig.recommend(), 429, "more than 3 connections from one address")
    idle += [socket.create_connection(address) for _ in range(3)]
    with pytest.raises(httpx.TransportError):
        rig.recommend()
    for one in idle:
        one.close()
    until(lambda: "conn_cur=0" in rig.edge.admin.command("show table sources"), "none is left")
    assert rig.recommend().status_code == 200


def test_no_limit_is_no_table(start_rig: Callable[..., Rig]) -> None:
    rig = start_rig(client_rate=0, client_connections=0, log_every_request=True)
    assert rig.recommend(headers={"X-Request-Id": "logged"}).status_code == 200
    until(lambda: "/v1/recommend logged" in (rig.edge.folder / "edge.log").read_text(), "an answer is logged")
    assert "stick-table" not in rig.edge.file.read_text()


def certificate(folder: Path, name: str) -> Path:
    key, own = self_signed(folder, name)
    made = folder / "edge.pem"
    made.write_text(own.read_text() + key.read_text())
    return made


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_with_a_certificate_it_speaks_tls_and_nothing_older_than_1_2(start_rig: Callable[..., Rig], tmp_path: Path) -> None:
    import ssl

    pem = certificate(tmp_path, "first")
    rig = start_rig(certificate=pem)
    trust = ssl.create_default_context(cafile=str(pem))
    url = f"https://localhost:{rig.edge.config.http_port}"
    answer = httpx.post(f"{url}/v1/recommend", json={"user_id": "u1"}, verify=trust)
    assert answer.status_code == 200
    assert "strict-transport-security" not in answer.headers
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{rig.url}/healthz")
    old = ssl.create_default_context(cafile=str(pem))
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/healthz", verify=old)
    certificate(tmp_path, "second")
    rig.edge.reload()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/healthz", verify=trust)
    assert httpx.get(f"{url}/healthz", verify=ssl.create_default_context(cafile=str(pem))).status_code == 200
