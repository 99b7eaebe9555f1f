"""Handing over a release, before a server that does as the control plane does."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from components import control_api
from components.control_api import Handed, hand_over, serving
from rankloop.errors import ControlError

POLICY = {"min_units": 5}


class Plane:
    """Releases by state and canaries, newest first; a release is loaded once it was asked for so many times."""

    def __init__(self, port: int = 0) -> None:
        self.states: dict[str, str] = {}
        self.canaries: list[dict[str, Any]] = []
        self.posted: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.refusal = ""
        self.faults: list[str] = []
        self.polls = 2
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(*outer.shown(self.path))

            def do_POST(self) -> None:
                outer.tokens.add(self.headers.get("authorization"))
                self._answer(*outer.registered(json.loads(self.rfile.read(int(self.headers["content-length"])))))

            def _answer(self, status: int, body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json" if status == 200 else "application/problem+json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Is silent."""

        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def shown(self, path: str) -> tuple[int, dict[str, Any]]:
        if path == "/v1/serving":
            held = [name for name, state in self.states.items() if state == "serving"]
            tried = [one["release_id"] for one in self.canaries if one["status"] == "running"]
            slots = [{"slot": "blue", "release_id": name, "stable": False} for name in tried]
            return 200, {"slots": slots + [{"slot": "green", "release_id": name, "stable": True} for name in held]}
        if path == "/v1/canaries":
            return 200, {"canaries": self.canaries}
        release = path.rsplit("/", 1)[1]
        answer = {"release_id": release, "state": self.states[release]}
        if self.states[release] == "warming":
            self._load(release)
        return 200, answer

    def registered(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.posted.append(asked)
        if self.refusal:
            return 409, {"title": "no", "status": 409, "detail": self.refusal}
        release, then = asked["bento"].rsplit("/", 1)[1], asked.get("then")
        self.states.setdefault(release, "registered")
        if then:
            self.states[release] = "warming"
        if then == "canary":
            name = f"c{len(self.canaries) + 1}"
            self.canaries.insert(0, {"canary_id": name, "release_id": release, "status": "warming", "policy": asked["policy"]})
        return 200, {"release": {"release_id": release}, "said": f"{release}: {then}"}

    def _load(self, release: str) -> None:
        self.polls -= 1
        if self.polls > 0:
            return
        own = next((one for one in self.canaries if one["release_id"] == release), None)
        if self.faults:
            self.states[release] = "registered"
        else:
            self.states[release] = "canary" if own else "serving"
        if own:
            own |= {"status": "failed", "reasons": self.faults} if self.faults else {"status": "running"}

    def close(self) -> None:
        self.http.shutdown()
        self._thread.join()
        self.http.server_close()


@pytest.fixture
def plane(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plane]:
    monkeypatch.setattr(control_api, "_POLL_SECONDS", 0.01)
    one = Plane()
    yield one
    one.close()


@pytest.fixture
def hand(plane: Plane) -> Callable[..., tuple[Handed, list[str]]]:
    """Hands over a release of a name; what came of it, and what was said."""

    def call(release: str, **more: Any) -> tuple[Handed, list[str]]:
        said: list[str] = []
        given: dict[str, Any] = {"bundle": "/bundles/1", "bento": f"/bentos/{release}", "evaluation": "/evaluations/1"}
        return hand_over(plane.url, **given, why="a test", say=said.append, **more), said

    return call


Hand = Callable[..., tuple[Handed, list[str]]]


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def test_the_first_release_serves_whatever_its_policy(plane: Plane, hand: Hand) -> None:
    handed, said = hand("r1", policy=POLICY, run_id="run-1")
    assert handed == {"release_id": "r1", "state": "serving", "canary_id": None, "said": ""}
    assert said == ["r1: serve"]
    told = {"bundle": "/bundles/1", "bento": "/bentos/r1", "evaluation": "/evaluations/1", "run_id": "run-1", "why": "a test"}
    assert plane.posted == [told, told | {"then": "serve"}]
    assert plane.canaries == []


def test_the_next_one_is_tried_with_its_policy_before_it_serves(plane: Plane, hand: Hand) -> None:
    plane.states["r1"] = "serving"
    handed, _ = hand("r2", policy=POLICY)
    assert (handed["state"], handed["canary_id"]) == ("canary", "c1")
    assert (plane.canaries[0]["release_id"], plane.canaries[0]["policy"]) == ("r2", POLICY)
    assert plane.posted[0]["run_id"] is None


def test_at_once_lets_the_next_one_serve_without_a_canary(plane: Plane, hand: Hand) -> None:
    plane.states["r1"] = "serving"
    handed, _ = hand("r2", at_once=True, policy=POLICY)
    assert handed["state"] == "serving"
    assert plane.canaries == []


@pytest.mark.parametrize(
    ("state", "status", "found"),
    [("serving", None, "serving"), ("canary", "running", "canary"), ("canary", "paused", "canary"), ("warming", None, "serving")],
)
def test_what_serves_or_is_on_its_way_is_left_as_it_is(
    plane: Plane, hand: Hand, state: str, status: str | None, found: str
) -> None:
    plane.states["r2"] = state
    plane.canaries = [{"canary_id": "c7", "release_id": "r2", "status": status}] if status else []
    handed, said = hand("r2")
    assert (handed["state"], handed["canary_id"], said) == (found, "c7" if status else None, [])
    assert [asked.get("then") for asked in plane.posted] == [None]


def test_another_release_that_is_tried_is_not_this_one(plane: Plane, hand: Hand) -> None:
    plane.states |= {"r1": "serving", "r2": "canary"}
    plane.canaries = [{"canary_id": "c0", "release_id": "r2", "status": "running"}]
    handed, _ = hand("r3")
    assert (handed["state"], handed["canary_id"]) == ("canary", "c2")


def test_one_that_was_rolled_back_is_not_tried_again_and_how_to_is_said(plane: Plane, hand: Hand) -> None:
    plane.states |= {"r1": "serving", "r2": "rolled back"}
    plane.canaries = [{"canary_id": "c7", "release_id": "r2", "status": "rolled back"}]
    handed, said = hand("r2")
    assert (handed["state"], handed["canary_id"]) == ("rolled back", "c7")
    assert len(said) == 1
    assert "`rankloop canary start r2`" in said[0]
    assert [asked.get("then") for asked in plane.posted] == [None]


def test_one_whose_canary_was_aborted_is_tried_again(plane: Plane, hand: Hand) -> None:
    plane.states |= {"r1": "serving", "r2": "registered"}
    plane.canaries = [{"canary_id": "c1", "release_id": "r2", "status": "aborted"}]
    handed, _ = hand("r2")
    assert (handed["state"], handed["canary_id"]) == ("canary", "c2")


def test_a_refusal_is_told_in_the_planes_own_words(plane: Plane, hand: Hand) -> None:
    plane.refusal = "the gate said fail; give a reason with force"
    with pytest.raises(ControlError, match=rf"refused POST /v1/releases \(409\): {plane.refusal}"):
        hand("r1")


def test_one_that_cannot_be_loaded_is_an_error_with_the_reason(plane: Plane, hand: Hand) -> None:
    plane.states["r1"] = "serving"
    plane.faults = ["Its bundle", "is not there."]
    with pytest.raises(ControlError, match=r"r2 could not be loaded: Its bundle is not there\."):
        hand("r2")


@pytest.mark.parametrize("served", [True, False])
def test_one_that_is_never_loaded_is_not_waited_for_forever(plane: Plane, hand: Hand, served: bool) -> None:
    plane.states |= {"r1": "serving"} if served else {}
    plane.polls = 10**9
    with pytest.raises(ControlError, match=r"r2 did not answer within 0 s; `rankloop status` and `rankloop logs` say why"):
        hand("r2", seconds=0.1)


def test_the_token_of_the_environment_is_sent(plane: Plane, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    hand("r1")
    monkeypatch.setenv("RANKLOOP_TOKEN", "secret")
    plane.states.clear()
    hand("r2")
    assert plane.tokens == {None, "Bearer secret"}


def test_what_serves_is_the_stable_slots_release_and_not_the_canarys(plane: Plane) -> None:
    assert serving(plane.url) is None
    plane.states |= {"r1": "serving", "r2": "canary"}
    plane.canaries = [{"canary_id": "c1", "release_id": "r2", "status": "running"}]
    assert serving(plane.url) == "r1"


def test_a_plane_that_starts_again_is_waited_for_a_little() -> None:
    port, started = closed_port(), []
    late = threading.Timer(0.2, lambda: started.append(Plane(port)))
    late.start()
    try:
        assert serving(f"http://127.0.0.1:{port}") is None
    finally:
        late.join()
        started[0].close()


def test_a_plane_that_stays_away_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    nowhere = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(ControlError, match=rf"{nowhere} does not answer .*`rankloop up`"):
        serving(nowhere)
    assert 10 < sum(waits) < 60
