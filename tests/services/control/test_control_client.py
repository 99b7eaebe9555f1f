"""The client against the real application over HTTP, and against what is not a control plane."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from rankloop.errors import ApiError, DataError, Unavailable
from services.control.client import ControlClient, terminal_user
from services.edge import Slots
from services.settings import Settings
from tests.services.both import TOKENS, guarded, served
from tests.services.control.control_world import POLICY, World, world
from tests.services.edge.conftest import Rig, free_ports, shared_rig, start_rig

__all__ = ["shared_rig", "start_rig"]

OLD, NEW = "r20261116-00000001", "r20261117-00000002"


@pytest.fixture
def place(shared_rig: Rig, tmp_path: Path) -> Iterator[World]:
    shared_rig.edge.set_slots(Slots())
    with world(shared_rig, tmp_path) as own:
        yield own


@pytest.fixture
def client(place: World) -> Iterator[ControlClient]:
    with served(place.app) as url, ControlClient(url, who="Zoë") as own:
        yield own


def test_a_canary_is_started_watched_paused_and_rolled_back(place: World, client: ControlClient) -> None:
    place.serving(OLD)
    place.register(NEW)
    place.seen = False
    canary = client.start_canary(NEW, POLICY, why="it is new")
    assert (canary.status, canary.release_id, canary.weight_bp) == ("warming", NEW, 0)
    place.tick(2)
    assert client.canary(canary.canary_id).weight_bp == POLICY["steps"][0]
    assert client.change_canary(canary.canary_id, "pause", why="lunch").status == "paused"
    (decision,) = client.decisions(canary.canary_id).decisions
    assert decision.decision["action"] == "hold"
    assert client.decisions(canary.canary_id, after=decision.number).decisions == []
    assert OLD in client.rollback(why="it looks odd").said
    assert client.canaries().canaries[0].status == "rolled back"
    assert client.slots().agrees
    assert {own.release_id for own in client.serving().slots if own.stable} == {OLD}


def test_the_history_names_the_client(place: World, client: ControlClient) -> None:
    place.register(OLD)
    client.serve(OLD, why="it is the first")
    newest = client.events(kind="release.wanted", limit=1).events[0]
    assert (newest.who, newest.why) == ("Zoë", "it is the first")
    assert terminal_user()


def test_slots_are_changed_by_hand(place: World, client: ControlClient) -> None:
    place.serving(OLD)
    place.register(NEW)
    assert client.hold(NEW, why="to compare with").desired.green == NEW
    place.tick()
    assert client.weigh(300, why="a look").desired.canary_bp == 300
    assert client.interleave(70, why="a look").desired.interleave_bp == 70
    assert client.swap(why="it is better").desired.stable == "green"
    assert client.empty(why="it is not needed").desired.blue is None
    with pytest.raises(ApiError, match="slot blue holds no release that answers; fill it first") as refused:
        client.weigh(1, why="x")
    assert refused.value.status == 409


def test_a_token_is_sent(shared_rig: Rig, tmp_path: Path) -> None:
    tokens = guarded(home=tmp_path).tokens_sha256
    with world(shared_rig, tmp_path, tokens_sha256=tokens) as place, served(place.app) as url:
        with ControlClient(url) as nobody, pytest.raises(ApiError, match="the request has no token") as refused:
            nobody.releases()
        assert refused.value.status == 401
        with ControlClient(url, TOKENS["read"]) as reader:
            assert reader.releases().releases == []
            with pytest.raises(ApiError, match="has no scope 'admin'"):
                reader.rollback(why="x")


def test_a_refusal_is_the_services_sentence_with_its_status_and_request(client: ControlClient) -> None:
    with pytest.raises(ApiError, match="there is no release 'none'") as refused:
        client.release("none")
    assert refused.value.status == 404
    assert refused.value.request_id
    with pytest.raises(ApiError, match="no release served before") as refused:
        client.rollback(why="x")
    assert refused.value.status == 409


def test_a_name_with_odd_characters_asks_for_no_other_route(client: ControlClient) -> None:
    for name in ("../releases", "a/b", "?x=1", "é"):
        with pytest.raises(ApiError) as refused:
            client.canary(name)
        assert refused.value.status in (404, 422)


def test_where_nobody_listens_it_is_unavailable(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with (
        ControlClient.of(Settings.read(home=tmp_path, control_port=port)) as client,
        pytest.raises(Unavailable, match="no answer came") as refused,
    ):
        client.ready()
    assert refused.value.status is None


def test_an_address_that_is_none_is_said_so() -> None:
    with ControlClient("ftp://127.0.0.1:1") as client, pytest.raises(DataError, match="is no address"):
        client.ready()


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (200, b"{}"), (404, b"not here"), (500, b"{}")])
def test_something_else_on_the_port_is_told_from_a_control_plane(status: int, body: bytes) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with (
            ControlClient(f"http://127.0.0.1:{server.server_port}") as client,
            pytest.raises(ApiError, match="which the control plane would not"),
        ):
            client.ready()
        server.shutdown()
