"""A release fails for some people: a rule fires, Alertmanager tells the pager, it pages, rolls back, and says when it is over."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from rankloop.errors import RankloopError
from services.edge import Slots
from services.settings import Settings
from services.stack.watchers import Binaries, Watchers
from tests.services.both import served
from tests.services.control.control_world import World, world
from tests.services.control.pager_world import KEY, Listener, listening
from tests.services.edge.conftest import Rig, free_ports, start_rig, until

__all__ = ["start_rig"]

POLICY = "rules:\n- {alerts: [ErrorBurst], act: roll back}\n"
HURT, WELL = "unlucky", "lucky"
FAILURES = 8
"""Enough for a burst, too few for the budget of an hour, whose alert would go on for minutes after the end."""


@pytest.fixture
def watched(start_rig: Callable[..., Rig], tmp_path: Path) -> Iterator[tuple[World, Rig, Listener]]:
    """A control plane on a real edge before toys, real Prometheus and Alertmanager with our rules, and a stand-in to be paged."""
    if missing := Binaries.found().missing:
        pytest.skip(f"not installed: {' '.join(missing)}")
    rig = start_rig()
    rig.edge.set_slots(Slots())
    with listening() as listener, ExitStack() as opened:
        (tmp_path / "key").write_text(KEY)
        (tmp_path / "alerts.yaml").write_text(POLICY)
        asked = {"pagerduty_key_file": str(tmp_path / "key"), "pagerduty_url": f"{listener.url}/pagerduty", "settle_seconds": 2}
        place = opened.enter_context(world(rig, tmp_path, **asked))
        opened.enter_context(_goes_on(place))
        control = opened.enter_context(served(place.app))
        prometheus, alertmanager = free_ports(2)
        ports = {"control_port": int(control.rpartition(":")[2]), "edge_metrics_port": rig.edge.config.metrics_port}
        ports |= {"prometheus_port": prometheus, "alertmanager_port": alertmanager}
        watchers = Watchers(Settings.read(home=tmp_path, scrape_seconds=1, **ports))
        watchers.prepare()
        for name, command in watchers.commands().items():
            process = opened.enter_context(
                subprocess.Popen(command, stdout=(tmp_path / f"{name}.log").open("wb"), stderr=subprocess.STDOUT)
            )
            opened.callback(process.terminate)
        until(lambda: _scraped(prometheus), "Prometheus reads the edge")
        yield place, rig, listener


@contextmanager
def _goes_on(place: World) -> Iterator[None]:
    """The rounds of a control plane that leads, by the real clock."""
    over = threading.Event()

    def rounds() -> None:
        while not over.wait(0.3):
            place.now = datetime.now(UTC)
            with suppress(RankloopError):
                place.controller.tick()
                if (lease := place.controller.lease) is not None:
                    place.pager.tick(lease)
                place.counting.update(place.controller.status())

    thread = threading.Thread(target=rounds)
    thread.start()
    yield
    over.set()
    thread.join()


def _scraped(port: int) -> bool:
    try:
        found = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": 'up{job="edge"} == 1'})
    except httpx.TransportError:
        return False
    return found.is_success and bool(found.json()["data"]["result"])


def serve(place: World, release_id: str) -> None:
    """A release serves everybody."""
    place.register(release_id)
    place.controller.serve_now(release_id, who="test", why="the next one")
    until(lambda: place.views.release(release_id).state == "serving", f"{release_id} serves")


def break_green(rig: Rig) -> None:
    """The release in slot green cannot answer some people."""
    answer = rig.serve._answer

    def answered(asked: BaseHTTPRequestHandler) -> None:
        if asked.path.startswith("/green/v1") and asked.headers.get("x-fails"):
            asked.rfile.read(int(asked.headers.get("content-length", 0)))
            rig.serve._write(asked, 500, "application/json", b"{}")
        else:
            answer(asked)

    rig.serve._answer = answered  # type: ignore[method-assign]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_fault_is_paged_once_rolled_back_and_told_to_be_over(watched: tuple[World, Rig, Listener]) -> None:
    place, rig, listener = watched
    serve(place, "r1")
    serve(place, "r2")
    assert place.views.desired().stable == "green"
    break_green(rig)
    status = {person: [] for person in (HURT, WELL)}  # type: dict[str, list[int]]

    def ask(person: str) -> None:
        headers = {"X-Fails": "1"} if person == HURT else {}
        status[person].append(rig.recommend(person, headers=headers).status_code)

    def paged() -> bool:
        """Asks while it waits: eight requests of the unlucky fail within the first seconds, the others go on."""
        ask(WELL)
        if len(status[HURT]) < FAILURES:
            ask(HURT)
        time.sleep(1)
        return bool(listener.bodies("/pagerduty"))

    until(paged, "a page", 150)
    until(lambda: place.views.desired().stable == "blue", "a rollback", 30)
    assert len(status[HURT]) == FAILURES
    assert min(status[HURT]) >= 500
    assert set(status[WELL]) == {200}
    ask(HURT)
    assert status[HURT][-1] == 200
    until(lambda: listener.bodies("/pagerduty")[-1]["event_action"] == "resolve", "the end", 150)

    events = listener.bodies("/pagerduty")
    assert len({event["dedup_key"] for event in events}) == 1
    first = events[0]["payload"]
    assert (first["severity"], first["class"], first["component"]) == ("critical", "errors", "edge")
    assert "r2" in first["summary"]
    assert place.views.release("r2").state == "rolled back"
    kinds = [event.kind for event in place.views.events(subject=events[0]["dedup_key"]).events]
    assert "incident.resolved" in kinds
