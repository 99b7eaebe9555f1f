"""One look at a canary: three outcomes, and nothing but what was recorded decides."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloop.canary import (
    Coverage,
    Decision,
    Observation,
    Policy,
    State,
    abort,
    pause,
    promote,
    resume,
    start,
    step,
)
from rankloop.errors import Conflict
from tests.canary.worlds import observation, ratio

QUICK = Policy.of({"steps": [100, 1000, 5000], "min_seconds": 60, "max_seconds": 3600, "objective": {"rule_out": 0.05}})


def run_to_last(policy: Policy = QUICK, units: int = 60_000) -> State:
    """A harmless canary at its last share, with what the earlier ones showed."""
    state, now = start(policy, 0.0), 0.0
    while state.step < len(policy.steps) - 1:
        now += 100.0
        seen = observation(now, weight_bp=state.weight_bp, units=units, since=state.step_began)
        decision = step(policy, state, seen, now)
        assert decision.action == "advance"
        state = decision.state
    return state


def test_a_harmless_canary_is_promoted_when_the_objective_is_shown() -> None:
    state = run_to_last()
    now = state.step_began + 100
    decision = step(QUICK, state, observation(now, weight_bp=5000, units=200_000, since=state.step_began), now)
    assert (decision.action, decision.state.status, decision.state.weight_bp) == ("promote", "promoted", 10_000)
    assert decision.reasons == tuple(row.reason for row in decision.evidence if row.needed)
    assert all(row.outcome == "fine" for row in decision.evidence if row.needed)


def test_too_little_traffic_for_the_objective_is_neither_promoted_nor_rolled_back() -> None:
    state = run_to_last(units=30_000)
    now = state.step_began + 100
    decision = step(QUICK, state, observation(now, weight_bp=5000, units=500, since=state.step_began), now)
    assert (decision.action, decision.state.status, decision.state.weight_bp) == ("continue", "running", 5000)
    assert any("not shown yet" in reason for reason in decision.reasons)


@pytest.mark.parametrize(
    ("fault", "metric"),
    [
        ({"failed": 40}, "errors"),
        ({"slower": 1.6}, "latency_p95"),
        ({"empty": 0.1}, "empty"),
        ({"fallback": 0.2}, "fallback"),
        ({"ctr": 0.2}, "ctr@10"),
        ({"apply_rate": 0.05}, "apply_rate"),
        ({"ndcg": 0.25}, "ndcg@10"),
        ({"coverage": Coverage(places=3000, canary=500.0, stable=1000.0, variance=400.0)}, "coverage"),
        ({"overlap": ratio(800, 0.03, lists=10)}, "overlap"),
    ],
)
@pytest.mark.parametrize("paused", [False, True])
def test_a_breach_rolls_back_at_the_first_observation_that_shows_it(fault, metric: str, paused: bool) -> None:
    state = start(QUICK, 0.0)
    state = pause(state, 5.0, "lunch") if paused else state
    decision = step(QUICK, state, observation(10.0, units=100_000, **fault), 10.0)
    assert (decision.action, decision.state.status, decision.state.weight_bp) == ("roll back", "rolled back", 0)
    assert any(reason.startswith(metric) and "surely worse" in reason for reason in decision.reasons)


def test_a_share_is_not_left_before_its_time_nor_before_its_units() -> None:
    state = start(QUICK, 0.0)
    early = step(QUICK, state, observation(59.0), 59.0)
    few = step(QUICK, state, observation(100.0, units=10_000), 100.0)
    assert [early.action, few.action] == ["continue", "continue"]
    assert early.reasons == ("The share of 1 % holds for 59 of 60 s.",)
    assert few.reasons == ("The canary had 100 of the 200 units that a share needs.",)
    assert step(QUICK, state, observation(60.0), 60.0).action == "advance"


def test_a_broken_split_pauses_and_whoever_resumes_takes_it_as_it_is() -> None:
    state = start(QUICK, 0.0)
    broken = observation(60.0, canary_units=600)
    decision = step(QUICK, state, broken, 60.0)
    assert (decision.action, decision.state.status, decision.state.weight_bp) == ("pause", "paused", 100)
    assert "600 of 30,300 units where 303 are expected" in decision.reasons[0]
    resumed = resume(decision.state, 70.0, "the shadow's units were counted twice")
    assert step(QUICK, resumed, broken, 70.0).action == "advance"


@pytest.mark.parametrize(
    ("when_late", "action", "status"), [("hold", "hold", "running"), ("roll back", "roll back", "rolled back")]
)
def test_what_is_late_holds_or_ends_by_policy(when_late: str, action: str, status: str) -> None:
    policy = Policy.of({"max_seconds": 900, "when_late": when_late})
    decision = step(policy, start(policy, 0.0), None, 901.0)
    assert (decision.action, decision.state.status) == (action, status)
    assert decision.reasons[0] == "The share of 1 % holds for 901 s, 900 s are the longest."
    assert decision.state.late is (when_late == "hold")


def test_a_pause_makes_nothing_late() -> None:
    policy = Policy.of({"max_seconds": 900, "when_late": "roll back"})
    state = pause(start(policy, 0.0), 100.0, "night")
    assert step(policy, state, None, 9000.0).action == "hold"
    state = resume(state, 9000.0, "morning")
    assert step(policy, state, None, 9000.0 + 800).action == "hold"
    assert step(policy, state, None, 9000.0 + 801).action == "roll back"


def test_what_was_late_and_gets_its_evidence_is_late_no_more() -> None:
    policy = Policy.of({"max_seconds": 900, "min_seconds": 60})
    late = step(policy, start(policy, 0.0), None, 901.0).state
    after = step(policy, late, observation(910.0), 910.0)
    assert (after.action, after.state.late) == ("advance", False)


def test_an_observation_of_another_share_is_not_used() -> None:
    decision = step(QUICK, start(QUICK, 0.0), observation(weight_bp=1000, failed=900), 600.0)
    assert decision.action == "hold"
    assert decision.reasons == ("What was observed is of 10 %, the canary has 1 %: not used.",)


def test_counters_that_begin_anew_lose_nothing_that_was_seen() -> None:
    state = start(QUICK, 0.0)
    before = observation(30.0, units=25_000, failed=2)
    after = observation(50.0, since=40.0, units=25_000, failed=2)
    state = step(QUICK, state, before, 30.0).state
    decision = step(QUICK, state, after, 50.0)
    errors = next(row for row in decision.evidence if row.metric == "errors")
    assert decision.state.finished == (before,)
    assert errors.reason.startswith("errors: 4 of 1,500 requests")


@pytest.mark.parametrize("end", [promote, abort])
def test_what_has_ended_stays_so(end) -> None:
    state = end(start(QUICK, 0.0), 5.0, "said so")
    assert step(QUICK, state, observation(10.0, failed=300), 10.0).state == state
    for change in (pause, resume, promote, abort):
        with pytest.raises(Conflict, match="the canary is"):
            change(state, 6.0, "again")


def test_only_what_runs_is_paused_and_only_what_is_paused_resumed() -> None:
    state = start(QUICK, 0.0)
    with pytest.raises(Conflict, match="only a paused one"):
        resume(state, 1.0, "why")
    with pytest.raises(Conflict, match="only one that is running"):
        pause(pause(state, 1.0, "why"), 2.0, "why")


SEEN = st.builds(
    observation,
    at=st.floats(0, 5000),
    weight_bp=st.sampled_from(QUICK.steps),
    units=st.integers(0, 50_000),
    since=st.sampled_from([0.0, 100.0, 2000.0]),
    failed=st.integers(0, 30),
    apply_rate=st.floats(0, 0.3),
    empty=st.floats(0, 0.02),
    slower=st.sampled_from([0.8, 1.0, 1.3]),
    coverage=st.none() | st.builds(Coverage, st.just(100), st.floats(1, 90), st.floats(1, 90), st.floats(0, 50)),
)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.none() | SEEN, st.floats(1, 900)), max_size=8))
def test_decisions_replay_to_the_byte_and_the_share_falls_only_when_it_ends(looks) -> None:
    state, now = start(QUICK, 0.0), 0.0
    for seen, later in looks:
        now += later
        kept = msgspec.json.encode((QUICK, state, seen))
        decision = step(QUICK, state, seen, now)
        policy, before, again = msgspec.json.decode(kept, type=tuple[Policy, State, Observation | None])
        written = msgspec.json.encode(decision)
        assert msgspec.json.encode((QUICK, state, seen)) == kept, "its arguments are as they were"
        assert msgspec.json.encode(step(policy, before, again, now)) == written
        assert msgspec.json.decode(written, type=Decision) == decision
        assert decision.reasons
        assert decision.state.weight_bp >= state.weight_bp or decision.action == "roll back"
        assert seen is not None or not decision.state.ended or state.ended
        state = decision.state


@settings(max_examples=30)
@given(st.lists(st.floats(0.1, 500), max_size=20), st.booleans())
def test_a_canary_without_traffic_never_fails_and_never_passes(pauses: list[float], counted: bool) -> None:
    state, now = start(QUICK, 0.0), 0.0
    for later in pauses:
        now += later
        seen = observation(now, units=30_000, canary_units=0) if counted and now < 40 else None
        state = step(QUICK, state, seen, now).state
        assert state.status in ("running", "paused")
        assert state.step == 0
