"""What every online store must do; a store's own tests inherit these and say how it is opened."""

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloop.errors import StateUnavailable
from rankloop.state import ACTS_KEPT, DAY, SESSION_GAP, Act, ItemState, Session, UserState, folded, item_folded
from services.events.records import EventRecord
from services.online import StateStore

NOW = 1_700_000_000_000_000
MINUTE = 60_000_000

Open = Callable[..., StateStore]

_numbers = itertools.count()


def fresh(word: str) -> str:
    """A name that no other test of this process used."""
    return f"{word}-{next(_numbers)}"


def event(event_id: str, user_id: str, item_id: str = "j1", kind: str = "click", ts: int = NOW) -> EventRecord:
    return EventRecord(event_id, ts, ts, user_id, item_id, kind, None, None)


def events(user_id: str, *ts: int, item_id: str = "j1") -> list[EventRecord]:
    """Clicks with ids of their own."""
    return [event(fresh("e"), user_id, item_id, ts=one) for one in ts]


class Model:
    """The store as it should be, in memory, by the library's own functions."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.users: dict[str, UserState] = {}
        self.items: dict[str, ItemState] = {}

    def fold(self, batch: Sequence[EventRecord]) -> int:
        new = 0
        for one in batch:
            if one.event_id not in self.seen:
                act = Act(one.item_id, one.kind, one.ts)
                self.seen.add(one.event_id)
                self.users[one.user_id] = folded(self.users.get(one.user_id), [act])
                self.items[one.item_id] = item_folded(self.items.get(one.item_id), [act])
                new += 1
        return new

    def erase(self, user_id: str, at: int) -> bool:
        state = self.users.get(user_id, UserState())
        self.users[user_id] = UserState(erased_at=max(at, state.erased_at or at))
        return bool(state.counts)


moments = st.one_of(
    st.integers(0, 200).map(lambda minutes: NOW + minutes * MINUTE),
    st.sampled_from([NOW, NOW + SESSION_GAP, NOW + SESSION_GAP + 1, NOW + DAY, NOW - DAY]),
)
drawn_events = st.builds(
    lambda number, user, item, kind, ts: event(f"e{number}", f"u{user}", f"j{item}", kind, ts),
    st.integers(0, 25),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from(["click", "apply", "Ü"]),
    moments,
)
steps = st.lists(
    st.one_of(st.lists(drawn_events, max_size=12), st.tuples(st.integers(0, 2).map(lambda user: f"u{user}"), moments)), max_size=8
)


def own(step: Any, mark: str) -> Any:
    """A step with ids that no other example has."""
    if isinstance(step, tuple):
        return f"{step[0]}{mark}", step[1]
    return [event(e.event_id + mark, e.user_id + mark, e.item_id + mark, e.kind, e.ts) for e in step]


class StateStoreContract:
    """Inherit it and define the fixtures `open_one` (opens the same store again) and `wipe` (makes it forget all)."""

    @pytest.fixture
    def store(self, open_one: Open) -> StateStore:
        return open_one(write=True)

    def test_nothing_is_known_at_first(self, store: StateStore) -> None:
        assert store.user(fresh("u")) is None
        assert store.item(fresh("j")) is None
        assert store.position(fresh("w")) == (0, 0)

    def test_a_folded_event_is_read_by_all(self, store: StateStore, open_one: Open) -> None:
        user, item, source = fresh("u"), fresh("j"), fresh("w")
        assert store.fold(source, (1, 90), [event(fresh("e"), user, item, "apply")], now=NOW) == 1
        reader = open_one()
        assert reader.user(user) == UserState((Act(item, "apply", NOW),), {"apply": 1}, Session(NOW, NOW, 1))
        assert reader.item(item) == ItemState(NOW // DAY, {"apply": 1}, {"apply": 1})
        assert reader.position(source) == (1, 90)

    def test_an_id_counts_once_within_a_batch_across_batches_and_across_sources(self, store: StateStore) -> None:
        user, one, other = fresh("u"), fresh("w"), fresh("w")
        first, second = events(user, NOW, NOW + 1)
        assert store.fold(one, (1, 10), [first, first], now=NOW) == 1
        assert store.fold(one, (1, 20), [first, second], now=NOW) == 1
        assert store.fold(other, (1, 10), [second, first], now=NOW) == 0
        state = store.user(user)
        assert state is not None
        assert state.counts == {"click": 2}
        assert [act.ts for act in state.acts] == [NOW, NOW + 1]

    @pytest.mark.parametrize("position", [(2, 50), (2, 49), (1, 99)])
    def test_a_batch_that_ends_before_the_position_is_left_alone(self, store: StateStore, position: tuple[int, int]) -> None:
        user, source = fresh("u"), fresh("w")
        store.fold(source, (2, 50), [], now=NOW)
        assert store.fold(source, position, events(user, NOW), now=NOW) == 0
        assert store.user(user) is None
        assert store.position(source) == (2, 50)

    def test_a_batch_without_events_moves_the_position(self, store: StateStore) -> None:
        source = fresh("w")
        assert store.fold(source, (1, 10), [], now=NOW) == 0
        assert store.fold(source, (3, 0), [], now=NOW) == 0
        assert store.position(source) == (3, 0)

    def test_a_long_batch_is_applied_whole(self, store: StateStore) -> None:
        user, source = fresh("u"), fresh("w")
        assert store.fold(source, (1, 1), events(user, *range(NOW, NOW + 1001)), now=NOW) == 1001
        state = store.user(user)
        assert state is not None
        assert state.counts == {"click": 1001}
        assert [act.ts for act in state.acts] == list(range(NOW + 1001 - ACTS_KEPT, NOW + 1001))
        assert store.position(source) == (1, 1)

    def test_acts_stay_in_order_when_a_full_state_is_late(self, store: StateStore) -> None:
        user, source = fresh("u"), fresh("w")
        store.fold(source, (1, 1), events(user, *range(NOW, NOW + 1000, 2)), now=NOW)
        store.fold(source, (1, 2), events(user, NOW + 997, NOW + 5, NOW + 601, NOW + 601), now=NOW)
        state = store.user(user)
        assert state is not None
        assert [act.ts for act in state.acts] == sorted([*range(NOW, NOW + 1000, 2), NOW + 997, NOW + 601, NOW + 601])[
            -ACTS_KEPT:
        ]

    def test_any_events_in_any_order_and_any_parts_give_what_the_library_says(self, store: StateStore) -> None:
        @settings(max_examples=60)
        @given(steps=steps)
        def holds(steps: list[Any]) -> None:
            model, source, mark = Model(), fresh("w"), fresh("#")
            for number, step in enumerate(own(step, mark) for step in steps):
                if isinstance(step, tuple):
                    assert store.erase(*step) == model.erase(*step)
                else:
                    assert store.fold(source, (1, number + 1), step, now=NOW) == model.fold(step)
            for name in range(3):
                assert store.user(f"u{name}{mark}") == model.users.get(f"u{name}{mark}")
                assert store.item(f"j{name}{mark}") == model.items.get(f"j{name}{mark}")

        holds()

    def test_an_erased_person_begins_anew(self, store: StateStore) -> None:
        user, source = fresh("u"), fresh("w")
        store.fold(source, (1, 1), events(user, NOW), now=NOW)
        assert store.erase(user, NOW + 10) is True
        assert store.user(user) == UserState(erased_at=NOW + 10)
        store.fold(source, (1, 2), events(user, NOW + 10, NOW + 11), now=NOW)
        assert store.user(user) == UserState(
            (Act("j1", "click", NOW + 11),), {"click": 1}, Session(NOW + 11, NOW + 11, 1), NOW + 10
        )

    def test_a_stranger_can_be_erased_and_an_erasure_is_never_taken_back(self, store: StateStore) -> None:
        user = fresh("u")
        assert store.erase(user, NOW) is False
        assert store.erase(user, NOW - 5) is False
        assert store.user(user) == UserState(erased_at=NOW)

    @pytest.mark.parametrize("name", ["", "é" * 2000, "a\0b", "=", "#x", "a:b", "🙂", "x" * 40, "x" * 70_000], ids=repr)
    def test_any_text_is_an_id(self, store: StateStore, name: str) -> None:
        user, item, source = name + fresh("u") * bool(name), name + fresh("j"), name + fresh("w")
        fold_at = store.position(source)
        assert fold_at == (0, 0)
        assert store.fold(source, (1, 1), [event(name + fresh("e"), user, item, name or "click")], now=NOW) == 1
        state = store.user(user)
        assert state is not None
        assert state.acts[-1] == Act(item, name or "click", NOW)
        assert store.item(item) == ItemState(NOW // DAY, {name or "click": 1}, {name or "click": 1})
        assert store.position(source) == (1, 1)

    def test_a_store_that_is_opened_to_be_read_changes_nothing(self, store: StateStore, open_one: Open) -> None:
        reader = open_one()
        with pytest.raises(StateUnavailable, match="write=True"):
            reader.fold(fresh("w"), (1, 1), [], now=NOW)
        with pytest.raises(StateUnavailable, match="write=True"):
            reader.erase(fresh("u"), NOW)

    def test_what_was_folded_outlives_the_one_who_folded(self, store: StateStore, open_one: Open) -> None:
        user, source = fresh("u"), fresh("w")
        store.fold(source, (1, 7), events(user, NOW), now=NOW)
        store.close()
        store.close()
        again = open_one(write=True)
        assert again.position(source) == (1, 7)
        assert again.fold(source, (1, 7), events(user, NOW), now=NOW) == 0
        state = again.user(user)
        assert state is not None
        assert state.counts == {"click": 1}

    def test_two_who_fold_the_same_count_it_once(self, store: StateStore, open_one: Open) -> None:
        user, source = fresh("u"), fresh("w")
        batch = events(user, *range(NOW, NOW + 300))
        new: list[int] = []

        def fold(one: StateStore) -> None:
            new.extend(one.fold(source, (1, end), batch[end - 30 : end], now=NOW) for end in range(30, 301, 30))

        threads = [threading.Thread(target=fold, args=(one,)) for one in (store, open_one(write=True), open_one(write=True))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        state = store.user(user)
        assert state is not None
        assert state.counts == {"click": 300}
        assert sum(new) == 300
        assert store.position(source) == (1, 300)

    def test_a_store_that_went_back_in_time_is_noticed_and_folded_again(
        self, store: StateStore, wipe: Callable[[], object]
    ) -> None:
        user, source = fresh("u"), fresh("w")
        first, second, third = events(user, NOW, NOW + 1, NOW + 2)
        store.fold(source, (1, 10), [first, second], now=NOW)
        wipe()
        for _ in range(2):
            with pytest.raises(StateUnavailable, match="ask for the position again"):
                store.fold(source, (1, 20), [third], now=NOW)
        assert store.position(source) == (0, 0)
        store.fold(source, (1, 20), [first, second, third], now=NOW)
        state = store.user(user)
        assert state is not None
        assert state.counts == {"click": 3}
