"""The slots of a stack whose control plane has decided something: it is asked, and the edge follows it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rankloop.errors import StackError
from services import stack
from services.edge import Slots
from services.stack import slots as own
from services.stack.place import Place
from tests.services.both import guarded, served
from tests.services.control.control_world import POLICY, World, world
from tests.services.edge.conftest import Rig, free_ports, shared_rig, start_rig

__all__ = ["shared_rig", "start_rig"]

OLD, NEW = "r20261116-00000001", "r20261117-00000002"


@pytest.fixture
def place(shared_rig: Rig, tmp_path: Path) -> Iterator[World]:
    shared_rig.edge.set_slots(Slots())
    with world(shared_rig, tmp_path) as made:
        yield made


@contextmanager
def up(place: World, rig: Rig, monkeypatch: pytest.MonkeyPatch, *, ticks: bool = True) -> Iterator[None]:
    """The control plane answers, and its loop runs, as a stack would have it."""
    ended = threading.Event()

    def loop() -> None:
        while not ended.wait(0.05):
            place.tick()

    looping = threading.Thread(target=loop)
    with served(place.app) as url:
        settings = place.settings.model_copy(update={"control_port": int(url.rpartition(":")[2])})
        monkeypatch.setattr(own, "_running", lambda _: (Place(settings.home), settings, rig.edge))
        if ticks:
            looping.start()
        try:
            yield
        finally:
            ended.set()
            if ticks:
                looping.join()


def test_what_was_decided_is_changed_through_the_control_plane_and_stays(
    place: World, shared_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    place.serving(OLD)
    place.register(NEW)
    with up(place, shared_rig, monkeypatch):
        assert stack.fill(place.settings, NEW, say=said.append, why="to compare with") == "green"
        assert said[0] == f"{NEW} is being loaded into slot green, where nobody gets it"
        assert stack.weigh(place.settings, 500) == Slots(canary_bp=500)
        assert stack.interleave(place.settings, 70) == Slots(canary_bp=500, interleave_bp=70)
        ticks = place.now
        while (place.now - ticks).total_seconds() < 4:
            assert shared_rig.edge.slots() == Slots(canary_bp=500, interleave_bp=70)
        refusals: tuple[Callable[[], object], ...] = (
            lambda: stack.fill(place.settings, NEW, say=said.append),
            lambda: stack.clear(place.settings),
        )
        for refused in refusals:
            with pytest.raises(StackError, match=r"^slot green has 500 basis points of the units and 70 interleaved; take them"):
                refused()
        assert stack.swap(place.settings) == Slots("green") == shared_rig.edge.slots()
        assert stack.clear(place.settings) == "blue"
        assert stack.clear(place.settings) is None
    assert place.serve.serving == {"green": NEW}
    (filled,) = place.views.events(kind="slots.filled").events
    assert filled.why == "to compare with"


def test_an_empty_slot_is_refused_in_the_same_words(place: World, shared_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    place.serving(OLD)
    with up(place, shared_rig, monkeypatch):
        for change in (stack.weigh, stack.interleave):
            with pytest.raises(StackError, match=r"^slot green holds no release .*`rankloop slots fill RELEASE`"):
                change(place.settings, 100)
            assert change(place.settings, 0) == Slots()
            with pytest.raises(StackError, match="give basis points"):
                change(place.settings, 10_001)
        with pytest.raises(StackError, match=r"^slot green holds no release"):
            stack.swap(place.settings)
        with pytest.raises(StackError, match=r"^there is no release 'r-none' in .*; there is none"):
            stack.fill(place.settings, "r-none", say=print)


def test_a_release_that_cannot_start_is_said_so_and_given_up_by_clearing(
    place: World, shared_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    place.serving(OLD)
    place.register(NEW)
    place.serve.broken.add(NEW)
    with up(place, shared_rig, monkeypatch):
        _, settings, edge = own._running(place.settings)
        impatient = settings.model_copy(update={"start_seconds": 1.0})
        monkeypatch.setattr(own, "_running", lambda _: (Place(settings.home), impatient, edge))
        with pytest.raises(StackError, match=rf"{NEW} did not answer in slot green within 1 s \(.*is altered.*slots clear"):
            stack.fill(place.settings, NEW, say=said.append)
        assert any("is altered" in line for line in said)
        monkeypatch.setattr(own, "_running", lambda _: (Place(settings.home), settings, edge))
        assert stack.clear(place.settings) == "green"
    assert place.serve.serving == {"blue": OLD}


def test_while_a_canary_runs_it_says_what_to_do_instead(place: World, shared_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    place.seen = False
    place.serving(OLD)
    place.register(NEW)
    place.controller.start_canary(NEW, POLICY, who="ada", why="new")
    place.tick(2)
    with up(place, shared_rig, monkeypatch), pytest.raises(StackError, match=f"of {NEW} is running; end it first with"):
        stack.weigh(place.settings, 100)


def test_a_control_plane_that_asks_for_a_token_is_not_passed_by(
    shared_rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared_rig.edge.set_slots(Slots())
    with world(shared_rig, tmp_path, tokens_sha256=guarded(home=tmp_path).tokens_sha256) as place:
        place.serving(OLD)
        with up(place, shared_rig, monkeypatch, ticks=False), pytest.raises(StackError, match="401: the request has no token"):
            stack.weigh(place.settings, 0)


def test_where_nothing_was_decided_or_nobody_answers_the_edge_is_told_itself(
    place: World, shared_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.serve.declare([{"name": "green", "args": {"bento": NEW}}])
    place.serve.details()
    with up(place, shared_rig, monkeypatch):
        assert stack.weigh(place.settings, 500) == Slots(canary_bp=500) == shared_rig.edge.slots()
    settings = place.settings.model_copy(update={"control_port": free_ports(1)[0]})
    monkeypatch.setattr(own, "_running", lambda _: (Place(settings.home), settings, shared_rig.edge))
    assert stack.swap(place.settings) == Slots("green") == shared_rig.edge.slots()
    assert place.views.desired().version == 0
