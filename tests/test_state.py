"""The state of people and items, and how acts change it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.state import ACTS_KEPT, DAY, SESSION_GAP, Act, ItemState, Session, UserState, folded, item_folded

MINUTE = 60_000_000

moments = st.integers(min_value=0, max_value=3 * DAY)
acts = st.lists(st.builds(Act, st.sampled_from(["a", "b", "c"]), st.sampled_from(["click", "apply"]), moments), max_size=40)


def clicks(*ts: int) -> list[Act]:
    return [Act(f"j{one}", "click", one) for one in ts]


def test_acts_are_in_order_of_time_however_they_come() -> None:
    assert [act.ts for act in folded(None, clicks(30, 10, 20)).acts] == [10, 20, 30]


def test_of_equal_moments_the_first_to_come_is_first() -> None:
    state = folded(None, [Act("x", "click", 5), Act("later", "click", 9), Act("y", "click", 5)])
    assert [act.item_id for act in state.acts] == ["x", "y", "later"]


def test_only_the_newest_acts_are_kept_and_all_are_counted() -> None:
    state = folded(None, clicks(*range(ACTS_KEPT + 50)))
    assert [act.ts for act in state.acts] == list(range(50, ACTS_KEPT + 50))
    assert state.counts == {"click": ACTS_KEPT + 50}


def test_an_act_older_than_all_kept_of_a_full_state_is_only_counted() -> None:
    full = folded(None, clicks(*range(100, 100 + ACTS_KEPT)))
    late = folded(full, [Act("late", "apply", 1)])
    assert late.acts == full.acts
    assert late.counts == {"click": ACTS_KEPT, "apply": 1}


@given(acts, st.integers(min_value=0, max_value=40))
def test_folding_in_parts_is_folding_at_once(given_acts: list[Act], cut: int) -> None:
    assert folded(folded(None, given_acts[:cut]), given_acts[cut:]) == folded(None, given_acts)


@given(acts, st.randoms(use_true_random=False))
def test_the_order_of_coming_changes_no_count_and_no_moment(given_acts: list[Act], random) -> None:
    shuffled = random.sample(given_acts, len(given_acts))
    one, other = folded(None, given_acts), folded(None, shuffled)
    assert one.counts == other.counts
    assert sorted(one.acts, key=str) == sorted(other.acts, key=str)
    assert [act.ts for act in one.acts] == [act.ts for act in other.acts]


@pytest.mark.parametrize(
    ("ts", "session"),
    [
        pytest.param([0], Session(0, 0, 1), id="one act"),
        pytest.param([0, SESSION_GAP], Session(0, SESSION_GAP, 2), id="exactly the gap goes on"),
        pytest.param([0, SESSION_GAP + 1], Session(SESSION_GAP + 1, SESSION_GAP + 1, 1), id="more begins anew"),
        pytest.param([0, 20 * MINUTE, 40 * MINUTE], Session(0, 40 * MINUTE, 3), id="silence counts from the last act"),
        pytest.param([0, 20 * MINUTE, 10 * MINUTE], Session(0, 20 * MINUTE, 3), id="late, inside"),
        pytest.param([10 * MINUTE, 0], Session(0, 10 * MINUTE, 2), id="late, before the beginning"),
        pytest.param([0, 90 * MINUTE, 5 * MINUTE], Session(90 * MINUTE, 90 * MINUTE, 1), id="late, of an older session"),
    ],
)
def test_a_session_ends_with_half_an_hour_of_silence(ts: list[int], session: Session) -> None:
    assert folded(None, clicks(*ts)).session == session


def test_what_was_done_before_an_erasure_stays_forgotten_however_late_it_comes() -> None:
    state = folded(UserState(erased_at=100), clicks(99, 100, 101))
    assert state == UserState(tuple(clicks(101)), {"click": 1}, Session(101, 101, 1), 100)


def test_folding_changes_nothing_it_was_given() -> None:
    before = folded(None, clicks(1))
    folded(before, clicks(2))
    assert before == folded(None, clicks(1))


def test_an_item_counts_its_latest_day_and_all_days() -> None:
    state = item_folded(ItemState(3, {"click": 2}, {"click": 7}), [Act("j", "click", 3 * DAY), Act("j", "save", 2 * DAY)])
    assert state == ItemState(3, {"click": 3}, {"click": 8, "save": 1})


def test_a_new_day_begins_at_zero() -> None:
    state = item_folded(ItemState(3, {"click": 2}, {"click": 7}), [Act("j", "apply", 4 * DAY)])
    assert state == ItemState(4, {"apply": 1}, {"click": 7, "apply": 1})


@given(acts.filter(bool), st.randoms(use_true_random=False), st.integers(min_value=1, max_value=40))
def test_an_item_s_state_depends_on_no_order_and_no_parts(given_acts: list[Act], random, cut: int) -> None:
    shuffled = random.sample(given_acts, len(given_acts))
    assert item_folded(item_folded(None, shuffled[:cut]), shuffled[cut:]) == item_folded(None, given_acts)


@pytest.mark.parametrize("state", [UserState(), folded(UserState(erased_at=1), clicks(2, 3))])
def test_a_state_survives_msgpack(state: UserState) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=UserState) == state
