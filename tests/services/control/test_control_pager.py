"""One incident for each cause: opened once, told once, joined, quiet, resolved; acknowledged and silenced by people."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from rankloop.errors import Conflict, Missing
from services.control.database import Database, incident_counts, open_database, open_incidents
from services.control.pager.receiving import by_cause, fingerprint
from services.control.wire import Alert, Alerts
from tests.services.control.conftest import NOW
from tests.services.control.pager_world import Listener, PagerWorld, listening


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as own:
        yield own


@pytest.fixture
def place(database: Database, tmp_path: Path, listener: Listener) -> PagerWorld:
    return PagerWorld(database, tmp_path, listener)


def test_an_alert_opens_an_incident_and_each_receiver_is_told_once(place: PagerWorld, listener: Listener) -> None:
    (own,) = place.hear(place.alert())
    for _ in range(3):
        place.tick()
    shown = place.shown.incident(own)
    assert (shown.status, shown.severity, shown.cause, shown.component) == ("firing", "page", "error-burst", "edge")
    assert shown.since == NOW
    assert shown.fingerprint == fingerprint("error-burst", "job_feed", "edge")
    assert sorted(path for path, _, _ in listener.got) == ["/hook", "/pagerduty", "/slack"]
    assert {one.state for one in shown.notices} == {"sent"}
    assert place.kinds(own) == ["opened", "looked_into", "told", *["notified"] * 3, "looked_up"]


def test_the_same_webhook_again_changes_nothing(place: PagerWorld, listener: Listener) -> None:
    (own,) = place.hear(place.alert())
    place.tick()
    before = place.shown.incident(own)
    place.restart()
    assert place.hear(place.alert()) == [own]
    place.tick()
    assert place.shown.incident(own) == before
    assert len(listener.got) == 3


def test_a_new_alert_of_the_same_cause_joins_and_nobody_is_told_again(place: PagerWorld, listener: Listener) -> None:
    (own,) = place.hear(place.alert())
    place.tick()
    assert place.hear(place.alert("EdgeErrorsSlow", severity="ticket")) == [own]
    place.tick()
    shown = place.shown.incident(own)
    assert [one.name for one in shown.alerts] == ["EdgeErrors", "EdgeErrorsSlow"]
    assert shown.severity == "page"
    assert "joined" in place.kinds(own)
    assert len(listener.got) == 3


def test_other_causes_surfaces_and_components_are_other_incidents(place: PagerWorld) -> None:
    alerts = [
        place.alert(),
        place.alert(cause="slow-answers"),
        place.alert(surface="job_search"),
        place.alert(component="replicas"),
    ]
    assert len(set(place.hear(*alerts))) == 4


def test_a_rule_of_somebody_else_is_told_by_its_name(place: PagerWorld) -> None:
    (group,) = by_cause([Alert("firing", {"alertname": "NodeDiskFull", "job": "node", "instance": "a"})], NOW)
    assert (group.cause, group.surface, group.component) == ("NodeDiskFull", "all", "node")
    assert group.alerts[0].severity == "ticket"
    assert group.alerts[0].since == NOW


def test_a_ticket_goes_to_nobody_who_is_woken(place: PagerWorld, listener: Listener) -> None:
    place.hear(place.alert(severity="ticket"))
    place.tick()
    assert sorted(path for path, _, _ in listener.got) == ["/hook", "/slack"]


def test_information_is_kept_and_told_to_nobody(place: PagerWorld, listener: Listener) -> None:
    (own,) = place.hear(place.alert(severity="info"))
    place.tick()
    assert (place.shown.incident(own).severity, listener.got) == ("info", [])


def test_a_ticket_that_gets_worse_pages_and_the_others_are_not_told_twice(place: PagerWorld, listener: Listener) -> None:
    (own,) = place.hear(place.alert(severity="ticket"))
    place.tick()
    place.hear(place.alert("EdgeErrorsFast", key="fast"))
    place.tick()
    assert [path for path, _, _ in listener.got].count("/pagerduty") == 1
    assert len(listener.got) == 3
    assert place.shown.incident(own).severity == "page"
    assert "worsened" in place.kinds(own)


def test_when_nothing_fires_any_more_the_incident_ends_by_itself_after_a_while(place: PagerWorld) -> None:
    (own,) = place.hear(place.alert())
    place.tick()
    place.hear(place.alert(status="resolved"))
    place.tick(299)
    assert (place.shown.incident(own).status, place.pages("resolve")) == ("quiet", [])
    place.tick(2)
    place.tick()
    ended = place.shown.incident(own)
    assert (ended.status, ended.silenced_until) == ("resolved", None)
    assert [one["dedup_key"] for one in place.pages("resolve")] == [own]
    assert place.kinds(own)[-4:] == ["resolved", *["notified"] * 3]


def test_an_end_that_says_nothing_leaves_what_the_alert_said(place: PagerWorld) -> None:
    began = place.alert()
    (own,) = place.hear(began)
    before = place.shown.incident(own)
    place.hear(Alert("resolved", began.labels, startsAt=began.startsAt, fingerprint=began.fingerprint))
    after = place.shown.incident(own)
    assert (after.status, after.title) == ("quiet", before.title)
    assert (after.alerts[0].summary, after.alerts[0].command) == (before.alerts[0].summary, "rankloop status")


def test_one_of_two_alerts_that_ends_leaves_the_incident_open(place: PagerWorld) -> None:
    (own,) = place.hear(place.alert(key="a"), place.alert(key="b"))
    place.hear(place.alert(key="a", status="resolved"))
    place.tick(400)
    assert place.shown.incident(own).status == "firing"
    assert place.kinds(own)[3] == "eased"


def test_an_alert_that_flaps_pages_once(place: PagerWorld) -> None:
    (own,) = place.hear(place.alert())
    for _ in range(10):
        place.tick(60)
        assert place.hear(place.alert(status="resolved")) == [own]
        place.tick(200)
        assert place.hear(place.alert(since=place.now)) == [own]
    place.tick()
    assert len(place.pages()) == 1
    assert place.kinds(own).count("fired_again") == 10


def test_what_fires_after_the_incident_ended_is_a_new_one(place: PagerWorld) -> None:
    (own,) = place.hear(place.alert())
    place.hear(place.alert(status="resolved"))
    place.tick(301)
    (after,) = place.hear(place.alert(since=place.now))
    place.tick()
    assert after != own
    assert [one["dedup_key"] for one in place.pages()] == [own, after]


def test_an_end_that_was_never_a_beginning_opens_nothing(place: PagerWorld) -> None:
    assert place.hear(place.alert(status="resolved")) == []


def test_any_order_of_the_same_webhooks_ends_with_the_same_alerts(place: PagerWorld) -> None:
    one, two, three = place.alert(key="a"), place.alert(key="b"), place.alert(key="c", severity="ticket")
    found = set()
    for number, order in enumerate(itertools.permutations((one, two, three))):
        own = [
            place.hear(Alert(x.status, {**x.labels, "surface": f"s{number}"}, {}, x.startsAt, None, x.fingerprint)) for x in order
        ]
        shown = place.shown.incident(own[0][0])
        found.add((shown.severity, frozenset(alert.fingerprint for alert in shown.alerts)))
    assert found == {("page", frozenset("abc"))}


def test_acknowledging_says_who_and_tells_pagerduty(place: PagerWorld) -> None:
    (own,) = place.hear(place.alert())
    place.tick()
    place.pager.acknowledge(own, who="ada", why="I look at it")
    place.pager.acknowledge(own, who="bob", why="me too")
    place.tick()
    shown = place.shown.incident(own)
    assert (shown.status, shown.acknowledged_by) == ("acknowledged", "ada")
    assert [one["dedup_key"] for one in place.pages("acknowledge")] == [own]


def test_a_silenced_incident_tells_nobody_and_nor_does_the_next_one_of_its_cause(place: PagerWorld, listener: Listener) -> None:
    (own,) = place.hear(place.alert(severity="ticket"))
    place.pager.silence(own, 3600.0, who="ada", why="upstream mends it")
    place.tick()
    before = len(place.pages())
    place.hear(place.alert("EdgeErrorsFast", key="fast"))
    place.hear(place.alert(severity="ticket", status="resolved"), place.alert("EdgeErrorsFast", key="fast", status="resolved"))
    place.tick(301)
    (after,) = place.hear(place.alert(since=place.now))
    place.tick()
    assert after != own
    assert len(place.pages()) == before == 0
    assert "/pagerduty" not in [path for path, _, _ in listener.got]


def test_when_a_silence_is_over_what_still_fires_is_told(place: PagerWorld) -> None:
    (own,) = place.hear(place.alert(severity="info"))
    place.pager.silence(own, 600.0, who="ada", why="a test of the disk")
    place.hear(place.alert("EdgeErrorsFast", key="fast"))
    place.tick(590)
    assert place.pages() == []
    place.tick(11)
    place.tick()
    assert [one["dedup_key"] for one in place.pages()] == [own]
    assert place.shown.incident(own).silenced_until is None


def test_a_silence_of_no_time_ends_one(place: PagerWorld) -> None:
    (own,) = place.hear(place.alert())
    place.pager.silence(own, 600.0, who="ada", why="a test")
    place.pager.silence(own, 0.0, who="ada", why="the test is over")
    assert place.shown.incident(own).silenced_until is None
    assert place.kinds(own)[-2:] == ["silenced", "unsilenced"]


def test_what_somebody_resolved_opens_no_new_incident_for_an_hour(place: PagerWorld) -> None:
    (own,) = place.hear(place.alert())
    place.pager.resolve(own, who="ada", why="known, and harmless")
    assert place.hear(place.alert()) == []
    place.now += timedelta(seconds=3601)
    (after,) = place.hear(place.alert())
    assert after != own


def test_what_begins_anew_after_somebody_resolved_it_is_a_new_incident(place: PagerWorld) -> None:
    (own,) = place.hear(place.alert())
    place.pager.resolve(own, who="ada", why="done")
    place.now += timedelta(seconds=60)
    (after,) = place.hear(place.alert(since=place.now))
    assert after != own


def test_what_ended_takes_notes_and_nothing_else(place: PagerWorld) -> None:
    (own,) = place.hear(place.alert())
    place.pager.resolve(own, who="ada", why="done")
    place.pager.note(own, "the export was cut off", who="ada")
    assert place.kinds(own)[-1] == "noted"
    for change in (
        lambda: place.pager.acknowledge(own, who="ada", why="late"),
        lambda: place.pager.silence(own, 60.0, who="ada", why="late"),
        lambda: place.pager.resolve(own, who="ada", why="twice"),
    ):
        with pytest.raises(Conflict, match="is resolved; only a note can be added"):
            change()
    with pytest.raises(Missing, match="there is no incident 'inc-0'"):
        place.pager.note("inc-0", "lost", who="ada")


def test_many_webhooks_at_once_open_one_incident_and_page_once(any_url: str, tmp_path: Path, listener: Listener) -> None:
    with open_database(any_url) as database:
        place = PagerWorld(database, tmp_path, listener)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: place.hear(place.alert()), range(16)))
        assert len({own for (own,) in found}) == 1
        place.tick()
        place.tick()
        assert len(place.pages()) == 1
        with database.read() as session:
            assert incident_counts(session) == {("firing", "page"): 1}
            assert len(open_incidents(session)) == 1


def test_times_that_are_none_lose_no_alert(place: PagerWorld) -> None:
    for number, begun in enumerate((None, "", "yesterday", "0001-01-01T00:00:00Z", "2999-01-01T00:00:00Z")):
        webhook = Alerts([Alert("firing", {"alertname": f"A{number}"}, {}, begun)])
        (own,) = place.pager.receive(webhook).incidents
        assert own.since == place.now
