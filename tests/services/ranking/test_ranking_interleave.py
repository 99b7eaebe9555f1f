"""Two releases behind real sockets, one list: the draft is fair to both, recorded, and costs nothing but itself."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rankloop.bundle import Bundle
from rankloop.experiment import draft_seed, experiment_seed, team_draft
from services.events.records import decode
from services.events.spool import Position, SpoolReader, SpoolWriter
from services.ranking.app import build_app
from services.ranking.engine import Engine
from services.ranking.fallbacks import OTHER_FAILED, OTHER_LATE
from services.settings import Settings

ASKED = {"user_id": "logo-u3", "k": 6}
BOTH = {"X-Rankloop-Interleave": "green", "X-Request-Id": "q17"}


class World:
    """Blue interleaves with green; blue's impressions are kept."""

    def __init__(self, server, own: Bundle, other: Bundle, folder: Path) -> None:
        self.server, self.own, self.other, self.folder = server, own.manifest.release_id, other.manifest.release_id, folder
        self.writer = SpoolWriter(folder, fsync="never", max_bytes=1 << 24, when_full="refuse")
        self.settings = Settings(budget_ms=60_000, inner_port=server.inner_port)
        clock = Engine(own, self.settings).moment
        self.blue = Engine(own, self.settings, clock=clock, impressions=self.writer)
        self.green = Engine(other, self.settings, clock=clock, impressions=self.writer)
        server.slots |= {name: build_app(one, self.settings) for name, one in (("blue", self.blue), ("green", self.green))}

    def ask(self, slot: str = "blue", path: str = "/v1/recommend", asked=ASKED, **headers: str) -> dict:
        answer = httpx.post(f"http://127.0.0.1:{self.server.port}/{slot}{path}", json=asked, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def logged(self) -> list:
        reader = SpoolReader(self.folder)
        return [one for name in reader.writers() for _, frame in reader.read(name, Position(0, 0)) for one in decode(frame)]

    def counted(self, outcome: str) -> float:
        return self.blue.metrics.interleaved.labels(outcome)._value.get()


@pytest.fixture(scope="module")
def other_bundle(other_release) -> Bundle:
    return Bundle.open(other_release.folder)


@pytest.fixture
def world(slot_server, bundle: Bundle, other_bundle: Bundle, tmp_path: Path) -> Iterator[World]:
    world = World(slot_server, bundle, other_bundle, tmp_path / "impressions")
    yield world
    world.writer.close()


def ids(answer: dict) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


@pytest.mark.parametrize(("path", "asked"), [("/v1/recommend", ASKED), ("/v1/search", {"query": "logo", "k": 6})])
def test_the_list_is_the_draft_of_what_both_slots_answer(world: World, path: str, asked: dict) -> None:
    alone = [world.ask(slot, path, asked, **{"X-Rankloop-Part": "1"}) for slot in ("blue", "green")]
    both = world.ask("blue", path, asked, **BOTH)
    seed = experiment_seed(world.own, world.other)
    items, teams = team_draft(ids(alone[0]), ids(alone[1]), 6, draft_seed("q17", seed))
    names = {"a": world.own, "b": world.other, None: None}
    assert ids(both) == list(items)
    assert [item["release_id"] for item in both["items"]] == [names[team] for team in teams]
    assert [item["position"] for item in both["items"]] == list(range(1, len(items) + 1))
    assert both["experiment"] == {"kind": "team-draft", "releases": [world.own, world.other], "seed": seed}
    assert {world.own, world.other} <= {item["release_id"] for item in both["items"]}
    assert world.counted("interleaved") == 1


def test_one_impression_is_logged_with_the_team_of_each_item(world: World) -> None:
    answer = world.ask(**BOTH)
    (record,) = world.logged()
    assert record.request_id == "q17"
    assert record.release_id == world.own
    assert record.items == ids(answer)
    assert record.teams == [item["release_id"] or "" for item in answer["items"]]
    assert record.features == b""


def test_without_the_edges_header_there_is_one_release(world: World) -> None:
    answer = world.ask()
    assert answer["experiment"] is None
    assert {item["release_id"] for item in answer["items"]} == {None}
    (record,) = world.logged()
    assert record.teams is None


def test_a_part_of_another_answer_is_neither_logged_nor_interleaved_again(world: World) -> None:
    assert world.ask(**BOTH, **{"X-Rankloop-Part": "1"})["experiment"] is None
    assert world.logged() == []


@pytest.mark.parametrize("body", [None, b"[]", b'{"items": 3}'])
def test_an_other_slot_that_fails_costs_the_experiment_only(world: World, body: bytes | None) -> None:
    async def broken(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    alone = world.ask(**{"X-Rankloop-Part": "1"})
    if body is None:
        del world.server.slots["green"]
    else:
        world.server.slots["green"] = broken
    answer = world.ask(**BOTH)
    assert ids(answer) == ids(alone)
    assert answer["fallback"] == OTHER_FAILED
    assert world.counted("failed") == 1
    assert f'reason="{OTHER_FAILED}"' in world.blue.metrics.text().decode()


def test_an_other_slot_without_a_listener_costs_the_experiment_only(world: World) -> None:
    settings = world.settings.model_copy(update={"inner_port": 1024})
    world.server.slots["blue"] = build_app(world.blue, settings)
    assert world.ask(**BOTH)["fallback"] == OTHER_FAILED


def test_an_other_slot_that_is_late_costs_no_more_than_the_budget(world: World) -> None:
    async def late(scope, receive, send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    world.server.slots["green"] = late
    world.server.slots["blue"] = build_app(world.blue, world.settings.model_copy(update={"budget_ms": 200.0}))
    answer = world.ask(**BOTH)
    assert answer["fallback"] == OTHER_LATE
    assert answer["items"]
    assert world.counted("late") == 1


def test_two_slots_with_one_release_are_not_interleaved(world: World) -> None:
    world.server.slots["green"] = world.server.slots["blue"]
    answer = world.ask(**BOTH)
    assert answer["experiment"] is None
    assert answer["fallback"] is None
    assert world.counted("same release") == 1


@pytest.mark.parametrize("slot", ["http://elsewhere", "Green", ""])
def test_what_is_no_slot_is_not_asked(world: World, slot: str) -> None:
    assert world.ask(**{"X-Rankloop-Interleave": slot})["experiment"] is None
    assert world.counted("failed") == 0


def test_a_bad_request_is_refused_and_the_other_slot_not_waited_for(world: World) -> None:
    url = f"http://127.0.0.1:{world.server.port}/blue/v1/recommend"
    answer = httpx.post(url, content=json.dumps({**ASKED, "k": 0}), headers=BOTH, timeout=60)
    assert answer.status_code == 422
    assert world.logged() == []
