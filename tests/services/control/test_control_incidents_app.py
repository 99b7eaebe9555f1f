"""Alerts and incidents over HTTP: a real Alertmanager's webhook, the page, refusals, and the series."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from litestar.testing import TestClient

from services.control.database import Incident, open_incidents
from tests.services.both import served
from tests.services.control.control_world import World, world
from tests.services.edge.conftest import Rig, free_ports, shared_rig, start_rig, until

__all__ = ["shared_rig", "start_rig"]

WHY = {"why": "a test"}
LABELS = {"alertname": "EdgeErrors", "severity": "page", "cause": "error-burst", "component": "edge", "surface": "job_feed"}
WEBHOOK: dict[str, Any] = {
    "version": "4",
    "groupKey": '{}:{cause="error-burst"}',
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "rankloop",
    "groupLabels": {"cause": "error-burst"},
    "commonLabels": LABELS,
    "commonAnnotations": {},
    "externalURL": "http://127.0.0.1:9093",
    "alerts": [
        {
            "status": "firing",
            "labels": LABELS,
            "annotations": {"summary": "<script>alert(1)</script> 14 % of answers are errors"},
            "startsAt": "2026-11-17T14:00:00.123456789Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://127.0.0.1:9090/graph?g0.expr=up",
            "fingerprint": "5f2cabc",
        }
    ],
}


@pytest.fixture
def place(shared_rig: Rig, tmp_path: Path) -> Iterator[World]:
    with world(shared_rig, tmp_path / "home") as one:
        yield one


@pytest.fixture
def ask(place: World) -> Iterator[TestClient[Any]]:
    with TestClient(place.app) as client:
        yield client


def opened(place: World) -> list[Incident]:
    with place.database.read() as session:
        return open_incidents(session)


def test_a_webhook_becomes_an_incident_that_people_take_and_end(ask: TestClient[Any]) -> None:
    (going,) = ask.post("/v1/alerts", json=WEBHOOK).json()["incidents"]
    assert ask.post("/v1/alerts", json=WEBHOOK).json()["incidents"] == [going]
    where = f"/v1/incidents/{going['incident_id']}"
    (listed,) = ask.get("/v1/incidents", params={"status": "open", "surface": "job_feed"}).json()["incidents"]
    assert (listed["since"], listed["alerts"], listed["context"]) == ("2026-11-17T14:00:00.123456Z", [], None)
    assert ask.post(f"{where}/acknowledge", json=WHY, headers={"X-Rankloop-Who": "ada"}).json()["acknowledged_by"] == "ada"
    assert ask.post(f"{where}/silence", json={"seconds": 60, **WHY}).json()["silenced_until"] == "2026-11-17T14:06:00Z"
    assert ask.post(f"{where}/notes", json={"text": "found it"}).json()["timeline"][-1]["why"] == "found it"
    assert ask.post(f"{where}/resolve", json=WHY).json()["status"] == "resolved"
    assert ask.get("/v1/incidents", params={"status": "open"}).json()["incidents"] == []
    assert ask.post(f"{where}/acknowledge", json=WHY).status_code == 409
    shown = ask.get(where).json()
    assert [one["labels"]["alertname"] for one in shown["alerts"]] == ["EdgeErrors"]
    history = ask.get("/v1/events", params={"subject": going["incident_id"]}).json()["events"]
    assert {one["id"] for one in history} == {one["id"] for one in shown["timeline"]}


def test_what_cannot_be_is_refused(ask: TestClient[Any]) -> None:
    (going,) = ask.post("/v1/alerts", json=WEBHOOK).json()["incidents"]
    where = f"/v1/incidents/{going['incident_id']}"
    assert ask.get("/v1/incidents/inc-0").status_code == 404
    assert ask.get("/v1/incidents/inc-0/page").status_code == 404
    assert ask.get("/v1/incidents", params={"status": "lost"}).status_code == 422
    for act, body in (
        ("silence", {"seconds": -1, **WHY}),
        ("silence", {"seconds": 1e9, **WHY}),
        ("acknowledge", {"why": " "}),
        ("notes", {"text": ""}),
        ("resolve", {}),
    ):
        assert ask.post(f"{where}/{act}", json=body).status_code == 422


def test_the_page_runs_nothing_and_has_what_alerts_wrote_as_text(ask: TestClient[Any]) -> None:
    (going,) = ask.post("/v1/alerts", json=WEBHOOK).json()["incidents"]
    page = ask.get(f"/v1/incidents/{going['incident_id']}/page")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


def test_incidents_are_listed_page_by_page(place: World, ask: TestClient[Any]) -> None:
    for number in range(3):
        place.tick()
        ask.post("/v1/alerts", json=WEBHOOK | {"alerts": [WEBHOOK["alerts"][0] | {"labels": LABELS | {"cause": f"c{number}"}}]})
    first = ask.get("/v1/incidents", params={"limit": 2}).json()
    rest = ask.get("/v1/incidents", params={"limit": 2, "before": first["next"]}).json()
    assert [own["cause"] for own in (*first["incidents"], *rest["incidents"])] == ["c2", "c1", "c0"]
    assert rest["next"] is None


def test_the_series_count_what_is_open(place: World, ask: TestClient[Any]) -> None:
    ask.post("/v1/alerts", json=WEBHOOK)
    place.counting.update(place.controller.status())
    assert 'rankloop_incidents{severity="page",status="firing"} 1.0' in ask.get("/metrics").text


@pytest.mark.slow
def test_a_real_alertmanager_opens_one_incident_and_ends_it(place: World, tmp_path: Path) -> None:
    alertmanager, amtool = shutil.which("prometheus-alertmanager"), shutil.which("amtool")
    if alertmanager is None or amtool is None:
        pytest.skip("no Alertmanager here: prometheus-alertmanager and amtool are missing")
    (port,) = free_ports(1)
    with served(place.app) as url:
        receiver = {"name": "rankloop", "webhook_configs": [{"url": f"{url}/v1/alerts"}]}
        grouped = {"group_by": ["cause", "surface", "component"], "group_wait": "0s", "group_interval": "1s"}
        config = {"route": {"receiver": "rankloop", **grouped}, "receivers": [receiver]}
        (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config))
        given = [
            f"--config.file={tmp_path / 'alertmanager.yml'}",
            f"--storage.path={tmp_path / 'am'}",
            "--cluster.listen-address=",
        ]
        with (tmp_path / "am.log").open("wb") as log:
            running = subprocess.Popen([alertmanager, *given, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            labels = [f"{name}={value}" for name, value in LABELS.items()]
            add = [
                amtool,
                f"--alertmanager.url=http://127.0.0.1:{port}",
                "alert",
                "add",
                *labels,
                "--annotation=summary=it breaks",
            ]
            until(lambda: subprocess.run(add, check=False, capture_output=True).returncode == 0, "it takes an alert")
            until(lambda: bool(opened(place)), "the incident is open")
            (own,) = opened(place)
            assert (own.cause, own.severity, own.title) == ("error-burst", "page", "it breaks")
            subprocess.run([*add, "--end=2020-01-01T00:00:00Z", "--start=2019-01-01T00:00:00Z"], check=True, capture_output=True)
            until(lambda: opened(place)[0].status == "quiet", "nothing fires any more")
        finally:
            running.terminate()
            running.wait()
    place.now = place.now.replace(hour=place.now.hour + 1)
    place.pager.tick()
    assert opened(place) == []
