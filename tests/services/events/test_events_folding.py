"""What people do reaches the online store once, in order, and people who asked are forgotten on the way."""

import pytest

from rankloop.errors import StateUnavailable
from services.events.folding import Folding
from services.events.records import ErasureRecord, RejectedRecord, encode
from services.events.rolling import Sealed, existing

START = 1_772_355_600_000_000


class Failing:
    """A store that is down until it is mended."""

    def __init__(self, store) -> None:
        self.store, self.down = store, True

    def __getattr__(self, name: str):
        if self.down:
            raise StateUnavailable("down")
        return getattr(self.store, name)


@pytest.fixture
def folding(home, store) -> Folding:
    return made(home, store)


def made(home, store, **further) -> Folding:
    def ask(record: ErasureRecord) -> None:
        home.book.ask(record, existing(home.readers), ["online state", "spool"])

    return Folding(home.readers["events"], store, home.book, ask, home.metrics, **further)


def test_events_of_living_and_dead_writers_are_folded(home, store, folding, event) -> None:
    living = home.writer("events")
    home.write("events", [event("e1"), event("e2", item_id="j2")])
    folding.step()
    living.append(encode([event("e3", ts=START + 1)]))
    folding.step()
    assert store.user("u1").counts == {"click": 3}
    assert store.item("j1").total == {"click": 2}
    assert home.value("rankloop_folded_events_total") == 3
    living.close()


def test_what_was_folded_is_not_folded_again_by_another_process(home, store, folding, event) -> None:
    home.write("events", [event("e1")])
    folding.step()
    made(home, store).step()
    assert store.user("u1").counts == {"click": 1}


def test_one_event_in_two_spools_counts_once(home, store, folding, event) -> None:
    home.write("events", [event("e1")])
    home.write("events", [event("e1")])
    folding.step()
    assert store.user("u1").counts == {"click": 1}


def test_refused_events_and_frames_of_another_version_are_passed_over(home, store, folding, event) -> None:
    writer = home.writer("events")
    for frame in (encode([RejectedRecord(START, "kind", b"{}")]), b"\xc1 not ours", encode([event("e1")])):
        writer.append(frame)
    folding.step()
    assert store.user("u1").counts == {"click": 1}
    writer.close()


def test_more_than_a_batch_is_folded_in_one_step(home, store, folding, event) -> None:
    long = "x" * 300_000
    home.write("events", *([event(f"{number}-{long}")] for number in range(8)))
    folding.step()
    assert store.user("u1").counts == {"click": 8}


def test_a_store_that_is_down_loses_nothing_and_the_lag_says_so(home, store, event) -> None:
    now = [100.0]
    broken = Failing(store)
    folding = made(home, broken, clock=lambda: now[0])
    home.write("events", [event("e1")])
    with pytest.raises(StateUnavailable):
        folding.step()
    now[0] += 30
    assert home.value("rankloop_fold_lag_seconds") == 30
    broken.down = False
    folding.step()
    assert store.user("u1").counts == {"click": 1}
    assert home.value("rankloop_fold_lag_seconds") == 0


def test_a_segment_is_passed_when_all_of_it_is_folded(home, folding, event) -> None:
    sealed = home.write("events", [event("e1")])
    segment = home.readers["events"].path(sealed, 1)
    segment.write_bytes(segment.read_bytes() + b"torn")
    living = home.writer("events")
    living.append(encode([event("e2")]))
    assert not folding.passed(Sealed("events", sealed, 1))
    folding.step()
    assert folding.passed(Sealed("events", sealed, 1))
    assert not folding.passed(Sealed("events", living.name, 1))
    assert folding.passed(Sealed("impressions", "whoever", 1))
    living.close()


def test_an_erasure_forgets_what_came_before_and_keeps_what_comes_after(home, store, folding, event) -> None:
    before = [event("e1"), event("e2", "u2")]
    home.write("events", before, [ErasureRecord("receipt", "u1", START + 5)], [event("e3", ts=START + 9, item_id="j9")])
    folding.step()
    state = store.user("u1")
    assert ([act.item_id for act in state.acts], state.counts, state.erased_at) == (["j9"], {"click": 1}, START + 5)
    assert store.user("u2").counts == {"click": 1}
    (pending,) = home.book.pending()
    assert pending.rows["online state"] == {"state": 1}
    assert list(pending.done) == ["online state"]
    assert len(pending.segments) == 1


def test_what_another_collector_took_before_the_erasure_is_not_folded_after_it(home, store, folding, event) -> None:
    home.write("events", [ErasureRecord("receipt", "u1", START + 5)])
    folding.step()
    home.write("events", [event("e1"), event("e2", ts=START + 99, received=START + 4), event("e3", ts=START + 6)])
    folding.step()
    assert store.user("u1").counts == {"click": 1}


def test_events_in_the_frame_of_an_erasure_follow_the_same_rule(home, store, folding, event) -> None:
    erasure = ErasureRecord("receipt", "u1", START + 5)
    home.write("events", [event("e0")], [event("e1"), erasure, event("e2", ts=START + 6), event("e3", "u2")])
    folding.step()
    assert store.user("u1").counts == {"click": 1}
    assert store.user("u2").counts == {"click": 1}


def test_an_erasure_that_a_crash_cut_short_is_done_again(home, store, event) -> None:
    class Crash(Exception):
        pass

    class Crashing(Failing):
        def erase(self, user_id: str, at: int) -> bool:
            self.store.erase(user_id, at)
            raise Crash

    broken = Crashing(store)
    broken.down = False
    home.write("events", [event("e1")], [ErasureRecord("receipt", "u1", START + 5)])
    with pytest.raises(Crash):
        made(home, broken).step()
    made(home, store).step()
    assert store.user("u1").counts == {}
    assert [one.receipt_id for one in home.book.pending()] == ["receipt"]
