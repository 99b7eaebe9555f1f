"""The drivers of this machine against real Ray Serve and a real edge: what the toy of the other tests promises is so."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rankloop.errors import StackError
from services import stack
from services.control.drivers import open_edges, open_server, sample_requests, warm
from services.edge import Slots
from services.ranking.bento import BuiltBento, build_bento
from services.settings import Settings
from tests.services.conftest import Release
from tests.services.stack.conftest import free_settings

__all__ = ["free_settings"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class World:
    """A stack that is up, and two releases for it."""

    settings: Settings
    first: BuiltBento
    second: BuiltBento

    def fill(self, slot: str, release_id: str, bento: str | Path) -> list[str]:
        said: list[str] = []
        open_server(self.settings).fill(slot, release_id, str(bento), say=said.append, seconds=120)
        return said

    def declared(self) -> list[str]:
        note = json.loads((self.settings.home / "stack" / "applications.json").read_text())
        return sorted(own["name"] for own in note["applications"])


@pytest.fixture(scope="module")
def world(
    free_settings: Callable[..., Settings], make_release: Callable[[int], Release], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    settings = free_settings(tmp_path_factory.mktemp("drivers") / ".rankloop", budget_ms=60_000)
    first, second = (build_bento(make_release(seed).folder, settings.bento_store) for seed in (0, 1))
    try:
        assert stack.up(settings).state == "up"
        yield World(settings, first, second)
    finally:
        stack.down(settings)


def test_a_day_of_two_slots(world: World, tmp_path: Path) -> None:
    server, edges = open_server(world.settings), open_edges(world.settings)
    first, second = world.first.release_id, world.second.release_id
    assert server.holds() == {"blue": None, "green": None}

    world.fill("blue", first, world.first.path)
    assert server.holds() == {"blue": first, "green": None}
    assert world.fill("blue", first, world.first.path) == []

    altered = tmp_path / second
    shutil.copytree(world.second.path, altered)
    (altered / "src" / "bundle" / "items.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(StackError, match=rf"could not start {second} in slot green: DEPLOY_FAILED: .*items\.parquet"):
        world.fill("green", second, altered)
    assert server.holds() == {"blue": first, "green": None}
    with pytest.raises(StackError, match=r"items\.parquet"):
        world.fill("green", second, altered)  # the same once more is tried once more

    world.fill("green", second, world.second.path)
    assert server.holds() == {"blue": first, "green": second}
    assert world.declared() == ["blue", "green"]

    requests = sample_requests(world.settings, 10, 1, bento=str(world.second.path))
    warmth = warm(world.settings.slot_url("green"), requests, seconds=120, release_id=second)
    assert warmth.is_well, warmth

    edges.apply(Slots("green"))
    assert edges.read() == {"local": Slots("green")}
    server.clear("blue", seconds=120)
    assert server.holds() == {"blue": None, "green": second}
    assert world.declared() == ["green"]
    server.clear("blue", seconds=120)
