"""The replicas that live, as Prometheus' service discovery reads them, from a real edge."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from tests.services.both import TOKENS, guarded
from tests.services.control.control_world import World, world
from tests.services.edge.conftest import Rig, Toy, free_ports, start_rig, until

__all__ = ["start_rig"]


@pytest.fixture
def replicas(start_rig: Callable[..., Rig]) -> Iterator[tuple[Rig, list[Toy]]]:
    """An edge, and two ports at which replicas may live; one of blue does."""
    ports = free_ports(2)
    rig, toys = start_rig(replicas=tuple(ports)), [Toy(port) for port in ports]
    toys[0].slot = "blue"
    for toy in toys:
        toy.start()
    until(lambda: rig.up("blue", "replica-1"), "the replica is found")
    yield rig, toys
    for toy in toys:
        toy.stop()


def asked(place: World, **headers: str) -> Any:
    with TestClient(place.app, raise_server_exceptions=False) as client:
        return client.get("/v1/targets", headers=headers)


def shown(toy: Toy, number: int, slot: str) -> dict[str, Any]:
    labels = {"__metrics_path__": f"/{slot}/metrics", "slot": slot, "replica": f"replica-{number}"}
    return {"targets": [f"127.0.0.1:{toy.port}"], "labels": labels}


def test_only_replicas_that_live_are_targets_each_where_its_slot_shows_its_series(
    replicas: tuple[Rig, list[Toy]], tmp_path: Path
) -> None:
    rig, toys = replicas
    with world(rig, tmp_path) as place:
        answer = asked(place)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json() == [shown(toys[0], 1, "blue")]
        toys[1].slot = "green"
        until(lambda: rig.up("green", "replica-2"), "the other one is found")
        assert asked(place).json() == [shown(toys[0], 1, "blue"), shown(toys[1], 2, "green")]
        toys[0].stop()
        until(lambda: not rig.up("blue", "replica-1"), "it is gone")
        assert asked(place).json() == [shown(toys[1], 2, "green")]


def test_an_edge_that_is_dead_is_no_empty_list_so_prometheus_keeps_its_last_one(
    replicas: tuple[Rig, list[Toy]], tmp_path: Path
) -> None:
    rig, toys = replicas
    with world(rig, tmp_path, more_edges=(str(tmp_path / "dead.sock"),)) as place:
        assert asked(place).json() == [shown(toys[0], 1, "blue")]
        rig.edge.stop()
        answer = asked(place)
    assert answer.status_code == 503
    assert "does not answer" in answer.json()["detail"]


def test_a_token_of_scope_read_is_needed(replicas: tuple[Rig, list[Toy]], tmp_path: Path) -> None:
    with world(replicas[0], tmp_path, tokens_sha256=guarded(home=tmp_path).tokens_sha256) as place:
        assert asked(place).status_code == 401
        assert asked(place, authorization=f"Bearer {TOKENS['read']}").status_code == 200
        assert asked(place, authorization=f"Bearer {TOKENS['events']}").status_code == 403
