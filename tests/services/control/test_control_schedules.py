"""What starts runs by itself: times, new data, and alerts; with a clock that a test moves."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from rankloop.errors import Conflict, ControlError, Missing
from services.control.database import Database, Lease, change_desired, change_run, desired, events, open_database, take_or_renew
from services.control.runs import AlertPolicy, Triggers, next_time, open_runs
from services.control.runs.opening import ALERTS, champion_of
from services.control.runs.queueing import known_run
from services.control.wire import Alert
from services.settings import Settings

START = datetime(2026, 11, 17, 14, 5, tzinfo=UTC)
LOOK = timedelta(seconds=60)


class Place:
    """A record, a folder that is watched, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.database: Database = open_database(f"sqlite:///{folder / 'record.db'}")
        self.now = START
        self.order = {"source": "contract", "path": str(self.data)}
        policy = {"alerts": ["FeatureDrift"], "labels": {"severity": "page"}, "order": self.order, "window_seconds": 3600}
        self.policy = AlertPolicy.of({"rules": [policy]})
        self.triggers = self.anew()

    def anew(self) -> Triggers:
        look = LOOK.total_seconds()
        return Triggers(self.database, clock=lambda: self.now, alerts=lambda: self.policy, look_seconds=look)

    def put(self, name: str = "nightly", **given: Any) -> None:
        self.triggers.put(name, dict(self.order), surface="job_feed", who="ada", why="a test", **given)

    def later(self, by: timedelta) -> list[str]:
        """Moves the clock, ticks, and gives the triggers of the runs that were started by it."""
        before = self.queued()
        self.now += by
        self.triggers.tick()
        return [trigger for run_id, trigger in self.queued().items() if run_id not in before]

    def queued(self) -> dict[str, str]:
        with self.database.read() as session:
            return {event.subject: event.facts["trigger"] for event in events(session, kind="run.queued")}

    def done(self) -> None:
        """Ends every run that waits."""
        for run_id in self.queued():
            with self.database.begin() as session:
                if known_run(session, run_id).state == "queued":
                    told = {"who": "test", "why": "done", "at": self.now}
                    change_run(session, run_id, from_states=("queued",), state="cancelled", **told)

    def write(self, name: str, content: str) -> None:
        (self.data / name).write_text(content)

    def alert(self, fingerprint: str = "f1", **given: Any) -> Alert:
        labels = {"alertname": "FeatureDrift", "severity": "page"} | given.pop("labels", {})
        return Alert(**{"status": "firing", "labels": labels, "fingerprint": fingerprint} | given)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    one = Place(tmp_path)
    yield one
    one.database.close()


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("30 2 * * *", datetime(2026, 11, 18, 2, 30, tzinfo=UTC)),
        ("*/15 * * * *", datetime(2026, 11, 17, 14, 15, tzinfo=UTC)),
        ("5 14 * * *", datetime(2026, 11, 18, 14, 5, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
        ("0 6 * * MON", datetime(2026, 11, 23, 6, tzinfo=UTC)),
    ],
)
def test_an_expression_is_read_as_cron_reads_it_in_utc(cron: str, expected: datetime) -> None:
    assert next_time(cron, START) == expected


def test_an_expression_is_in_utc_wherever_the_clock_stands() -> None:
    tokyo = START.astimezone(tz=__import__("zoneinfo").ZoneInfo("Asia/Tokyo"))
    assert next_time("30 2 * * *", tokyo) == datetime(2026, 11, 18, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize("cron", ["", "30 2 * *", "61 * * * *", "0 0 30 2 *", "* * * * * *", "soon please now or later"])
def test_an_expression_that_cannot_work_is_refused(place: Place, cron: str) -> None:
    with pytest.raises(ControlError, match="cron is"):
        place.put(cron=cron)
    assert place.triggers.schedules() == []


def test_a_schedule_starts_a_run_when_its_time_comes_and_not_before(place: Place) -> None:
    place.put(cron="0 * * * *")
    assert place.triggers.schedule("nightly").next_at == datetime(2026, 11, 17, 15, tzinfo=UTC)
    assert place.later(timedelta(minutes=54, seconds=59)) == []
    assert place.later(timedelta(seconds=1)) == ["schedule"]
    assert place.later(timedelta(seconds=1)) == []
    one = place.triggers.schedule("nightly")
    assert (one.last_at, one.next_at) == (datetime(2026, 11, 17, 15, tzinfo=UTC), datetime(2026, 11, 17, 16, tzinfo=UTC))
    with place.database.read() as session:
        (queued,) = events(session, kind="run.queued")
        assert (queued.who, queued.why) == ("rankloop", "schedule nightly: 0 * * * *")


def test_times_that_were_missed_while_nobody_led_start_one_run(place: Place) -> None:
    place.put(cron="*/5 * * * *")
    assert place.later(timedelta(days=2)) == ["schedule"]
    assert place.later(timedelta(seconds=1)) == []
    place.done()
    assert place.later(timedelta(minutes=5)) == ["schedule"]


def test_a_run_that_still_waits_is_not_queued_again_by_the_next_time(place: Place) -> None:
    place.put(cron="0 * * * *")
    assert place.later(timedelta(hours=1)) == ["schedule"]
    assert place.later(timedelta(hours=1)) == []
    assert place.triggers.schedule("nightly").last_at == place.now


def test_a_schedule_that_is_off_or_removed_starts_nothing(place: Place) -> None:
    place.put(cron="0 * * * *", enabled=False)
    assert place.later(timedelta(hours=2)) == []
    place.put(cron="0 * * * *")
    place.triggers.remove("nightly", who="bob")
    assert place.later(timedelta(hours=2)) == []
    for ask in (place.triggers.schedule, lambda name: place.triggers.remove(name, who="bob")):
        with pytest.raises(Missing, match="no schedule 'nightly'"):
            ask("nightly")
    with place.database.read() as session:
        (removed,) = events(session, kind="schedule.removed")
        assert (removed.who, removed.why) == ("bob", "bob asked for it")


def test_a_schedule_has_a_time_or_watches_and_not_both(place: Place) -> None:
    for given in ({}, {"cron": "0 * * * *", "watch": str(place.data)}):
        with pytest.raises(ControlError, match="either cron or watch"):
            place.put(**given)


def test_new_data_starts_a_run_once_two_looks_have_seen_the_same(place: Place) -> None:
    place.write("a.parquet", "old")
    place.put("arrivals", watch=str(place.data))
    assert place.later(LOOK) == []
    assert place.later(LOOK) == []
    place.write("b.parquet", "half")
    assert place.later(LOOK) == []
    place.write("b.parquet", "half and the rest")
    assert place.later(LOOK) == []
    assert place.later(LOOK) == ["new data"]
    place.done()
    assert place.later(LOOK) == []
    place.write("c.parquet", "more")
    assert place.later(LOOK) == []
    assert place.later(LOOK) == ["new data"]


def test_what_appears_where_nothing_was_is_new_and_what_vanishes_is_not(place: Place) -> None:
    place.put("arrivals", watch=str(place.data / "landing" / "*.parquet"))
    assert place.later(LOOK) == []
    (place.data / "landing").mkdir()
    place.write("landing/a.parquet", "first")
    assert [place.later(LOOK), place.later(LOOK)] == [[], ["new data"]]
    place.done()
    (place.data / "landing" / "a.parquet").unlink()
    assert [place.later(LOOK), place.later(LOOK)] == [[], []]


def test_a_restart_forgets_one_look_and_no_run(place: Place) -> None:
    place.write("a.parquet", "old")
    place.put("arrivals", watch=str(place.data))
    place.write("a.parquet", "old and new")
    assert place.later(LOOK) == []
    place.triggers = place.anew()
    assert place.later(LOOK) == []
    assert place.later(LOOK) == ["new data"]
    place.done()
    place.triggers = place.anew()
    assert [place.later(LOOK), place.later(LOOK)] == [[], []]


def test_looks_are_no_more_frequent_than_asked_for(place: Place) -> None:
    place.put("arrivals", watch=str(place.data))
    place.write("a.parquet", "new")
    assert [place.later(LOOK / 4) for _ in range(7)] == [[]] * 7
    assert place.later(LOOK / 4) == ["new data"]


def test_a_place_that_cannot_be_looked_at_is_told_and_stops_no_other_schedule(place: Place) -> None:
    place.put("arrivals", watch="memory://landing")
    place.put("nightly", cron="* * * * *")
    place.triggers.put("broken", place.order, surface="job_search", watch=str(place.data), who="ada")
    with place.database.begin() as session:
        session.connection().exec_driver_sql("UPDATE schedules SET watch = 'nowhere://x' WHERE name = 'broken'")
    place.now += LOOK
    with pytest.raises(ControlError, match="nowhere"):
        place.triggers.tick()
    assert list(place.queued().values()) == ["schedule"]
    assert place.triggers.schedule("broken").next_at == place.now + LOOK


def test_a_leader_that_was_replaced_starts_nothing(place: Place) -> None:
    place.put(cron="* * * * *")
    first = take_or_renew(place.database, "control", "one", seconds=1)
    assert first is not None
    other = take_or_renew(place.database, "control", "two", seconds=10, now=first.expires_at + timedelta(seconds=1))
    assert isinstance(other, Lease)
    place.now += timedelta(minutes=1)
    with pytest.raises(Conflict, match="no longer leader"):
        place.triggers.tick(first)
    assert place.queued() == {}
    place.triggers.tick(other)
    assert list(place.queued().values()) == ["schedule"]


def test_an_alert_starts_the_run_of_its_rule_once_within_its_window(place: Place) -> None:
    alert = place.alert(annotations={"summary": "psi of budget is 0.4"})
    (run,) = place.triggers.answer([alert])
    assert (run.trigger, run.surface, run.who) == ("alert", "job_feed", "alertmanager")
    assert run.why == "alert FeatureDrift fires: psi of budget is 0.4"
    place.done()
    place.now += timedelta(seconds=3599)
    assert place.anew().answer([alert]) == []
    place.now += timedelta(seconds=2)
    (again,) = place.triggers.answer([alert])
    assert again.run_id != run.run_id


def test_two_alerts_are_answered_each_and_share_a_run_that_waits(place: Place) -> None:
    both = [place.alert("f1"), place.alert("f2")]
    first, second = place.triggers.answer(both)
    assert first.run_id == second.run_id
    assert place.triggers.answer(both) == []


@pytest.mark.parametrize(
    "other", [{"status": "resolved"}, {"labels": {"alertname": "Overloaded"}}, {"labels": {"severity": "ticket"}}]
)
def test_an_alert_that_no_rule_names_starts_nothing(place: Place, other: dict[str, Any]) -> None:
    assert place.triggers.answer([place.alert(**other)]) == []


def test_the_surface_of_an_alert_is_its_runs_surface(place: Place) -> None:
    (run,) = place.triggers.answer([place.alert(labels={"surface": "talent_search"})])
    assert run.surface == "talent_search"


def test_an_alert_that_cannot_be_answered_keeps_no_other_from_its_run(place: Place) -> None:
    with pytest.raises(ControlError, match="alert FeatureDrift: surface is 'moon'"):
        place.triggers.answer([place.alert("f3", labels={"surface": "moon"}), place.alert("f4")])
    assert list(place.queued().values()) == ["alert"]


def test_an_alert_without_a_fingerprint_is_told_by_its_labels(place: Place) -> None:
    assert len(place.triggers.answer([place.alert("")])) == 1
    assert place.triggers.answer([place.alert("")]) == []
    assert len(place.triggers.answer([place.alert("", labels={"view": "item_rates"})])) == 1


def test_a_policy_is_read_from_yaml_and_one_that_cannot_work_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "alerts.yaml"
    rule = {"alerts": ["FeatureDrift"], "order": {"source": "contract", "path": "/data"}}
    file.write_text(yaml.safe_dump({"rules": [rule]}))
    assert AlertPolicy.read(file).rules[0].alerts == ["FeatureDrift"]
    for wrong in ({"rule": []}, {"rules": [rule | {"order": {"source": "contract"}}]}, {"rules": [rule | {"surface": "moon"}]}):
        file.write_text(yaml.safe_dump(wrong))
        with pytest.raises(ControlError):
            AlertPolicy.read(file)
    for text in ("- a list", "{"):
        file.write_text(text)
        with pytest.raises(ControlError, match=r"alerts\.yaml"):
            AlertPolicy.read(file)
    with pytest.raises(ControlError, match="cannot be read"):
        AlertPolicy.read(tmp_path / "none.yaml")


def test_the_policy_of_the_home_folder_is_read_at_each_alert(place: Place, tmp_path: Path) -> None:
    settings = Settings.read(home=str(tmp_path))
    runs, triggers = open_runs(place.database, settings, clock=lambda: place.now)
    assert triggers.answer([place.alert()]) == []
    rule = {"alerts": ["FeatureDrift"], "order": place.order}
    (tmp_path / ALERTS).write_text(yaml.safe_dump({"rules": [rule]}))
    (run,) = triggers.answer([place.alert()])
    assert runs.run(run.run_id).state == "queued"


def test_the_champion_on_a_cluster_is_the_bundle_of_the_release_that_serves(
    place: Place, registered: Callable[..., None]
) -> None:
    assert champion_of(place.database) == ""
    registered(place.database, "r1", "r2")
    with place.database.begin() as session:
        now = desired(session)
        serves = replace(now, blue="r1", green="r2")
        told = {"who": "ada", "why": "a test", "kind": "served", "at": place.now}
        change_desired(session, serves, expected_version=now.version, **told)
    assert champion_of(place.database) == "/bundles/r1"
