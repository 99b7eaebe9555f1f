"""Edges by their settings, and the rollback that needs no control plane."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rankloop.errors import SettingsError, StackError
from services.control.database import ReleaseFacts, ReleaseState, database_url, move_release, open_database, register
from services.control.drivers import LocalEdge, SocketEdges, done, open_edges, read_orders, take_back
from services.edge import AdminSocket, ServerState, Slots
from services.settings import Settings
from tests.services.edge.conftest import Rig, shared_rig, start_rig, until

__all__ = ["shared_rig", "start_rig"]

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ASKED: dict[str, Any] = {"who": "mira", "why": "empty lists", "now": NOW}


def until_up(rig: Rig) -> None:
    until(lambda: all(rig.up(slot) for slot in ("blue", "green")), "both slots are well")


@pytest.fixture
def rig(shared_rig: Rig) -> Iterator[Rig]:
    shared_rig.edge.set_slots(Slots())
    shared_rig.serve.ready.update(blue=True, green=True)
    until_up(shared_rig)
    yield shared_rig
    shared_rig.serve.ready.update(blue=True, green=True)


@pytest.fixture
def settings(rig: Rig, tmp_path: Path) -> Settings:
    config = rig.edge.config
    return Settings.read(home=tmp_path, edges=str(config.admin_socket), inner_port=config.inner_port - 11)


def recorded(settings: Settings, release_id: str, state: ReleaseState) -> None:
    """The control plane's record of a release, as it is found when no control plane runs."""
    facts = ReleaseFacts(
        release_id=release_id,
        bento=f"/store/{release_id}",
        bundle=f"/store/{release_id}/bundle",
        as_of=NOW,
        created_at=NOW,
        surfaces=(),
        retrievers=(),
        ranker="lambdamart",
        features=(),
        numbers={},
        lineage={},
        files={},
    )
    with open_database(database_url(settings)) as database, database.begin() as session:
        register(session, facts, who="mira", why="new", at=NOW)
        move_release(session, release_id, state, who="mira", why="so it is", at=NOW)


def test_edges_are_named_with_commas_between(tmp_path: Path) -> None:
    edges = open_edges(Settings.read(home=tmp_path, edges=" /run/a.sock, edge-2:9999 ,[::1]:9999,"))
    assert isinstance(edges, SocketEdges)
    assert edges.names() == ["/run/a.sock", "edge-2:9999", "[::1]:9999"]


def test_without_names_it_is_this_machines_edge(tmp_path: Path) -> None:
    edges = open_edges(Settings.read(home=tmp_path))
    assert isinstance(edges, LocalEdge)
    assert (edges.names(), edges.read()) == (["local"], {"local": None})


def test_each_edge_is_asked_for_its_own_seeds_and_takes_no_others(
    rig: Rig, start_rig: Callable[..., Rig], tmp_path: Path
) -> None:
    other = start_rig(slots=Slots(split_seed=7, interleave_seed=8))
    usual, seeded = (str(one.edge.config.admin_socket) for one in (rig, other))
    edges = open_edges(Settings.read(home=tmp_path, edges=f"{usual},{seeded}"))
    assert edges.read() == {usual: Slots(), seeded: Slots(split_seed=7, interleave_seed=8)}
    with pytest.raises(
        StackError, match=rf"1 of 2 edges .*{seeded}: the seeds are \(7, 8\) in the configuration .*, not \(1, 2\)"
    ):
        edges.apply(Slots("green"))
    assert edges.read() == {usual: Slots("green"), seeded: Slots(split_seed=7, interleave_seed=8)}


@pytest.mark.parametrize(("named", "message"), [("a.sock,a.sock", "a.sock more than once"), (",", "the edges are none")])
def test_an_edge_named_twice_or_none_is_refused(tmp_path: Path, named: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"{message}.*RANKLOOP_EDGES"):
        open_edges(Settings.read(home=tmp_path, edges=named))


def test_a_path_is_a_path_whatever_its_name(tmp_path: Path) -> None:
    for address in (tmp_path / "edge:9999", f"{tmp_path}/edge:9999"):
        with pytest.raises(StackError, match=r"does not answer at .*edge:9999 \(\[Errno 2\] No such file"):
            AdminSocket(address).weights()


def test_a_canary_is_ended_without_a_control_plane_and_the_order_waits(rig: Rig, settings: Settings) -> None:
    rig.edge.set_slots(Slots("green", canary_bp=2_500, interleave_bp=100))
    assert take_back(settings, **ASKED) == Slots("green") == rig.edge.slots()
    assert {rig.recommend(f"u{n}").headers["x-rankloop-slot"] for n in range(50)} == {"green"}
    (order,) = read_orders(settings.home)
    assert (order.stable, order.to_previous, order.who, order.why, order.at) == ("green", False, "mira", "empty lists", NOW)
    assert order.slots == Slots("green")
    done(order)
    done(order)
    assert read_orders(settings.home) == []


def test_everybody_gets_the_release_before_where_that_is_asked_for(rig: Rig, settings: Settings) -> None:
    assert take_back(settings, **ASKED, to_previous=True) == Slots("green") == rig.edge.slots()
    (order,) = read_orders(settings.home)
    assert (order.stable, order.release_id, order.to_previous) == ("green", "r-green", True)


def test_nobody_is_given_an_empty_slot(rig: Rig, settings: Settings) -> None:
    rig.serve.ready["green"] = False
    until(lambda: not rig.up("green"), "green is down")
    with pytest.raises(StackError, match="slot green cannot be gone back to: it holds no release that answers"):
        take_back(settings, **ASKED, to_previous=True)
    assert rig.edge.slots() == Slots()
    assert read_orders(settings.home) == []


def test_a_second_rollback_does_not_give_everybody_the_canary_that_the_first_one_ended(rig: Rig, settings: Settings) -> None:
    rig.edge.set_slots(Slots("blue", canary_bp=2_500))
    take_back(settings, **ASKED)
    with pytest.raises(StackError, match="r-green was a canary, which was just ended and is not recorded yet"):
        take_back(settings, **ASKED, to_previous=True)
    assert rig.edge.slots() == Slots("blue")


@pytest.mark.parametrize("state", ["rolled back", "canary"])
def test_a_release_that_the_record_says_never_served_is_not_gone_back_to(
    rig: Rig, settings: Settings, state: ReleaseState
) -> None:
    recorded(settings, "r-green", state)
    with pytest.raises(StackError, match=f"r-green is '{state}' in the record, so it is not what served before"):
        take_back(settings, **ASKED, to_previous=True)
    assert rig.edge.slots() == Slots("blue")


def test_a_release_that_the_record_kept_warm_is_gone_back_to(rig: Rig, settings: Settings) -> None:
    recorded(settings, "r-green", "kept warm")
    assert take_back(settings, **ASKED, to_previous=True) == rig.edge.slots() == Slots("green")


def test_with_one_edge_of_two_dead_the_other_one_is_told_and_the_order_waits(rig: Rig, settings: Settings) -> None:
    rig.edge.set_slots(Slots("blue", canary_bp=2_500))
    nowhere = f"{settings.home}/nowhere.sock"
    both = settings.model_copy(update={"edges": f"{nowhere},{settings.edges}"})
    with pytest.raises(StackError, match=f"1 of 2 edges did not take .*{nowhere}"):
        take_back(both, **ASKED)
    assert rig.edge.slots() == Slots("blue")
    assert [order.stable for order in read_orders(settings.home)] == ["blue"]


def test_where_no_edge_answers_nothing_is_ordered(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path, edges=f"{tmp_path}/nowhere.sock")
    with pytest.raises(StackError, match=r"no edge answers \(.*nowhere.sock\); nothing was changed"):
        take_back(settings, **ASKED)
    assert read_orders(tmp_path) == []


def test_a_full_disk_keeps_nobody_from_rolling_back_and_is_told(rig: Rig, settings: Settings) -> None:
    rig.edge.set_slots(Slots("blue", canary_bp=2_500))
    (settings.home / "control").write_text("no folder can be made here")
    with pytest.raises(StackError, match=r"the edges were told, .* but the order could not be kept .* undo it"):
        take_back(settings, **ASKED)
    assert rig.edge.slots() == Slots("blue")


def test_orders_are_read_oldest_first(rig: Rig, settings: Settings) -> None:
    for second in (3, 1, 2):
        take_back(settings, who=f"w{second}", why="x", now=NOW.replace(second=second))
    assert [order.who for order in read_orders(settings.home)] == ["w1", "w2", "w3"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        '{"stable":"blue"}',
        '{"stable":"red","release_id":null,"to_previous":false,"who":"a","why":"b","at":"2026-11-22T12:00:00Z"}',
    ],
)
def test_a_file_that_is_no_order_is_put_aside_and_told(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "control" / "orders"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(content)
    assert read_orders(tmp_path) == []
    assert "is no order and was put aside as a.refused" in caplog.text
    assert [file.name for file in folder.iterdir()] == ["a.refused"]


def test_an_order_is_on_the_disk_before_the_first_edge_is_told(settings: Settings) -> None:
    seen: list[int] = []

    class Watching:
        def names(self) -> list[str]:
            return ["e"]

        def read(self) -> dict[str, Slots | None]:
            return {"e": Slots(canary_bp=5)}

        def servers(self) -> list[ServerState]:
            return []

        def apply(self, wanted: Slots) -> None:
            seen.append(len(read_orders(settings.home)))
            raise StackError("killed here")

    with pytest.raises(StackError, match="killed here"):
        take_back(settings, **ASKED, edges=Watching())
    assert seen == [1]
