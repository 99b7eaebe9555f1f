"""What every driver of edges, and every driver of slots, must do: one contract each, run against each driver."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rankloop.errors import StackError
from services.control.drivers import Edges, KubeRayServer, LocalEdge, RayServer, RayServiceApi, Server, SocketEdges
from services.edge import AdminSocket, EdgeConfig, Slots
from services.settings import Settings
from tests.services.control.toy_serve import ToyServe, toy_serve
from tests.services.edge.conftest import Rig, free_ports, start_rig, until

__all__ = ["start_rig"]


@dataclass(frozen=True)
class OverTcp(EdgeConfig):
    """An edge whose admin socket is reached over TCP too.

    Attributes:
        admin_port: where.
    """

    admin_port: int = 0

    def text(self, folder: Path) -> str:
        here = "    stats timeout 30s"
        return super().text(folder).replace(here, f"    stats socket ipv4@127.0.0.1:{self.admin_port} level admin\n{here}")


@dataclass
class EdgesWorld:
    """A driver, and the real edges it drives."""

    driver: Edges
    rigs: list[Rig]

    def slots_of(self, rig: Rig) -> set[str]:
        """Which slots answer a hundred people."""
        with rig.client() as client:
            asked = [client.post("/v1/recommend", content=json.dumps({"user_id": f"u{n}"})) for n in range(100)]
        assert {one.status_code for one in asked} == {200}
        return {one.headers["x-rankloop-slot"] for one in asked}


class EdgesContract:
    """What holds of every driver of edges; a class for each gives the fixture `world`."""

    @pytest.mark.parametrize(
        ("wanted", "slots"),
        [
            (Slots("blue"), {"blue"}),
            (Slots("blue", canary_bp=5_000), {"blue", "green"}),
            (Slots("green", canary_bp=10_000, interleave_bp=7), {"blue", "green"}),
            (Slots("green"), {"green"}),
        ],
    )
    def test_what_is_told_is_read_back_of_every_edge_and_done_by_it(
        self, world: EdgesWorld, wanted: Slots, slots: set[str]
    ) -> None:
        world.driver.apply(wanted)
        assert world.driver.read() == dict.fromkeys(world.driver.names(), wanted)
        for rig in world.rigs:
            assert world.slots_of(rig) <= slots
            if wanted.canary_bp == 5_000:
                assert world.slots_of(rig) == slots

    def test_to_be_told_twice_is_no_error(self, world: EdgesWorld) -> None:
        wanted = Slots("green", canary_bp=500)
        world.driver.apply(wanted)
        world.driver.apply(wanted)
        assert set(world.driver.read().values()) == {wanted}

    def test_other_seeds_are_refused_and_nothing_is_changed(self, world: EdgesWorld) -> None:
        world.driver.apply(Slots("blue", canary_bp=100))
        with pytest.raises(StackError, match=r"the seeds are"):
            world.driver.apply(Slots("green", split_seed=99))
        assert set(world.driver.read().values()) == {Slots("blue", canary_bp=100)}

    def test_two_threads_that_tell_at_once_are_both_heard(self, world: EdgesWorld) -> None:
        wanted = [Slots("blue", canary_bp=n) for n in range(1, 25)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(world.driver.apply, wanted))
        found = world.driver.read()
        assert set(found.values()) <= set(wanted)
        world.driver.apply(wanted[0])
        assert set(world.driver.read().values()) == {wanted[0]}

    def test_what_somebody_else_changed_is_read_and_put_right(self, world: EdgesWorld) -> None:
        world.driver.apply(Slots("blue", canary_bp=100))
        world.rigs[0].edge.admin.command("experimental-mode on; set var proc.canary_bp int(777)")
        found = [one.canary_bp for one in world.driver.read().values() if one is not None]
        assert sorted(found) == sorted([777, *[100] * (len(found) - 1)])
        world.driver.apply(Slots("blue", canary_bp=100))
        assert {one.canary_bp for one in world.driver.read().values() if one is not None} == {100}


@pytest.fixture(scope="module")
def one_rig(start_rig: Callable[..., Rig]) -> Rig:
    return start_rig()


@pytest.fixture(scope="module")
def other_rig(start_rig: Callable[..., Rig]) -> Iterator[Rig]:
    """An edge that is reached over TCP too."""
    rig = start_rig()
    told = {name: getattr(rig.edge.config, name) for name in rig.edge.config.__dataclass_fields__}
    config = OverTcp(**told, admin_port=free_ports(1)[0])
    rig.edge.reload(config)
    until(AdminSocket(f"127.0.0.1:{config.admin_port}").answers, "it is reached over TCP")
    yield rig
    assert isinstance(rig.edge.config, OverTcp)


def tcp_of(rig: Rig) -> str:
    assert isinstance(rig.edge.config, OverTcp)
    return f"127.0.0.1:{rig.edge.config.admin_port}"


class TestLocalEdge(EdgesContract):
    @pytest.fixture
    def world(self, one_rig: Rig) -> EdgesWorld:
        return EdgesWorld(LocalEdge(one_rig.edge), [one_rig])

    def test_what_it_is_told_holds_after_its_next_start(self, world: EdgesWorld) -> None:
        edge, wanted = world.rigs[0].edge, Slots("green", canary_bp=321)
        world.driver.apply(wanted)
        assert Slots.read(edge.slots_file) == wanted
        assert "proc.canary_bp int(321)" in edge.file.read_text()
        edge.reload()
        assert world.driver.read() == {"local": wanted}


class TestSocketEdgesByPath(EdgesContract):
    @pytest.fixture
    def world(self, one_rig: Rig) -> EdgesWorld:
        return EdgesWorld(SocketEdges([str(one_rig.edge.config.admin_socket)]), [one_rig])


class TestSocketEdgesByPort(EdgesContract):
    @pytest.fixture
    def world(self, other_rig: Rig) -> EdgesWorld:
        return EdgesWorld(SocketEdges([tcp_of(other_rig)]), [other_rig])


class TestTwoEdges(EdgesContract):
    @pytest.fixture
    def world(self, one_rig: Rig, other_rig: Rig) -> EdgesWorld:
        return EdgesWorld(SocketEdges([str(one_rig.edge.config.admin_socket), tcp_of(other_rig)]), [one_rig, other_rig])


class TestTwoEdgesOfThree:
    """One of three edges is dead, or says yes and does otherwise: it is named, and the other two are told all the same."""

    @pytest.fixture
    def two(self, one_rig: Rig, other_rig: Rig) -> list[str]:
        addresses = [str(one_rig.edge.config.admin_socket), tcp_of(other_rig)]
        SocketEdges(addresses).apply(Slots("blue", canary_bp=1_000))
        return addresses

    @pytest.mark.parametrize("nowhere", ["/tmp/rankloop-no-such-edge.sock", "127.0.0.1:1", "127.0.0.1:99999"])
    def test_a_dead_one_is_named_and_the_others_are_told(self, two: list[str], nowhere: str) -> None:
        driver = SocketEdges([two[0], nowhere, two[1]])
        assert driver.read() == {two[0]: Slots(canary_bp=1_000), nowhere: None, two[1]: Slots(canary_bp=1_000)}
        with pytest.raises(StackError, match=rf"1 of 3 edges did not take .* {nowhere}: the edge does not answer"):
            driver.apply(Slots("blue"))
        assert driver.read() == {two[0]: Slots("blue"), nowhere: None, two[1]: Slots("blue")}

    def test_one_that_hangs_is_given_up_and_the_others_are_told(self, two: list[str]) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as silent:
            hangs = f"127.0.0.1:{silent.getsockname()[1]}"
            with pytest.raises(StackError, match=rf"{hangs}: the edge does not answer .*timed out"):
                SocketEdges([hangs, *two], seconds=0.3).apply(Slots("green"))
        assert set(SocketEdges(two).read().values()) == {Slots("green")}

    def test_one_that_says_yes_and_does_otherwise_is_found_out(self, two: list[str]) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
            threading.Thread(target=_says_blue, args=(deaf,), daemon=True).start()
            liar = f"127.0.0.1:{deaf.getsockname()[1]}"
            with pytest.raises(StackError, match=rf"{liar}: the edge was told .*stable='green'.* and has .*stable='blue'"):
                SocketEdges([liar, *two]).apply(Slots("green"))
        assert set(SocketEdges(two).read().values()) == {Slots("green")}


def _says_blue(deaf: socket.socket) -> None:
    answers = {"proc.stable": "str value=<blue>", "proc.canary": "str value=<green>"}
    answers |= {"proc.split_seed": "sint value=<1>", "proc.interleave_seed": "sint value=<2>"}
    while True:
        try:
            line, _ = deaf.accept()
        except OSError:
            return
        with line:
            names = [said.split()[-1] for said in line.recv(4096).decode().strip().split(";")]
            line.sendall("".join(f"{name}: type={answers.get(name, 'sint value=<0>')}\n" for name in names).encode())


@dataclass
class ServerWorld:
    """A driver, and what it drives."""

    driver: Server
    serve: ToyServe
    said: list[str]

    def fill(self, slot: str, release_id: str, seconds: float = 20.0) -> None:
        self.driver.fill(slot, release_id, f"/store/{release_id}", say=self.said.append, seconds=seconds)


class ServerContract:
    """What holds of every driver of slots; a class for each gives the fixture `world`."""

    def test_nobody_answers_before_the_first_release(self, world: ServerWorld) -> None:
        assert world.driver.holds() == {"blue": None, "green": None}

    def test_a_release_answers_when_its_slot_is_filled_and_the_other_slot_stays(self, world: ServerWorld) -> None:
        world.fill("blue", "r-1")
        assert world.driver.holds() == {"blue": "r-1", "green": None}
        before = world.serve.applications["blue"]
        world.fill("green", "r-2")
        assert world.driver.holds() == {"blue": "r-1", "green": "r-2"}
        assert world.serve.applications["blue"] is before
        assert any("waiting for r-2 in slot green" in line for line in world.said)

    def test_to_fill_a_slot_with_what_it_holds_does_nothing(self, world: ServerWorld) -> None:
        world.fill("blue", "r-1")
        declared, said = world.serve.declared, len(world.said)
        world.fill("blue", "r-1")
        assert (world.serve.declared, len(world.said)) == (declared, said)

    def test_a_fill_that_was_broken_off_is_gone_on_with(self, world: ServerWorld) -> None:
        world.serve.looks = 10_000
        with pytest.raises(StackError, match=r"r-1 did not answer in slot blue within 0 s.*(deploying|DEPLOYING|not seen)"):
            world.fill("blue", "r-1", seconds=0.4)
        world.serve.looks = 0
        for own in world.serve.applications.values():
            own["left"] = 0
        world.fill("blue", "r-1")
        assert world.driver.holds()["blue"] == "r-1"
        assert world.serve.declared == 1

    def test_another_release_takes_the_slot(self, world: ServerWorld) -> None:
        world.fill("green", "r-1")
        world.fill("green", "r-2")
        assert world.driver.holds() == {"blue": None, "green": "r-2"}

    def test_a_release_that_cannot_start_is_refused_in_serves_words_and_the_other_slot_stays(self, world: ServerWorld) -> None:
        world.fill("blue", "r-1")
        world.serve.broken = {"r-2"}
        with pytest.raises(StackError, match=r"could not start r-2 in slot green: .*BundleError: r-2 is altered"):
            world.fill("green", "r-2")
        assert world.driver.holds() == {"blue": "r-1", "green": None}

    def test_what_failed_once_can_be_tried_again(self, world: ServerWorld) -> None:
        world.serve.broken = {"r-2"}
        with pytest.raises(StackError, match=r"could not start r-2"):
            world.fill("green", "r-2")
        world.serve.broken = set()
        world.fill("green", "r-2")
        assert world.driver.holds()["green"] == "r-2"

    def test_a_release_that_fails_in_the_place_of_another_leaves_the_other_one_answering(self, world: ServerWorld) -> None:
        world.fill("blue", "r-1")
        world.serve.broken = {"r-2"}
        with pytest.raises(StackError, match=r"could not start r-2"):
            world.fill("blue", "r-2")
        assert world.driver.holds()["blue"] == "r-1"
        world.fill("blue", "r-3")
        assert world.driver.holds()["blue"] == "r-3"

    def test_both_slots_may_be_filled_at_once(self, world: ServerWorld) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(world.fill, ("blue", "green"), ("r-1", "r-2")))
        assert world.driver.holds() == {"blue": "r-1", "green": "r-2"}

    def test_a_slot_is_cleared_once_and_the_other_stays(self, world: ServerWorld) -> None:
        world.fill("blue", "r-1")
        world.fill("green", "r-2")
        world.driver.clear("green", seconds=20)
        assert world.driver.holds() == {"blue": "r-1", "green": None}
        assert set(world.serve.applications) == {"blue"}
        declared = world.serve.declared
        world.driver.clear("green", seconds=20)
        assert world.serve.declared == declared

    def test_a_slot_that_does_not_empty_in_time_is_named(self, world: ServerWorld) -> None:
        world.fill("green", "r-2")
        world.serve.looks = 10_000
        with pytest.raises(StackError, match=r"did not end slot green within 0 s"):
            world.driver.clear("green", seconds=0.3)


@pytest.fixture
def serve() -> Iterator[ToyServe]:
    with toy_serve() as toy:
        yield toy


class TestRayServer(ServerContract):
    @pytest.fixture
    def settings(self, serve: ToyServe, tmp_path: Path) -> Settings:
        closed = free_ports(1)[0]
        return Settings.read(
            home=tmp_path, dashboard_port=serve.port, inner_port=serve.port - 11, serve_port=closed, start_seconds=20
        )

    @pytest.fixture
    def world(self, serve: ToyServe, settings: Settings) -> ServerWorld:
        return ServerWorld(RayServer(settings), serve, [])

    def noted(self, settings: Settings) -> list[Any]:
        found = json.loads((settings.home / "stack" / "applications.json").read_text())["applications"]
        return [own["name"] for own in found]

    def test_the_stacks_note_says_what_is_declared(self, world: ServerWorld, settings: Settings) -> None:
        world.fill("blue", "r-1")
        assert self.noted(settings) == ["blue"]
        world.fill("green", "r-2")
        assert self.noted(settings) == ["blue", "green"]
        world.driver.clear("blue", seconds=20)
        assert self.noted(settings) == ["green"]

    def test_a_dashboard_that_does_not_answer_never_counts_as_empty(self, world: ServerWorld) -> None:
        world.fill("blue", "r-1")
        declared, world.serve.answers = world.serve.declared, False
        for act in (lambda: world.fill("green", "r-2"), lambda: world.driver.clear("blue", seconds=5)):
            with pytest.raises(StackError, match=r"dashboard at .* does not answer; is the stack up\? `rankloop up`"):
                act()
        assert world.serve.declared == declared
        assert world.driver.holds()["blue"] == "r-1"

    def test_where_no_edge_listens_serves_own_proxy_is_asked(self, serve: ToyServe, tmp_path: Path) -> None:
        closed = free_ports(1)[0]
        settings = Settings.read(home=tmp_path, dashboard_port=serve.port, inner_port=closed - 11, serve_port=serve.port)
        world = ServerWorld(RayServer(settings), serve, [])
        world.fill("blue", "r-1")
        assert world.driver.holds() == {"blue": "r-1", "green": None}

    def test_somebody_who_changes_the_stack_is_waited_for_by_name(self, world: ServerWorld, settings: Settings) -> None:
        from services.stack.place import Place

        with Place(settings.home).locked(), pytest.raises(StackError, match=r"is starting or stopping the stack"):
            world.fill("blue", "r-1")
        assert world.serve.declared == 0


class TestKubeRayServer(ServerContract):
    @pytest.fixture
    def api(self, serve: ToyServe, tmp_path: Path) -> RayServiceApi:
        (tmp_path / "token").write_text("secret\n")
        return RayServiceApi(serve.url, "prod", "rankloop", token_file=tmp_path / "token", ca_file=None)

    @pytest.fixture
    def world(self, serve: ToyServe, api: RayServiceApi) -> ServerWorld:
        driver = KubeRayServer(api, lambda slot: f"{serve.url}/{slot}", poll_seconds=0.01, settle_seconds=0.5)
        return ServerWorld(driver, serve, [])
