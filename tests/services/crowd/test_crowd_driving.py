"""The crowd before the real applications: what it sends is taken, and what it counts is what happened."""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from rankloop.errors import ApiError, DataError, SettingsError
from rankloop.simulation import Crowd, Marketplace, Scale
from services.crowd import Background, Driver, Plan, Report, crowd_of, harm
from services.edge import Slots
from services.events.records import EventRecord, decode
from services.events.segments import Position, SpoolReader

FAST = Plan(rate=400.0, seconds=0.6, haste=1e12)


def spooled(home: Path) -> list[EventRecord]:
    """Every event that the collector took."""
    reader = SpoolReader(home / "spool" / "events")
    found = (reader.read(writer, Position(0, 0), limit_bytes=1 << 40) for writer in reader.writers())
    return [record for frames in found for _, frame in frames for record in decode(frame)]


def came(crowd: Crowd, asking, plan: Plan = FAST) -> Report:
    return asyncio.run(Driver(crowd, asking, plan, seed=1).run())


@pytest.fixture
def crowd(world) -> Crowd:
    return crowd_of(world.folder, seed=3)


def test_everybody_who_comes_is_answered_and_what_they_do_is_taken(world, crowd, edge, application, asking) -> None:
    edge.applications["blue"] = application(world.bundle)
    report = came(crowd, asking)
    assert report.served, report
    (served,) = report.served
    assert report.came == report.answered == served.lists > 100
    assert (served.slot, report.failed, report.unasked, report.rejected, report.unsent) == ("blue", {}, 0, {}, 0)
    kept = spooled(edge.home)
    assert Counter(event.kind for event in kept) == served.deeds
    assert report.events == len(kept) > 50
    assert len({event.event_id for event in kept}) == len(kept)
    assert {event.user_id for event in kept} <= set(crowd.people)


def test_events_name_the_request_that_showed_the_item_and_happen_now(world, crowd, edge, application, asking) -> None:
    before = datetime.now(UTC).timestamp()
    edge.applications["blue"] = application(world.bundle)
    came(crowd, asking)
    after = datetime.now(UTC).timestamp()
    kept = spooled(edge.home)
    assert all(event.request_id for event in kept)
    assert all(before <= event.ts / 1e6 <= after for event in kept)
    applied = [(event.request_id, event.item_id) for event in kept if event.kind == "apply"]
    clicked = {(event.request_id, event.item_id) for event in kept if event.kind == "click"}
    assert applied
    assert set(applied) <= clicked


def test_lists_and_deeds_are_counted_by_the_slot_and_release_that_answered(
    world, crowd, edge, application, asking, tmp_path
) -> None:
    bad = harm(world.bundle, tmp_path / "bad", "reversed", created_at=datetime(2026, 3, 1, tzinfo=UTC))
    edge.applications = {"blue": application(world.bundle), "green": application(tmp_path / "bad")}
    edge.slots = Slots(canary_bp=4_000)
    report = came(crowd, asking)
    blue, green = report.served
    assert (blue.slot, green.slot, green.release_id) == ("blue", "green", bad.release_id)
    assert blue.people + green.people == len({visit.user_id for visit in crowd_of(world.folder, seed=3).visits(report.came)})
    by_kind = Counter(event.kind for event in spooled(edge.home))
    assert Counter(blue.deeds) + Counter(green.deeds) == by_kind
    assert blue.rate("click") == blue.deeds["click"] / blue.lists


def test_who_is_told_later_asks_again_after_the_wait_it_was_given(world, crowd, edge, application, asking) -> None:
    edge.applications["blue"] = application(world.bundle)
    edge.refuse = 3
    report = came(crowd, asking)
    assert report.later == 3
    assert report.answered == report.came
    assert sorted(asking.waits)[0] >= 1.0


def test_who_is_always_told_later_gives_up_and_is_counted(crowd, edge, asking) -> None:
    edge.refuse = 10**9
    report = came(crowd, asking)
    assert report.failed == {"503": report.came}
    assert (report.answered, report.served) == (0, [])


def test_events_that_are_not_taken_are_kept_and_sent_again_once(world, crowd, edge, application, asking) -> None:
    """The collector is away for the first batches; the events keep their ids."""
    edge.applications["blue"] = application(world.bundle)
    real, refused = edge.collector, [8]

    async def away(scope, receive, send) -> None:
        if refused[0]:
            refused[0] -= 1
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await real(scope, receive, send)

    edge.collector = away
    report = came(crowd, asking, msgspec.structs.replace(FAST, seconds=1.5))
    kept = spooled(edge.home)
    assert refused == [0]
    assert len({event.event_id for event in kept}) == len(kept) == report.events
    assert report.unsent == 0


def test_what_has_not_happened_by_the_end_is_counted_and_not_sent(world, crowd, edge, application, asking) -> None:
    edge.applications["blue"] = application(world.bundle)
    report = came(crowd, asking, msgspec.structs.replace(FAST, haste=1e-9))
    assert report.events == 0
    assert spooled(edge.home) == []
    assert report.to_come > 50


def test_whoever_finds_too_many_waiting_leaves(crowd, edge, asking) -> None:
    async def slow(scope, receive, send) -> None:
        await asyncio.sleep(0.3)
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    edge.applications["blue"] = slow
    report = came(crowd, asking, msgspec.structs.replace(FAST, most_waiting=5))
    assert report.came == report.unasked + report.failed["500"]
    assert report.unasked > 0


def test_it_stops_when_it_is_told_to(world, crowd, edge, application, asking) -> None:
    edge.applications["blue"] = application(world.bundle)

    async def stopped() -> Report:
        stopping = asyncio.Event()
        driver = Driver(crowd, asking, msgspec.structs.replace(FAST, seconds=0.0), seed=1)
        return await driver.run(stopping, lambda seen, _: stopping.set() if seen.answered >= 20 else None)

    report = asyncio.run(stopped())
    assert report.answered == report.came >= 20


def test_in_the_background_it_comes_until_the_block_is_left(world, crowd, edge, application, asking) -> None:
    edge.applications["blue"] = application(world.bundle)
    driver = Driver(crowd, asking, msgspec.structs.replace(FAST, seconds=0.0), seed=1)
    with Background(driver, asking) as coming:
        end = time.monotonic() + 30
        while coming.seen.answered < 20 and time.monotonic() < end:
            time.sleep(0.01)
    assert coming.report.answered == coming.report.came >= 20


def test_what_ends_a_crowd_in_the_background_is_raised_where_the_block_is_left(world, edge, application, asking) -> None:
    tiny = Scale(users=150, users_per_day=2, items=5, items_per_day=1, clients=5, days=24, impressions=2_000)
    edge.applications["blue"] = application(world.bundle)
    with (
        pytest.raises(DataError, match="unknown to this marketplace"),
        Background(Driver(Crowd(Marketplace(tiny, rng=1), rng=1), asking, FAST, seed=1), asking),
    ):
        time.sleep(0.1)


def test_a_release_of_another_marketplace_ends_it_in_words(world, edge, application, asking) -> None:
    tiny = Scale(users=150, users_per_day=2, items=5, items_per_day=1, clients=5, days=24, impressions=2_000)
    edge.applications["blue"] = application(world.bundle)
    with pytest.raises(DataError, match="unknown to this marketplace"):
        came(Crowd(Marketplace(tiny, rng=1), rng=1), asking)


def test_events_that_may_not_be_sent_end_it_in_words(world, crowd, edge, application, asking) -> None:
    edge.applications["blue"] = application(world.bundle)

    async def forbidden(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    edge.collector = forbidden
    with pytest.raises(ApiError, match="403"):
        came(crowd, asking)


@pytest.mark.parametrize("given", [{"rate": 0.0}, {"k": 0}, {"haste": -1.0}, {"seconds": -1.0}, {"rate": float("nan")}])
def test_a_plan_that_cannot_work_is_refused(given) -> None:
    with pytest.raises(SettingsError, match=next(iter(given))):
        Plan(**given)


def test_the_truth_is_made_again_where_only_its_record_is_left(world, tmp_path) -> None:
    scale = Scale.tiny()
    made = {"seed": 9, "scale": {**vars(scale), "start": scale.start.isoformat()}}
    (tmp_path / "made.json").write_bytes(msgspec.json.encode(made))
    crowd = crowd_of(tmp_path, seed=1)
    same = Crowd(Marketplace(scale, rng=9), rng=1)
    assert crowd.visits(20) == same.visits(20)


def test_a_folder_that_is_no_simulated_marketplace_is_refused_in_words(tmp_path) -> None:
    with pytest.raises(DataError, match="is no simulated marketplace"):
        crowd_of(tmp_path, seed=1)
