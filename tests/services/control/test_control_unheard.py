"""What ends while it is inhibited, Alertmanager tells nobody; the pager finds it out. With a real Alertmanager."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest

from monitoring.alertmanager_config import Receivers
from services.control.database import Database, open_incidents
from services.control.unheard import Unheard
from services.control.wire import Alert, Alerts
from tests.monitoring.alertmanager_world import ALERTMANAGER, Heard, Running, alert, until
from tests.services.control.pager_world import PagerWorld, listening

pytestmark = pytest.mark.skipif(ALERTMANAGER is None, reason="Alertmanager is not installed")
LATER = timedelta(minutes=10)


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Iterator[PagerWorld]:
    with listening() as listener:
        yield PagerWorld(database, tmp_path, listener, now=datetime.now(UTC))


@pytest.fixture
def running(tmp_path: Path, place: PagerWorld) -> Iterator[Running]:
    """An Alertmanager that told of an error burst, then of a dead edge, and was told of the burst's end meanwhile."""
    heard = Heard()
    one = Running(tmp_path, Receivers(heard.url))
    one.post(alert("ErrorBurst"))
    until(lambda: heard.names() == ["ErrorBurst"], "the burst is told")
    one.post(alert("EdgeDown"))
    until(lambda: heard.names() == ["EdgeDown", "ErrorBurst"], "the dead edge is told")
    one.post(alert("ErrorBurst"), ended=True)
    until(lambda: len(httpx.get(f"{one.url}/api/v2/alerts").json()) == 1, "the burst is over")
    for said in heard.messages:
        place.pager.receive(msgspec.convert(said, Alerts))
    yield one
    one.stop()
    heard.stop()


def standing(place: PagerWorld) -> dict[str, str]:
    with place.database.read() as session:
        return {own.cause: own.status for own in open_incidents(session)}


def test_what_ended_unheard_is_quiet_and_what_is_held_still_fires(running: Running, place: PagerWorld) -> None:
    assert standing(place) == {"errors": "firing", "edge-down": "firing"}
    place.now += LATER
    asked = Unheard(place.database, place.pager, running.url, clock=lambda: place.now)
    assert asked.tick() == 1
    assert standing(place) == {"errors": "quiet", "edge-down": "firing"}
    assert asked.tick() == 0


def test_it_is_asked_twice_a_minute_at_most(running: Running, place: PagerWorld) -> None:
    place.now += LATER
    asked = Unheard(place.database, place.pager, running.url, clock=lambda: place.now)
    assert asked.tick() == 1
    place.hear(msgspec.convert({"status": "firing", "labels": alert("ErrorBurst"), "fingerprint": "ab"}, Alert))
    assert asked.tick() == 0
    place.now += timedelta(seconds=30)
    assert asked.tick() == 0, "it began a moment ago, and may not have been told yet"


def test_of_an_alertmanager_that_is_new_or_does_not_answer_nothing_is_believed(running: Running, place: PagerWorld) -> None:
    place.now += timedelta(minutes=4)
    assert Unheard(place.database, place.pager, running.url, clock=lambda: place.now).tick() == 0
    place.now += LATER
    assert Unheard(place.database, place.pager, "http://127.0.0.1:1", clock=lambda: place.now).tick() == 0
    assert standing(place) == {"errors": "firing", "edge-down": "firing"}
