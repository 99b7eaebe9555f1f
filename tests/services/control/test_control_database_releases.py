"""Releases and canaries in the record."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from rankloop.bundle import Bundle
from rankloop.canary import LATENCY_EDGES, Arm, Observation, Ratio
from rankloop.errors import BundleError, Conflict, ControlError, DataError, Missing
from services.control.database import (
    Canary,
    Database,
    ReleaseFacts,
    active_canary,
    canaries,
    canary,
    change_canary,
    end_canary,
    events,
    last_step,
    move_release,
    new_canary,
    record,
    register,
    release,
    releases,
    save_step,
    steps,
)
from services.control.database.canaries import ACTIVE, ENDED

NOW = datetime(2026, 11, 17, 14, 5, tzinfo=UTC)
BY = {"who": "ann", "why": "A test."}
HOUR = timedelta(hours=1)


def kinds(database: Database, subject: str) -> list[str]:
    """Of the events of a subject, the oldest first."""
    with database.read() as session:
        return [event.kind for event in events(session, subject=subject, after=0)]


def asked(database: Database, number: int = 0, **given: object) -> Canary:
    """A new canary of r2 against r1."""
    told = {"release_id": "r2", "against": "r1", "slot": "green", "policy": {"steps": [100, 500]}, **BY} | given
    with database.begin() as session:
        return new_canary(session, **({"at": NOW + number * HOUR} | told))


def test_what_is_registered_is_found_again_as_it_was(any_database: Database, make_facts) -> None:
    facts = make_facts(
        "r1",
        verdict={"outcome": "pass", "reasons": ["It is better."]},
        evaluation={"systems": {"candidate": {"ndcg@10": {"mean": 1 / 3}}}},
        importance={"zulu": 0.75, "alpha": 0.25},
        run_id="run-1",
    )
    with any_database.begin() as session:
        register(session, facts, at=NOW, **BY)
    with any_database.read() as session:
        found = release(session, "r1")
    assert {name: getattr(found, name) for name in ReleaseFacts.__struct_fields__} == msgspec.structs.asdict(facts)
    assert list(found.importance) == ["zulu", "alpha"]
    assert (found.state, found.registered_at, found.changed_at) == ("registered", NOW, NOW)


def test_registering_twice_changes_nothing_and_is_one_event(any_database: Database, make_facts) -> None:
    for hours in range(3):
        with any_database.begin() as session:
            register(session, make_facts("r1"), at=NOW + hours * HOUR, **BY)
    assert kinds(any_database, "r1") == ["release.registered"]
    with any_database.read() as session:
        assert release(session, "r1").registered_at == NOW


def test_newer_facts_of_the_same_files_take_the_place_of_the_older_ones(any_database: Database, make_facts) -> None:
    with any_database.begin() as session:
        register(session, make_facts("r1"), at=NOW, **BY)
        move_release(session, "r1", "serving", at=NOW, **BY)
        found = register(session, make_facts("r1", verdict={"outcome": "pass"}, bento="moved"), at=NOW + HOUR, **BY)
    assert (found.verdict, found.bento, found.state) == ({"outcome": "pass"}, "moved", "serving")
    assert (found.registered_at, found.changed_at) == (NOW, NOW + HOUR)
    assert kinds(any_database, "r1") == ["release.registered", "release.moved", "release.updated"]
    with any_database.read() as session:
        assert events(session, kind="release.updated")[0].facts == {"changed": ["bento", "verdict"]}


def test_another_release_cannot_take_a_registered_name(any_database: Database, make_facts) -> None:
    with any_database.begin() as session:
        register(session, make_facts("r1"), at=NOW, **BY)
    with pytest.raises(Conflict, match="registered with other files"), any_database.begin() as session:
        register(session, make_facts("r1", files={"ranker/model.txt": "other"}), at=NOW, **BY)


def test_a_state_is_recorded_once_with_where_it_came_from(any_database: Database, registered) -> None:
    registered(any_database, "r1")
    with any_database.begin() as session:
        for _ in range(2):
            assert move_release(session, "r1", "kept warm", at=NOW + HOUR, **BY).state == "kept warm"
    with any_database.read() as session:
        moved = events(session, kind="release.moved")
        assert [event.facts for event in moved] == [{"from": "registered", "to": "kept warm"}]
        assert (release(session, "r1").state, release(session, "r1").changed_at) == ("kept warm", NOW + HOUR)


def test_an_unknown_state_or_release_is_refused(database: Database, registered) -> None:
    registered(database, "r1")
    with (
        pytest.raises(ControlError, match="'asleep' is no state of a release; it is one of registered,"),
        database.begin() as session,
    ):
        move_release(session, "r1", "asleep", at=NOW, **BY)
    with pytest.raises(Missing, match="release 'r9' is not registered; see rankloop"), database.read() as session:
        release(session, "r9")


def test_releases_come_in_pages_the_last_registered_first(any_database: Database, make_facts) -> None:
    for number in range(5):
        with any_database.begin() as session:
            register(session, make_facts(f"r{number}"), at=NOW + number * HOUR, **BY)
    with any_database.begin() as session:
        move_release(session, "r2", "serving", at=NOW, **BY)
    with any_database.read() as session:
        first = releases(session, limit=2)
        assert [one.release_id for one in first] == ["r4", "r3"]
        assert [one.release_id for one in releases(session, before=first[-1].registered_at)] == ["r2", "r1", "r0"]
        assert [one.release_id for one in releases(session, state="serving")] == ["r2"]


def test_the_facts_of_a_bundle_are_its_manifests_and_its_rankers(make_release, tmp_path: Path) -> None:
    folder = make_release(1).folder
    verdict = {"outcome": "pass", "reasons": ["It is better."]}
    (tmp_path / "evaluation.json").write_text(json.dumps({"verdict": verdict, "systems": {}}))
    facts = ReleaseFacts.of_bundle(folder, bento="rankloop:1", evaluation=tmp_path, run_id="run-1")
    bundle = Bundle.open(folder)
    manifest = bundle.manifest
    assert (facts.release_id, facts.files, facts.numbers) == (manifest.release_id, manifest.files, manifest.numbers)
    assert (facts.as_of.isoformat(), facts.bundle) == (manifest.as_of, str(folder))
    assert facts.importance == bundle.parts.ranker.importance()
    assert (facts.verdict, facts.evaluation, facts.run_id) == (verdict, {"verdict": verdict, "systems": {}}, "run-1")
    alone = ReleaseFacts.of_bundle(folder, bento="rankloop:1")
    assert (alone.verdict, alone.evaluation, alone.run_id) == (None, None, None)


def test_a_folder_without_a_bundle_or_an_evaluation_is_refused(make_release, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json is missing"):
        ReleaseFacts.of_bundle(tmp_path, bento="rankloop:1")
    with pytest.raises(DataError, match="give the folder that the step evaluate wrote"):
        ReleaseFacts.of_bundle(make_release(1).folder, bento="rankloop:1", evaluation=tmp_path)


def test_a_canary_is_warming_first_and_the_only_one(any_database: Database, registered) -> None:
    registered(any_database, "r1", "r2", "r3")
    made = asked(any_database)
    assert (made.status, made.state, made.warmth, made.ended_at) == ("warming", {}, None, None)
    with pytest.raises(Conflict, match=f"canary {made.canary_id} of r2 is warming; end it first"):
        asked(any_database, release_id="r3")
    with any_database.read() as session:
        assert active_canary(session) == canary(session, made.canary_id) == made
    assert kinds(any_database, made.canary_id) == ["canary.created"]


def test_the_database_itself_allows_one_active_canary(
    any_database: Database, registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(any_database, "r1", "r2")
    asked(any_database)
    module = sys.modules["services.control.database.canaries"]
    monkeypatch.setattr(module, "active_canary", lambda session: None)
    with pytest.raises(Conflict, match="another canary is under way"):
        asked(any_database)
    with any_database.read() as session:
        assert len(canaries(session)) == 1


def test_a_canary_of_an_unknown_release_is_refused(any_database: Database, registered) -> None:
    registered(any_database, "r1")
    with pytest.raises(Missing, match="release 'r2' is not registered"):
        asked(any_database)


@pytest.mark.parametrize("end", ENDED)
def test_a_canary_that_ended_is_never_changed_and_makes_room_for_the_next(database: Database, registered, end: str) -> None:
    registered(database, "r1", "r2")
    made = asked(database)
    with database.begin() as session:
        ended = end_canary(session, made.canary_id, end, at=NOW + HOUR, state={"status": end}, **BY)
    assert (ended.status, ended.ended_at, ended.state) == (end, NOW + HOUR, {"status": end})
    with database.read() as session:
        assert active_canary(session) is None
    with pytest.raises(Conflict, match=f"is {end}; this takes one that is"), database.begin() as session:
        end_canary(session, made.canary_id, "aborted", at=NOW, **BY)
    with pytest.raises(Conflict, match="it takes no further step"), database.begin() as session:
        save_step(session, made.canary_id, None, {"state": {}}, NOW)
    assert kinds(database, made.canary_id) == ["canary.created", f"canary.{end.replace(' ', '_')}"]
    assert asked(database, 2).status == "warming"


def test_a_canary_goes_from_warming_to_running_to_paused_and_back(any_database: Database, registered) -> None:
    registered(any_database, "r1", "r2")
    name = asked(any_database).canary_id
    warmth = {"requests": 50, "p95_ms": 7.5}
    with any_database.begin() as session:
        change_canary(
            session, name, from_statuses=["warming"], kind="canary.started", at=NOW, status="running", warmth=warmth, **BY
        )
        change_canary(session, name, from_statuses=["running"], kind="canary.paused", at=NOW, status="paused", **BY)
        with pytest.raises(Conflict, match="is paused; this takes one that is running"):
            change_canary(session, name, from_statuses=["running"], kind="canary.paused", at=NOW, status="paused", **BY)
    with any_database.read() as session:
        found = active_canary(session)
    assert found is not None
    assert (found.status, found.warmth) == ("paused", warmth)
    assert kinds(any_database, name) == ["canary.created", "canary.started", "canary.paused"]


def test_only_an_end_ends_a_canary(database: Database, registered) -> None:
    registered(database, "r1", "r2")
    name = asked(database).canary_id
    with pytest.raises(ControlError, match="'paused' is no end of a canary; it is one of promoted,"), database.begin() as session:
        end_canary(session, name, "paused", at=NOW, **BY)
    assert set(ACTIVE).isdisjoint(ENDED)


def test_every_look_is_kept_to_the_last_digit_so_that_it_can_be_replayed(any_database: Database, registered) -> None:
    registered(any_database, "r1", "r2")
    name = asked(any_database).canary_id
    ratio = Ratio(units=3, x=1 / 3, y=2.0, xx=0.1 + 0.2, yy=4e300, xy=5e-324)
    arms = [Arm(one, 3, 5, 1, 4, {"ctr@10": ratio}, [0] * len(LATENCY_EDGES) + [7]) for one in ("r1", "r2")]
    seen = Observation(at=1e9 + 0.1, since=1e9, canary_bp=500, stable=arms[0], canary=arms[1])
    decision = {"state": {"status": "running", "step": 1}, "action": "advance", "reasons": ["Enough."], "evidence": []}
    with any_database.begin() as session:
        save_step(session, name, msgspec.to_builtins(seen), decision, NOW)
        save_step(session, name, None, decision | {"action": "hold"}, NOW + HOUR)
    with any_database.read() as session:
        first, second = steps(session, name)
        assert msgspec.convert(first.observation, Observation) == seen
        assert (first.decision, first.at) == (decision, NOW)
        assert (second.observation, second.decision["action"]) == (None, "hold")
        assert canary(session, name).state == decision["state"]
        assert steps(session, name, after=first.number) == [second]
        assert last_step(session, name) == second
        assert steps(session, name, limit=1) == [first]


def test_a_step_holds_each_observation_once_and_the_canary_its_whole_state(database: Database, registered) -> None:
    registered(database, "r1", "r2")
    name = asked(database).canary_id
    state = {"status": "running", "weight_bp": 500, "finished": [{"at": 1.0}], "seen": {"at": 2.0}}
    with database.begin() as session:
        assert last_step(session, name) is None
        made = save_step(session, name, {"at": 2.0}, {"state": state, "action": "continue"}, NOW)
        assert made.decision == {"state": {"status": "running", "weight_bp": 500}, "action": "continue"}
        assert canary(session, name).state == state


def test_canaries_are_listed_the_last_first_by_status_and_release(any_database: Database, registered) -> None:
    registered(any_database, "r1", "r2", "r3")
    names = []
    for number, (of, end) in enumerate([("r2", "promoted"), ("r3", "rolled back"), ("r2", None)]):
        names.append(asked(any_database, number, release_id=of).canary_id)
        if end is not None:
            with any_database.begin() as session:
                end_canary(session, names[-1], end, at=NOW + number * HOUR, **BY)
    with any_database.read() as session:
        listed = canaries(session)
        assert [one.canary_id for one in listed] == names[::-1]
        assert [one.canary_id for one in canaries(session, status="rolled back")] == [names[1]]
        assert [one.canary_id for one in canaries(session, release_id="r2")] == [names[2], names[0]]
        assert [one.canary_id for one in canaries(session, before=listed[0].created_at, limit=1)] == [names[1]]
        with pytest.raises(Missing, match="there is no canary 'c9'"):
            canary(session, "c9")


def test_a_number_that_json_has_no_word_for_is_kept_as_nothing(any_database: Database) -> None:
    facts = {"bound": float("inf"), "mean": float("nan"), "kept": 1.5}
    with any_database.begin() as session:
        made = record(session, kind="a.b", subject="c", at=NOW, facts=facts, **BY)
    with any_database.read() as session:
        assert events(session)[0].facts == {"bound": None, "mean": None, "kept": 1.5}
        assert events(session)[0] == made
