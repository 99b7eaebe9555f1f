"""The control plane on a real HAProxy and a real record: what is asked becomes the record, and the world follows it."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as changed

from benchmarks.controls.plant import Plant, Seen, facts, plant
from benchmarks.load.child import short_folder
from rankloop.canary import Observation
from rankloop.errors import Conflict, ControlError, SettingsError, StackError
from services.control import database as db
from services.control.controller import Controller
from services.control.database import Database
from services.control.drivers import LocalEdge, RayServer, SocketEdges, Warmth, take_back
from services.control.jobs import Jobs
from services.control.trying import ATTEMPTS
from services.edge import Slots

FIRST, SECOND, THIRD = "r-first", "r-second", "r-third"
EASY: dict[str, Any] = {
    "steps": [1000, 5000],
    "min_seconds": 0.0,
    "interval_seconds": 10.0,
    "min_units": 2,
    "keep_warm_seconds": 100.0,
    "guards": dict.fromkeys(
        ("latency_p95", "latency_p99", "empty", "fallback", "ctr@10", "ndcg@10", "coverage", "overlap", "score")
    ),
}


class Bench:
    """One control plane with a clock that is turned by hand."""

    def __init__(self, made: Plant, database: Database, **options: Any) -> None:
        self.plant, self.database = made, database
        self.moment = datetime(2026, 11, 17, 14, 5, tzinfo=UTC)
        self.controller = self.another(**options)

    def another(self, **options: Any) -> Controller:
        return self.plant.controller(
            self.database, **({"clock": lambda: self.moment, "keep_warm_seconds": 100.0, "holder": "bench"} | options)
        )

    def later(self, seconds: float = 10.0) -> None:
        self.moment += timedelta(seconds=seconds)
        self.controller.tick()

    def serve(self, *names: str) -> None:
        """Lets releases serve, one after the other."""
        for name in names:
            self.controller.serve_now(name, who="ada", why="it is there")
            self.controller.tick()
            assert self.state(name) == "serving"

    def canary(self, name: str, **policy: Any) -> str:
        """A canary with its first share."""
        canary_id = self.controller.start_canary(name, EASY | policy, who="ada", why="it is better")
        self.controller.tick()
        return canary_id

    @property
    def desired(self) -> db.Desired:
        with self.database.read() as session:
            return db.desired(session)

    @property
    def edge(self) -> Slots:
        return self.plant.edge().slots()

    def state(self, name: str) -> str:
        with self.database.read() as session:
            return db.release(session, name).state

    def status(self, canary_id: str) -> str:
        with self.database.read() as session:
            return db.canary(session, canary_id).status

    def kinds(self, kind: str) -> list[db.Event]:
        with self.database.read() as session:
            return db.events(session, kind=kind)


@pytest.fixture(scope="module")
def shared_plant() -> Iterator[Plant]:
    with short_folder() as home, plant(home) as made:
        yield made


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with db.open_database(f"sqlite:///{tmp_path / 'record.db'}") as opened:
        yield opened


@pytest.fixture
def bench(shared_plant: Plant, database: Database) -> Bench:
    made = shared_plant.reset("")
    made.register(database, FIRST, SECOND, THIRD, "r-bad", "r-broken", "r-failing")
    return Bench(made, database)


def test_nothing_is_touched_until_something_was_decided(bench: Bench) -> None:
    by_hand = Slots(stable="green", canary_bp=300)
    bench.plant.edge().set_slots(by_hand)
    assert bench.controller.tick()
    assert bench.edge == by_hand


def test_the_first_release_serves_once_it_answers_and_was_tried(bench: Bench) -> None:
    told = bench.controller.serve_now(FIRST, who="ada", why="the first one")
    assert "as soon as it answers" in told.said
    assert (bench.state(FIRST), bench.controller.status().waiting) == ("warming", FIRST)
    bench.controller.tick()
    assert (bench.state(FIRST), bench.controller.status().waiting) == ("serving", None)
    assert bench.plant.declared() == {"blue": FIRST}
    served = bench.kinds("release.served")[0]
    assert (served.who, served.why) == ("ada", "the first one")


def test_another_release_that_serves_at_once_takes_the_idle_slot_and_the_old_one_stays_warm(bench: Bench) -> None:
    bench.serve(FIRST, SECOND)
    assert (bench.desired.stable, bench.edge.stable) == ("green", "green")
    assert bench.plant.declared() == {"blue": FIRST, "green": SECOND}
    assert bench.state(FIRST) == "kept warm"
    bench.later(101)
    bench.controller.tick()
    assert bench.plant.declared() == {"green": SECOND}
    assert bench.state(FIRST) == "retired"


def test_to_serve_what_serves_already_changes_nothing(bench: Bench) -> None:
    bench.serve(FIRST)
    before = bench.desired
    assert "already" in bench.controller.serve_now(FIRST, who="ada").said
    assert bench.desired == before


def test_a_canary_gets_its_shares_in_turn_and_is_promoted(bench: Bench) -> None:
    bench.serve(FIRST)
    canary_id = bench.canary(SECOND)
    assert (bench.edge.canary_bp, bench.state(SECOND)) == (1000, "canary")
    bench.later()
    assert bench.edge.canary_bp == 5000
    bench.later()
    assert bench.edge == Slots(stable="green")
    assert (bench.status(canary_id), bench.state(SECOND), bench.state(FIRST)) == ("promoted", "serving", "kept warm")
    assert len(bench.kinds("canary.promoted")) == 1
    with bench.database.read() as session:
        assert [step.decision["action"] for step in db.steps(session, canary_id)] == ["advance", "promote"]


def test_a_canary_is_judged_once_an_interval(bench: Bench) -> None:
    bench.serve(FIRST)
    canary_id = bench.canary(SECOND)
    for _ in range(3):
        bench.controller.tick()
    with bench.database.read() as session:
        assert len(db.steps(session, canary_id)) == 1


def test_a_breach_rolls_a_canary_back_and_its_slot_is_emptied_later(bench: Bench) -> None:
    bench.serve(FIRST)
    canary_id = bench.canary("r-bad")
    bench.later()
    assert bench.edge == Slots()
    assert (bench.status(canary_id), bench.state("r-bad"), bench.state(FIRST)) == ("rolled back", "rolled back", "serving")
    assert bench.plant.declared() == {"blue": FIRST, "green": "r-bad"}
    bench.later(101)
    bench.controller.tick()
    assert bench.plant.declared() == {"blue": FIRST}


def test_a_release_that_fails_its_trial_gets_nobody(bench: Bench) -> None:
    bench.serve(FIRST)
    canary_id = bench.canary("r-failing")
    assert (bench.status(canary_id), bench.state("r-failing"), bench.edge) == ("failed", "registered", Slots())
    refused = bench.kinds("canary.failed")[0]
    assert refused.who == "rankloop"
    assert "of 3 requests to try it by, 3 failed" in refused.why
    bench.controller.tick()
    assert bench.plant.declared() == {"blue": FIRST}


def test_a_release_that_is_too_slow_gets_nobody(bench: Bench) -> None:
    slow = Warmth(requests=9, failed=0, empty=0, p50_ms=400.0, p95_ms=1200.0)
    bench.serve(FIRST)
    bench.controller = bench.another(tried=lambda *_: slow)
    canary_id = bench.canary(SECOND)
    assert bench.status(canary_id) == "failed"
    assert "longer than 1200 ms; at most 1000 ms" in bench.kinds("canary.failed")[0].why


def test_a_release_that_does_not_start_is_given_up_after_some_attempts(bench: Bench) -> None:
    bench.serve(FIRST)
    canary_id = bench.canary("r-broken")
    for attempt in range(1, ATTEMPTS):
        assert (bench.status(canary_id), attempt) == ("warming", attempt)
        assert "slot green" in bench.controller.status().faults
        bench.later(11)
    assert bench.status(canary_id) == "failed"
    assert "DEPLOY_FAILED" in bench.kinds("canary.failed")[0].why
    bench.later()
    assert bench.controller.status().faults == {}
    assert [len(bench.kinds(kind)) for kind in ("fault.begun", "fault.over")] == [1, 1]


def test_a_first_release_that_is_refused_leaves_room_for_another(bench: Bench) -> None:
    bench.controller.serve_now("r-failing", who="ada")
    bench.controller.tick()
    assert bench.state("r-failing") == "registered"
    with pytest.raises(Conflict, match="no release served before"):
        bench.controller.rollback(who="ada")
    bench.serve(FIRST)
    assert bench.plant.declared()["blue"] == FIRST


def test_a_canary_is_refused_with_the_reason(bench: Bench) -> None:
    start = bench.controller.start_canary
    with pytest.raises(Conflict, match="nothing serves that r-second could be compared with"):
        start(SECOND, EASY, who="ada")
    with pytest.raises(ControlError, match="'r-none' is not registered"):
        start("r-none", EASY, who="ada")
    with pytest.raises(SettingsError, match="steps are"):
        start(SECOND, {"steps": []}, who="ada")
    bench.serve(FIRST)
    with pytest.raises(Conflict, match="r-first serves already"):
        start(FIRST, EASY, who="ada")
    bench.canary(SECOND)
    with pytest.raises(Conflict, match="r-second is running; end it first"):
        start(THIRD, EASY, who="ada")
    with pytest.raises(Conflict, match="r-second is running; end it first"):
        bench.controller.serve_now(THIRD, who="ada")


def test_a_release_without_a_bento_cannot_be_loaded(bench: Bench) -> None:
    bench.controller.register(changed(facts("r-bundle"), bento=""), who="ada")
    with pytest.raises(ControlError, match="without a Bento"):
        bench.controller.serve_now("r-bundle", who="ada")


def test_what_the_gate_refused_needs_a_reason(bench: Bench) -> None:
    bench.serve(FIRST)
    bench.controller.register(changed(facts("r-refused"), verdict={"outcome": "fail"}), who="ada")
    with pytest.raises(Conflict, match="the gate said fail of r-refused"):
        bench.controller.start_canary("r-refused", EASY, who="ada", why="it is new")
    bench.controller.start_canary("r-refused", EASY, who="ada", why="it is new", force="the test set is old")
    assert bench.kinds("canary.created")[0].why == "it is new (in spite of the gate: the test set is old)"


def test_a_paused_canary_keeps_its_share_until_it_is_resumed(bench: Bench) -> None:
    bench.serve(FIRST)
    canary_id = bench.canary(SECOND)
    assert bench.controller.pause(canary_id, who="ada", why="lunch").status == "paused"
    bench.later()
    assert (bench.edge.canary_bp, bench.status(canary_id)) == (1000, "paused")
    with pytest.raises(Conflict, match="only one that is running can be paused"):
        bench.controller.pause(canary_id, who="ada")
    bench.controller.resume(canary_id, who="ada", why="after lunch")
    bench.later()
    assert bench.edge.canary_bp == 5000
    assert [(own.who, own.why) for own in bench.kinds("canary.paused")] == [("ada", "lunch")]


def test_a_canary_is_promoted_by_hand_at_once_and_only_once(bench: Bench) -> None:
    bench.serve(FIRST)
    canary_id = bench.canary(SECOND)
    assert bench.controller.promote(canary_id, who="ada", why="it must go out").desired.stable == "green"
    assert bench.edge == Slots(stable="green")
    for act in (bench.controller.promote, bench.controller.abort, bench.controller.pause):
        with pytest.raises(Conflict, match="is promoted"):
            act(canary_id, who="ada")


def test_a_canary_that_is_warming_cannot_be_promoted_and_can_be_aborted(bench: Bench) -> None:
    bench.serve(FIRST)
    canary_id = bench.controller.start_canary(SECOND, EASY, who="ada")
    with pytest.raises(Conflict, match="has answered nobody yet"):
        bench.controller.promote(canary_id, who="ada")
    bench.controller.abort(canary_id, who="ada", why="the wrong one")
    assert (bench.status(canary_id), bench.state(SECOND), bench.desired.green) == ("aborted", "registered", None)
    bench.controller.tick()
    assert bench.plant.declared() == {"blue": FIRST}


def test_a_rollback_ends_a_canary_before_it_answers(bench: Bench) -> None:
    bench.serve(FIRST)
    canary_id = bench.canary(SECOND)
    told = bench.controller.rollback(who="ada", why="complaints")
    assert bench.edge == Slots()
    assert told.said == "r-second has nobody any more; r-first serves everybody"
    assert (bench.status(canary_id), bench.state(SECOND)) == ("rolled back", "rolled back")
    with bench.database.read() as session:
        assert db.canary(session, canary_id).state["status"] == "rolled back"


def test_a_rollback_to_a_warm_slot_is_one_write_and_loads_nothing(bench: Bench) -> None:
    bench.serve(FIRST, SECOND)
    passed: list[str] = []
    bench.controller = bench.another(passed=passed.append)
    told = bench.controller.rollback(who="ada", why="complaints")
    assert (told.said, bench.edge) == ("r-first serves everybody", Slots())
    assert [name for name in passed if name.startswith("before")] == ["before rolled back", "before edges"]
    assert (bench.state(FIRST), bench.state(SECOND)) == ("serving", "rolled back")


def test_a_rollback_loads_what_is_no_longer_warm(bench: Bench) -> None:
    bench.serve(FIRST, SECOND)
    bench.later(101)
    bench.controller.tick()
    told = bench.controller.rollback(who="ada", why="complaints")
    assert told.said == "r-first is being loaded into slot blue, and serves everybody as soon as it answers"
    assert "already" in bench.controller.rollback(who="bob", why="the same").said
    bench.controller.tick()
    assert (bench.edge, bench.state(FIRST), bench.state(SECOND)) == (Slots(), "serving", "rolled back")


def test_two_rollbacks_do_not_go_back_to_what_was_rolled_back(bench: Bench) -> None:
    bench.serve(FIRST, SECOND)
    bench.controller.rollback(who="ada")
    with pytest.raises(Conflict, match="no release served before"):
        bench.controller.rollback(who="ada")
    assert bench.edge == Slots()


def test_a_rollback_stops_a_release_that_is_being_loaded(bench: Bench) -> None:
    bench.serve(FIRST)
    bench.controller.serve_now(SECOND, who="ada")
    assert "will not serve" in bench.controller.rollback(who="ada").said
    bench.controller.tick()
    assert (bench.edge, bench.plant.declared(), bench.state(SECOND)) == (Slots(), {"blue": FIRST}, "registered")


def test_an_edge_that_somebody_changed_is_put_right_and_the_history_says_so(bench: Bench) -> None:
    bench.serve(FIRST)
    bench.plant.edge().set_slots(Slots(canary_bp=4000))
    bench.controller.tick()
    bench.controller.tick()
    assert bench.edge == Slots()
    (told,) = bench.kinds("edges.corrected")
    assert told.facts["local"]["canary_bp"] == 4000


def test_an_edge_that_is_away_stops_neither_the_others_nor_a_rollback(bench: Bench, tmp_path: Path) -> None:
    bench.serve(FIRST)
    away = str(tmp_path / "away.sock")
    edges = SocketEdges([str(bench.plant.home / "edge.sock"), away], seconds=1.0)
    bench.controller = bench.another(edges=edges)
    for _ in range(3):
        bench.later()
    assert away in bench.controller.status().faults["edges"]
    assert len(bench.kinds("fault.begun")) == 1
    canary_id = bench.controller.start_canary  # an edge that may send people anywhere leaves the slots as they are
    with pytest.raises(StackError, match="1 of 2 edges did not take"):
        canary_id(SECOND, EASY, who="ada")
    bench.later()
    assert bench.plant.declared() == {"blue": FIRST}
    with pytest.raises(StackError, match="1 of 2 edges did not take"):
        bench.controller.rollback(who="ada")
    assert bench.desired.canary_bp == 0


def test_a_stable_slot_that_lost_its_release_is_filled_again(bench: Bench) -> None:
    bench.serve(FIRST, SECOND)
    bench.plant.reset("")
    bench.controller.tick()
    bench.controller.tick()
    assert bench.edge.stable == "green"
    assert bench.plant.declared() == {"green": SECOND, "blue": FIRST}


def test_serve_that_is_away_is_a_fault_and_a_canary_is_judged_meanwhile(bench: Bench) -> None:
    bench.serve(FIRST)
    canary_id = bench.canary(SECOND)

    class Away(RayServer):
        def holds(self) -> dict[str, str | None]:
            raise StackError("Ray's dashboard does not answer")

    bench.controller = bench.another(server=Away(bench.plant.behind))
    bench.later()
    assert bench.controller.status().faults == {"serve": "Ray's dashboard does not answer"}
    assert bench.edge.canary_bp == 5000
    bench.later()
    assert bench.status(canary_id) == "promoted"


def test_a_canary_of_which_nothing_can_be_seen_holds_and_is_a_fault(bench: Bench) -> None:
    class Blind:
        def observe(self, stable: str, canary: str, since: float) -> Observation | None:
            return None

    bench.serve(FIRST)
    bench.controller = bench.another(observer=Blind())
    canary_id = bench.canary(SECOND)
    for _ in range(5):
        bench.later()
    assert (bench.status(canary_id), bench.edge.canary_bp) == ("running", 1000)
    assert "nothing could be observed" in bench.controller.status().faults["observation"]
    assert len(bench.kinds("fault.begun")) == 1
    bench.controller = bench.another(observer=Seen(bench.database))  # another process, which knows the fault from the record
    bench.later()
    assert bench.edge.canary_bp == 5000
    assert [len(bench.kinds(kind)) for kind in ("fault.begun", "fault.over")] == [1, 1]


def test_a_rollback_past_the_control_plane_becomes_the_record_once(bench: Bench) -> None:
    bench.serve(FIRST)
    bench.controller = bench.another(home=bench.plant.home)
    canary_id = bench.canary(SECOND)
    edge = LocalEdge(bench.plant.edge())
    take_back(bench.plant.settings, who="ada", why="no control plane", now=bench.moment, edges=edge)
    orders = bench.plant.home / "control" / "orders"
    (file,) = orders.glob("*.json")
    kept = file.read_bytes()
    bench.later()
    assert (bench.status(canary_id), bench.desired.canary_bp, bench.edge) == ("rolled back", 0, Slots())
    file.write_bytes(kept)  # as after a kill between the transaction and its removal
    version = bench.desired.version
    bench.later()
    assert (bench.desired.version, list(orders.glob("*.json"))) == (version, [])
    (told,) = bench.kinds("rollback.direct")
    assert (told.who, told.why) == ("ada", "no control plane")


def test_a_rollback_past_the_control_plane_to_the_release_before_is_not_undone(bench: Bench) -> None:
    bench.serve(FIRST, SECOND)
    bench.controller = bench.another(home=bench.plant.home)
    settings, edge = bench.plant.settings, LocalEdge(bench.plant.edge())
    take_back(settings, who="ada", why="it is bad", now=bench.moment, to_previous=True, edges=edge)
    bench.later()
    assert (bench.edge, bench.desired.stable) == (Slots(), "blue")
    assert (bench.state(FIRST), bench.state(SECOND)) == ("serving", "rolled back")
    assert bench.kinds("edges.corrected") == []


def test_a_command_that_comes_while_the_edges_are_told_is_told_too(bench: Bench) -> None:
    bench.serve(FIRST)
    canary_id = bench.canary(SECOND)
    other, waits = bench.another(), threading.Semaphore(1)

    def passed(name: str) -> None:
        if name == "after edges" and waits.acquire(blocking=False):
            other.rollback(who="bob", why="meanwhile")
            bench.plant.edge().set_slots(replace(bench.edge, canary_bp=5000))  # as if ours had written last

    bench.controller = bench.another(passed=passed)
    bench.later()
    assert (bench.edge, bench.desired.canary_bp) == (Slots(), 0)
    assert bench.status(canary_id) == "rolled back"


def test_what_a_command_changed_meanwhile_is_not_decided_upon(bench: Bench) -> None:
    bench.serve(FIRST)
    canary_id = bench.canary(SECOND)
    other = bench.another()

    def passed(name: str) -> None:
        if name == "after observed":
            with suppress(Conflict):
                other.pause(canary_id, who="bob", why="meanwhile")

    bench.controller = bench.another(passed=passed)
    bench.later()
    assert (bench.status(canary_id), bench.edge.canary_bp) == ("paused", 1000)


def test_a_tick_does_not_wait_for_a_slot_and_an_abort_meanwhile_holds(bench: Bench) -> None:
    bench.serve(FIRST)
    began, may_end = threading.Event(), threading.Event()

    def tried(slot: str, release: db.Release) -> Warmth:
        began.set()
        assert may_end.wait(30)
        return bench.plant.tried(slot, release)

    bench.controller = bench.another(beside=True, tried=tried)
    canary_id = bench.canary(SECOND)
    assert began.wait(30)
    bench.later()
    assert bench.status(canary_id) == "warming"
    bench.controller.abort(canary_id, who="ada")
    may_end.set()
    while "green" in bench.plant.declared():
        bench.later()
    assert (bench.status(canary_id), bench.edge, bench.desired.green) == ("aborted", Slots(), None)


def test_jobs_hand_an_outcome_out_once_and_only_to_who_asked() -> None:
    jobs, may_end = Jobs(), threading.Event()
    assert jobs.outcome("a", lambda: may_end.wait(30)) == (False, None)
    assert jobs.outcome("b", lambda: 2) == (False, None)
    may_end.set()
    while (found := jobs.outcome("b", lambda: 2)) == (False, None):
        pass
    assert found == (True, 2)


def test_what_a_job_raises_is_raised_where_it_is_asked_for() -> None:
    def work() -> None:
        raise StackError("in vain")

    with pytest.raises(StackError, match="in vain"):
        Jobs(beside=False).outcome("a", work)


def test_a_rollback_does_not_wait_for_a_slot_that_hangs(bench: Bench) -> None:
    bench.serve(FIRST, SECOND)
    may_end = threading.Event()

    class Hanging(RayServer):
        def holds(self) -> dict[str, str | None]:
            may_end.wait(30)
            return super().holds()

    bench.controller = bench.another(server=Hanging(bench.plant.behind))
    assert bench.controller.rollback(who="ada", why="it hangs").said == "r-first serves everybody"
    assert bench.edge == Slots()
    may_end.set()


def test_a_release_held_for_comparison_gets_nobody_until_lists_are_interleaved(bench: Bench) -> None:
    bench.serve(FIRST)
    bench.controller.hold(SECOND, who="ada", why="a shadow")
    with pytest.raises(Conflict, match=f"slot green holds no release that answers: {SECOND} is being loaded"):
        bench.controller.interleave(1000, who="ada")
    bench.controller.tick()
    assert (bench.plant.declared(), bench.edge) == ({"blue": FIRST, "green": SECOND}, Slots())
    bench.controller.interleave(1000, who="ada", why="an experiment")
    bench.controller.tick()
    assert bench.edge == Slots(interleave_bp=1000)
    with pytest.raises(Conflict, match="slot green has 0 basis points of the units and 1000 interleaved"):
        bench.controller.start_canary(THIRD, EASY, who="ada")
    bench.controller.interleave(0, who="ada")
    bench.controller.empty(who="ada", why="over")
    bench.controller.tick()
    assert (bench.plant.declared(), bench.edge, bench.state(SECOND)) == ({"blue": FIRST}, Slots(), "retired")


def held(bench: Bench) -> None:
    """FIRST serves, and SECOND answers in the slot green, where nobody gets it."""
    bench.serve(FIRST)
    bench.controller.hold(SECOND, who="ada")
    bench.controller.tick()


def test_a_share_by_hand_stays_until_it_is_taken_away_and_keeps_the_slot_as_it_is(bench: Bench) -> None:
    held(bench)
    told = bench.controller.weigh(2500, who="ada", why="a look at both")
    assert told.said == "slot green gets 2500 basis points of the units, slot blue the rest"
    bench.later(1000.0)
    assert bench.edge == Slots(canary_bp=2500)
    for refused in (
        lambda: bench.controller.hold(THIRD, who="ada"),
        lambda: bench.controller.empty(who="ada"),
        lambda: bench.controller.start_canary(THIRD, EASY, who="ada"),
        lambda: bench.controller.serve_now(THIRD, who="ada"),
    ):
        with pytest.raises(Conflict, match=r"slot green has 2500 basis points .* `rankloop slots weight 0`"):
            refused()
    bench.controller.weigh(0, who="ada")
    bench.controller.empty(who="ada")
    bench.controller.tick()
    assert (bench.edge, bench.plant.declared()) == (Slots(), {"blue": FIRST})
    (last, first) = bench.kinds("slots.weighted")
    assert [(own.who, own.why, own.subject) for own in (first, last)] == [
        ("ada", "a look at both", SECOND),
        ("ada", "no reason was given", SECOND),
    ]


def test_a_swap_by_hand_keeps_the_other_slot_warm_and_again_goes_back(bench: Bench) -> None:
    held(bench)
    bench.controller.weigh(2500, who="ada")
    assert bench.controller.swap(who="ada").said == f"{SECOND} serves everybody; {FIRST} stays warm in slot blue"
    bench.later(99.0)
    assert (bench.edge, bench.state(FIRST), bench.state(SECOND)) == (Slots("green"), "kept warm", "serving")
    bench.controller.swap(who="ada")
    bench.later(99.0)
    assert (bench.edge, bench.state(FIRST), bench.state(SECOND)) == (Slots(), "serving", "kept warm")
    bench.later(2.0)
    bench.later()
    assert (bench.plant.declared(), bench.state(SECOND)) == ({"blue": FIRST}, "retired")


def test_a_rollback_takes_a_share_by_hand_away_and_only_then_goes_back_a_release(bench: Bench) -> None:
    bench.serve(FIRST, SECOND)
    bench.controller.hold(THIRD, who="ada")
    bench.controller.tick()
    bench.controller.weigh(2500, who="ada")
    assert bench.controller.rollback(who="ada").said == f"{THIRD} has nobody any more; {SECOND} serves everybody"
    assert (bench.edge, bench.state(SECOND)) == (Slots("green"), "serving")
    assert FIRST in bench.controller.rollback(who="ada").said


def test_an_empty_slot_gets_no_share_and_is_not_swapped_to(bench: Bench) -> None:
    bench.serve(FIRST)
    for refused in (
        lambda: bench.controller.weigh(1, who="ada"),
        lambda: bench.controller.interleave(1, who="ada"),
        lambda: bench.controller.swap(who="ada"),
    ):
        with pytest.raises(Conflict, match="slot green holds no release that answers; fill it first: `rankloop slots fill"):
            refused()
    bench.controller.weigh(0, who="ada")
    assert bench.edge == Slots()


@pytest.mark.parametrize("canary", [True, False])
def test_while_something_decides_by_itself_the_slots_are_not_changed_by_hand(bench: Bench, canary: bool) -> None:
    bench.serve(FIRST)
    if canary:
        bench.canary(SECOND)
    else:
        bench.controller.serve_now(SECOND, who="ada")
    wanted = bench.desired
    for refused in (
        lambda: bench.controller.hold(THIRD, who="ada"),
        lambda: bench.controller.weigh(0, who="ada"),
        lambda: bench.controller.weigh(10, who="ada"),
        lambda: bench.controller.interleave(10, who="ada"),
        lambda: bench.controller.swap(who="ada"),
        lambda: bench.controller.empty(who="ada"),
    ):
        with pytest.raises(Conflict, match=r"end it first|wait, or `rankloop rollback` ends that"):
            refused()
    assert bench.desired == wanted


def test_the_first_change_by_hand_adopts_what_serves(bench: Bench) -> None:
    served_by_hand(bench, green=FIRST)
    bench.controller.hold(SECOND, who="ada")
    bench.controller.tick()
    assert (bench.edge, bench.plant.declared()) == (Slots("green"), {"green": FIRST, "blue": SECOND})


def test_commands_of_several_threads_leave_the_edge_as_recorded(bench: Bench) -> None:
    bench.serve(FIRST)
    canary_id = bench.canary(SECOND)
    threads = [threading.Thread(target=bench.controller.tick) for _ in range(3)]
    threads += [threading.Thread(target=lambda: bench.controller.rollback(who="ada"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (bench.status(canary_id), bench.edge, bench.desired.canary_bp) == ("rolled back", Slots(), 0)


def served_by_hand(bench: Bench, **held: str) -> None:
    """A stack from before there was a control plane: the slot green serves."""
    for slot, release_id in held.items():
        RayServer(bench.plant.behind).fill(slot, release_id, f"/bentos/{release_id}", say=lambda _: None, seconds=20)
    bench.plant.edge().set_slots(Slots(stable="green"))


def test_what_served_before_the_first_decision_is_adopted(bench: Bench) -> None:
    served_by_hand(bench, green=FIRST)
    bench.canary(SECOND)
    assert bench.edge == Slots(stable="green", canary_bp=1000)
    assert bench.plant.declared() == {"green": FIRST, "blue": SECOND}
    assert bench.state(FIRST) == "serving"


def test_what_serves_unregistered_is_not_replaced_by_a_first_decision(bench: Bench) -> None:
    served_by_hand(bench, green="r-unknown")
    with pytest.raises(ControlError, match="r-unknown serves in slot green and is not registered"):
        bench.controller.serve_now(FIRST, who="ada")
    bench.controller.tick()
    assert (bench.desired.version, bench.plant.declared()) == (0, {"green": "r-unknown"})
