"""Releases, canaries, rollback and the history at a terminal, against a real control plane and a real edge."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import Result

from services.cli import canary as canary_commands
from services.control.drivers import read_orders
from services.edge import Slots
from tests.services.both import served
from tests.services.control.control_world import POLICY, World, world
from tests.services.edge.conftest import Rig, free_ports, shared_rig, start_rig

__all__ = ["shared_rig", "start_rig"]

Rankloop = Callable[..., Result]
OLD, NEW = "r20261116-00000001", "r20261117-00000002"


@pytest.fixture
def alone(shared_rig: Rig, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A record and an edge; no control plane answers."""
    shared_rig.edge.set_slots(Slots())
    (port,) = free_ports(1)
    monkeypatch.setenv("RANKLOOP_CONTROL_PORT", str(port))
    with world(shared_rig, home) as own:
        monkeypatch.setenv("RANKLOOP_EDGES", own.settings.edges)
        monkeypatch.setenv("RANKLOOP_INNER_PORT", str(own.settings.inner_port))
        monkeypatch.setenv("RANKLOOP_DASHBOARD_PORT", str(own.settings.dashboard_port))
        yield own


@pytest.fixture
def place(alone: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The same with a control plane."""
    with served(alone.app) as url:
        monkeypatch.setenv("RANKLOOP_CONTROL_PORT", str(urlsplit(url).port))
        yield alone


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy of two short steps."""
    file = tmp_path / "policy.yaml"
    file.write_text(json.dumps({**POLICY, "guards": {}}))
    return file


def canary(place: World, rankloop: Rankloop, policy: Path) -> None:
    """A canary that has its first share, and of which nothing was seen yet."""
    place.serving(OLD)
    place.register(NEW)
    place.seen = False
    done = rankloop("canary", "start", NEW, "--policy", policy, "--why", "it is new")
    assert done.exit_code == 0, done.output
    place.tick(2)


def edge(place: World) -> Slots:
    (own,) = place.edges.read().values()
    assert own is not None
    return own


def test_before_anything_was_released_it_says_how_to_begin(
    rankloop: Rankloop, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKLOOP_CONTROL_PORT", str(free_ports(1)[0]))
    listed = rankloop("releases")
    assert listed.exit_code == 0
    assert "nothing was released yet; start a run with rankloop run" in listed.output
    assert rankloop("releases", "show", "x").exit_code == 1
    assert not home.exists()


def test_releases_are_listed_shown_and_served(place: World, rankloop: Rankloop) -> None:
    place.register(OLD, NEW)
    told = rankloop("releases", "serve", OLD, "--why", "it is the first")
    assert "serves everybody as soon as it answers" in told.output
    place.tick(3)
    listed = rankloop("releases")
    assert [OLD in line and "serving" in line and "100 %" in line for line in listed.output.splitlines()].count(True) == 1
    assert json.loads(rankloop("releases", "list", "--json").output)["releases"][0]["release_id"] in (OLD, NEW)
    shown = rankloop("releases", "show", OLD).output
    assert "the gate was not asked" in shown
    assert "ndcg@10" in shown


def test_what_was_serving_at_a_moment_is_told_in_utc(place: World, rankloop: Rankloop) -> None:
    place.serving(OLD)
    assert f"at {place.now:%Y-%m-%d}" in rankloop("releases", "serving", "--at", place.now.isoformat()).output
    early = rankloop("releases", "serving", "--at", "2026-11-17 16:00+02:00")
    assert early.exit_code == 3
    assert "at 2026-11-17 14:00:00 UTC nothing served" in early.output
    assert "is no moment" in rankloop("releases", "serving", "--at", "noon").output


def test_releases_are_compared(place: World, rankloop: Rankloop) -> None:
    place.register(OLD, NEW)
    done = rankloop("releases", "diff", OLD, NEW)
    assert done.exit_code == 0, done.output
    assert "files: 1 changed, 0 added, 0 removed, 0 the same" in done.output
    assert "fitted anew: ranker" in done.output


def test_what_only_reads_works_without_a_control_plane(alone: World, rankloop: Rankloop) -> None:
    alone.register(OLD)
    for words in (("releases",), ("releases", "show", OLD), ("events",)):
        done = rankloop(*words)
        assert done.exit_code == 0, done.output
        assert OLD in done.output
        assert "no control plane answers: this is read from its record" in done.output
    refused = rankloop("canary", "start", OLD)
    assert refused.exit_code == 1
    assert "rankloop up" in refused.output


def test_a_canary_is_shown_with_its_share_its_evidence_and_its_reasons(place: World, rankloop: Rankloop, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(json.dumps(POLICY))
    canary(place, rankloop, file)
    assert "5 %" in rankloop("canary").output
    place.seen = True
    place.tick()
    shown = rankloop("canary", "show").output
    assert f"{NEW} in slot green against {OLD}: running" in shown
    assert "errors" in shown
    assert "50 %" in shown
    assert NEW in rankloop("canary", "list").output
    assert json.loads(rankloop("canary", "show", "--json").output)["latest"]["decision"]["action"] == "advance"


@pytest.mark.parametrize(("act", "says"), [("pause", "paused, 5 %"), ("promote", "promoted, 100 %"), ("abort", "aborted, 0 %")])
def test_the_canary_under_way_needs_no_name(place: World, rankloop: Rankloop, policy: Path, act: str, says: str) -> None:
    canary(place, rankloop, policy)
    done = rankloop("canary", act, "--why", "a person decides")
    assert done.exit_code == 0, done.output
    assert says in done.output
    newest = place.views.events(kind="canary.*").events[0]
    assert newest.why == "a person decides"


def test_without_a_canary_under_way_it_says_how_to_start_one(place: World, rankloop: Rankloop) -> None:
    assert "no canary is under way" in rankloop("canary", "abort").output
    assert "there was no canary yet" in rankloop("canary", "show").output


def test_a_policy_that_cannot_work_is_refused_before_anything_is_asked(alone: World, rankloop: Rankloop, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("steps: [5, 1]\n")
    done = rankloop("canary", "start", OLD, "--policy", tmp_path / "policy.yaml")
    assert done.exit_code == 1
    assert "steps are [5, 1]" in done.output


@pytest.mark.parametrize(("failed", "code", "says"), [(0, 0, "promoted"), (900, 3, "rolled back")])
def test_watching_ends_with_the_canary_and_its_exit_code_says_how(
    place: World, rankloop: Rankloop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed: int, code: int, says: str
) -> None:
    file = tmp_path / "policy.yaml"
    objective = {"metric": "ctr@10", "aim": "not worse", "rule_out": 0.9}
    file.write_text(json.dumps({**POLICY, "guards": dict.fromkeys(GONE), "objective": objective}))
    monkeypatch.setattr(canary_commands, "_POLL_SECONDS", 0.05)
    canary(place, rankloop, file)
    place.seen, place.failed = True, failed
    ended = threading.Event()

    def loop() -> None:
        while not ended.wait(0.05):
            place.tick()

    turning = threading.Thread(target=loop)
    turning.start()
    if not failed:
        threading.Timer(
            1.0, lambda: place.controller.promote(place.views.canaries().canaries[0].canary_id, who="t", why="t")
        ).start()
    done = rankloop("canary", "watch")
    ended.set()
    turning.join()
    assert done.exit_code == code, done.output
    assert says in done.output.splitlines()[-1]


GONE = ("latency_p95", "latency_p99", "empty", "fallback", "ctr@10", "apply_rate", "ndcg@10", "coverage", "overlap", "score")


def test_a_rollback_goes_through_the_control_plane(place: World, rankloop: Rankloop, policy: Path) -> None:
    canary(place, rankloop, policy)
    done = rankloop("rollback", "--why", "it looks odd")
    assert done.exit_code == 0, done.output
    assert f"{OLD} serves everybody" in done.output
    assert edge(place) == Slots("blue")
    assert place.views.events(kind="canary.rolled_back").events[0].why == "it looks odd"
    assert rankloop("rollback").exit_code == 1


def test_a_rollback_without_a_control_plane_tells_the_edges_and_leaves_an_order(alone: World, rankloop: Rankloop) -> None:
    alone.serving(OLD)
    alone.edges.apply(Slots("blue", canary_bp=700))
    done = rankloop("rollback", "--why", "the control plane is down")
    assert done.exit_code == 0, done.output
    assert "the edges were told directly: slot blue serves everybody" in done.output.replace("\n", " ")
    assert edge(alone) == Slots("blue")
    (order,) = read_orders(alone.settings.home)
    assert order.why == "the control plane is down"


def test_the_history_is_told_oldest_first_and_can_be_chosen_from(place: World, rankloop: Rankloop) -> None:
    place.register(OLD, NEW)
    told = rankloop("events").output
    assert 0 < told.find(OLD) < told.find(NEW)
    chosen = json.loads(rankloop("events", "--subject", NEW, "--json").output)["events"]
    assert [own["subject"] for own in chosen] == [NEW]
    assert "nothing was changed that fits" in rankloop("events", "--until", "2020-01-01").output
    assert "there are older ones" in rankloop("events", "--limit", 1).output
