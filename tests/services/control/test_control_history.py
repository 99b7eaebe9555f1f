"""The history: complete, in order, in pages; and what was serving when, from it alone."""

import shutil
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from sqlalchemy import text

from rankloop.errors import Conflict, ControlError, Missing, StackError
from services.control.database import (
    Database,
    Desired,
    ReleaseFacts,
    Serving,
    Session,
    change_desired,
    desired,
    desired_at,
    event,
    events,
    open_database,
    record,
    register,
    serving_at,
)
from services.control.database.engine import connect

NOW = datetime(2026, 11, 17, 14, 5, tzinfo=UTC)
BY = {"who": "ann", "why": "A test."}
NAMES = ("r1", "r2", "r3")


def note(database: Database, count: int, **given: object) -> None:
    """Events of a minute each, from NOW on."""
    with database.begin() as session:
        for number in range(count):
            told = {"kind": "test.noted", "subject": f"s{number}", "at": NOW + timedelta(minutes=number), **BY} | given
            record(session, **told)


def change(database: Database, wanted: Desired, at: datetime = NOW, **given: object) -> Desired:
    """From the present version on."""
    with database.begin() as session:
        told = {"expected_version": desired(session).version, "kind": "test.changed", "at": at, **BY} | given
        return change_desired(session, wanted, **told)


def test_an_event_says_who_what_when_and_why(any_database: Database) -> None:
    east = timezone(timedelta(hours=2))
    with any_database.begin() as session:
        at = NOW.astimezone(east)
        made = record(session, kind="release.noted", subject="r1", who="ann", why="To see.", at=at, facts={"numbers": [1, 2.5]})
    assert (made.kind, made.subject, made.who, made.why, made.facts) == (
        "release.noted",
        "r1",
        "ann",
        "To see.",
        {"numbers": [1, 2.5]},
    )
    assert (made.at, made.at.utcoffset()) == (NOW, timedelta(0))
    with any_database.read() as session:
        assert event(session, made.id) == made
        assert events(session) == [made]


@pytest.mark.parametrize("missing", ["who", "why"])
def test_an_event_without_who_or_why_is_refused(database: Database, missing: str) -> None:
    with pytest.raises(ControlError, match="say both"), database.begin() as session:
        record(session, **({"kind": "a.b", "subject": "c", "at": NOW, **BY} | {missing: " "}))


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(ControlError, match="says no time zone"), database.begin() as session:
        record(session, kind="a.b", subject="c", at=NOW.replace(tzinfo=None), **BY)


def test_an_unknown_event_is_refused(database: Database) -> None:
    with pytest.raises(ControlError, match="there is no event 7"), database.read() as session:
        event(session, 7)


@pytest.mark.parametrize("number", [-(10**30), 10**30])
def test_a_number_no_event_can_have_is_no_error(any_database: Database, number: int) -> None:
    note(any_database, 1)
    with any_database.read() as session:
        assert len(events(session, before=number)) == (number > 0)
        assert len(events(session, after=number)) == (number < 0)
        with pytest.raises(Missing, match="there is no event"):
            event(session, number)


def test_a_time_outside_the_calendar_is_refused(database: Database) -> None:
    first = datetime.min.replace(tzinfo=timezone(timedelta(hours=2)))
    with pytest.raises(ControlError, match="outside the calendar"), database.read() as session:
        serving_at(session, first)


def test_pages_back_from_the_newest_hold_every_event_once(any_database: Database) -> None:
    note(any_database, 11)
    seen, before = [], None
    with any_database.read() as session:
        while page := events(session, before=before, limit=4):
            seen += [one.id for one in page]
            before = page[-1].id
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 11


def test_a_follower_reads_on_from_the_last_event_it_saw(any_database: Database) -> None:
    note(any_database, 3)
    with any_database.read() as session:
        first = events(session, after=0)
    note(any_database, 2, subject="later")
    with any_database.read() as session:
        rest = events(session, after=first[-1].id)
    assert [one.subject for one in first] == ["s0", "s1", "s2"]
    assert [one.subject for one in rest] == ["later", "later"]
    assert [one.id for one in first + rest] == sorted({one.id for one in first + rest})


def test_events_are_found_by_kind_subject_and_time(any_database: Database) -> None:
    note(any_database, 5)
    note(any_database, 1, kind="testing.other", subject="s1")
    minute = timedelta(minutes=1)
    with any_database.read() as session:
        assert {one.kind for one in events(session, kind="test.*")} == {"test.noted"}
        assert len(events(session, kind="testing.other")) == 1
        assert {one.kind for one in events(session, subject="s1")} == {"test.noted", "testing.other"}
        between = events(session, kind="test.noted", since=NOW + minute, until=NOW + 3 * minute)
        assert [one.subject for one in between] == ["s2", "s1"]
        assert events(session, kind="%.*") == []


def change_and_fail(session: Session) -> None:
    change_desired(session, Desired(blue="r1"), expected_version=0, kind="test.changed", at=NOW, **BY)
    record(session, kind="test.failed", subject="", who="", why="", at=NOW)


def test_nothing_is_recorded_of_a_transaction_that_fails(any_database: Database, registered) -> None:
    registered(any_database, *NAMES)
    with any_database.read() as session:
        before = events(session)
    with pytest.raises(ControlError, match="say both"), any_database.begin() as session:
        change_and_fail(session)
    with any_database.read() as session:
        assert events(session) == before
        assert desired(session) == Desired()


def test_before_the_first_change_nothing_serves(any_database: Database) -> None:
    with any_database.read() as session:
        assert desired(session) == Desired()
        assert serving_at(session, NOW) == []


def test_who_served_when_is_told_for_a_canary_from_its_start_to_its_rollback(any_database: Database, registered) -> None:
    registered(any_database, *NAMES)
    hour = timedelta(hours=1)
    first = change(any_database, Desired(blue="r1"))
    loaded = change(any_database, msgspec.structs.replace(first, green="r2"), NOW + hour)
    trial = change(any_database, msgspec.structs.replace(loaded, canary_bp=500), NOW + 2 * hour)
    change(any_database, msgspec.structs.replace(trial, canary_bp=0), NOW + 3 * hour)
    stable = Serving("blue", "r1", 10_000, True)
    idle = Serving("green", "r2", 0, False)
    with any_database.read() as session:
        assert serving_at(session, NOW - timedelta(microseconds=1)) == []
        assert serving_at(session, NOW) == [stable]
        assert serving_at(session, NOW + 1.5 * hour) == [stable, idle]
        shared = [Serving("blue", "r1", 9_500, True), Serving("green", "r2", 500, False)]
        assert serving_at(session, NOW + 2 * hour) == shared
        assert serving_at(session, NOW + 3 * hour - timedelta(microseconds=1)) == shared
        assert serving_at(session, NOW + 9 * hour) == [stable, idle]


def test_after_a_promotion_the_other_slot_is_stable(database: Database, registered) -> None:
    registered(database, *NAMES)
    both = change(database, Desired(blue="r1", green="r2", canary_bp=5000))
    change(database, msgspec.structs.replace(both, stable="green", canary_bp=0), NOW + timedelta(hours=1))
    with database.read() as session:
        now = serving_at(session, NOW + timedelta(hours=2))
        assert now == [Serving("green", "r2", 10_000, True), Serving("blue", "r1", 0, False)]
        assert desired(session).slots().stable == "green"


def test_what_was_serving_needs_nothing_but_the_history(database: Database, registered) -> None:
    registered(database, *NAMES)
    change(database, Desired(blue="r1"))
    with database.begin() as session:
        session.execute(text("DELETE FROM desired"))
    with database.read() as session:
        assert serving_at(session, NOW) == [Serving("blue", "r1", 10_000, True)]


def test_a_change_made_from_an_older_version_is_refused(any_database: Database, registered) -> None:
    registered(any_database, *NAMES)
    change(any_database, Desired(blue="r1"))
    with pytest.raises(Conflict, match="is at version 1, the change was made from 0; look again"):
        change(any_database, Desired(blue="r2"), expected_version=0)
    with any_database.read() as session:
        assert (desired(session).version, desired(session).blue) == (1, "r1")


def test_a_clock_that_runs_behind_never_puts_a_change_before_the_last_one(any_database: Database, registered) -> None:
    registered(any_database, *NAMES)
    change(any_database, Desired(blue="r1"), NOW)
    late = change(any_database, Desired(blue="r2"), NOW - timedelta(hours=1))
    assert late.changed_at == NOW
    with any_database.read() as session:
        assert serving_at(session, NOW - timedelta(minutes=1)) == []
        assert serving_at(session, NOW) == [Serving("blue", "r2", 10_000, True)]


@pytest.mark.parametrize(
    ("wanted", "kind", "why"),
    [
        (Desired(blue="r9"), ControlError, "release 'r9' is not registered"),
        (Desired(green="r1"), ControlError, "slot blue shall have 10000 basis points"),
        (Desired(blue="r1", canary_bp=1), ControlError, "slot green shall have 1 basis points"),
        (Desired(blue="r1", interleave_bp=1), ControlError, "slot green shall have 1 basis points"),
        (Desired(blue="r1", green="r2", canary_bp=10_001), StackError, "from 0 to 10000"),
        (Desired(stable="red"), StackError, "must be one of blue, green"),
    ],
)
def test_what_cannot_be_is_never_desired(database: Database, registered, wanted: Desired, kind: type, why: str) -> None:
    registered(database, *NAMES)
    with pytest.raises(kind, match=why):
        change(database, wanted)
    with database.read() as session:
        assert desired(session) == Desired()


releases_or_none = st.sampled_from((*NAMES, None))
possible = st.builds(
    Desired,
    stable=st.sampled_from(("blue", "green")),
    canary_bp=st.sampled_from((0, 1, 500, 10_000)),
    interleave_bp=st.sampled_from((0, 300)),
    split_seed=st.integers(0, 2**32 - 1),
    blue=releases_or_none,
    green=releases_or_none,
    kept_until=st.none() | st.datetimes(timezones=st.just(UTC)),
)


def held(wanted: Desired) -> list[Serving]:
    """By hand: the stable slot first, then the other one, where they hold a release."""
    other = {"blue": "green", "green": "blue"}[wanted.stable]
    of = {"blue": wanted.blue, "green": wanted.green}
    rows = [(wanted.stable, 10_000 - wanted.canary_bp, True), (other, wanted.canary_bp, False)]
    return [Serving(slot, of[slot], share, stable, wanted.interleave_bp) for slot, share, stable in rows if of[slot]]


@how(max_examples=20)
@given(changes=st.lists(st.tuples(possible, st.integers(-5, 60)), max_size=10), asked=st.floats(-9, 700))
def test_replaying_the_history_equals_what_was_desired_at_every_moment(
    template: Path, changes: list[tuple[Desired, int]], asked: float
) -> None:
    record_of_this_try = shutil.copy(template, template.with_name("try.db"))
    clock, kept = NOW, [(NOW - timedelta(days=1), Desired())]
    with Database(connect(f"sqlite:///{record_of_this_try}")) as database, database.begin() as session:
        for wanted, seconds in changes:
            clock += timedelta(seconds=seconds)
            told = {"expected_version": desired(session).version, "kind": "test.changed", "at": clock, **BY}
            try:
                made = change_desired(session, wanted, **told)
            except ControlError:
                continue
            kept.append((made.changed_at, made))
        assert desired(session) == kept[-1][1]
        for moment in [at for at, _ in kept] + [clock, NOW + timedelta(seconds=asked)]:
            then = [one for at, one in kept if at <= moment][-1]
            assert desired_at(session, moment) == then
            assert serving_at(session, moment) == held(then)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record that knows three releases, to copy."""
    file = tmp_path_factory.mktemp("template") / "record.db"
    with open_database(f"sqlite:///{file}") as database, database.begin() as session:
        for name in NAMES:
            register(session, facts_of(name), at=NOW, **BY)
    return file


def facts_of(name: str) -> ReleaseFacts:
    return ReleaseFacts(
        release_id=name,
        bento=name,
        bundle=name,
        as_of=NOW,
        created_at=NOW,
        surfaces=(),
        retrievers=(),
        ranker="none",
        features=(),
        numbers={},
        lineage={},
        files={},
    )
