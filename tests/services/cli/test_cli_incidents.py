"""What is wrong at a terminal: listed in 80 columns, shown, taken, silenced, resolved, noted."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from services.cli import console
from services.control.client import ControlClient
from services.control.wire import Alert, Alerts
from services.control.wire_incidents import AlertsTaken, IncidentShown
from tests.services.control.toy_runs import Served

Rankloop = Callable[..., Result]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    one = Served(tmp_path)
    monkeypatch.setenv("RANKLOOP_CONTROL_PORT", str(one.settings.control_port))
    yield one
    one.stop()
    one.database.close()


def opened(place: Served, **labels: str) -> str:
    """The incident of an alert that fires."""
    named = {"alertname": "EdgeErrors", "severity": "page", "cause": "error-burst", "component": "edge", "surface": "job_feed"}
    said = {
        "summary": "job_feed answers 14 % of 5,120 requests with errors, the objective is 0.1 %",
        "command": "rankloop status",
        "runbook_url": "docs/runbook.md#edgeerrors",
    }
    with ControlClient.of(place.settings) as client:
        body = Alerts([Alert("firing", named | labels, said)])
        (own,) = client.send("POST", "/v1/alerts", body, AlertsTaken).incidents
    return own.incident_id


def asked(place: Served, incident_id: str) -> IncidentShown:
    with ControlClient.of(place.settings) as client:
        return client.get(f"/v1/incidents/{incident_id}", IncidentShown)


def test_an_incident_goes_its_way_at_a_terminal(place: Served, rankloop: Rankloop, monkeypatch: pytest.MonkeyPatch) -> None:
    def done(*words: str) -> str:
        result = rankloop("incidents", *words)
        assert result.exit_code == 0, result.output
        return result.output

    monkeypatch.setattr(console.out, "width", 80)
    assert done() == "nothing is wrong\n"
    own = opened(place)
    listed = done("list")
    assert max(map(len, listed.splitlines())) <= 80
    assert own[-6:] in listed
    assert "page job_feed answers 14 %" in " ".join(listed.split())
    shown = done("show", own[-6:])
    for needed in ("error-burst in edge", "run: rankloop status", "docs/runbook.md#edgeerrors", f"incidents ack {own[-6:]}"):
        assert needed in shown
    assert "is acknowledged" in done("ack", own, "--why", "I look at it")
    assert "silent until" in done("silence", own[-6:], "--for", "2h", "--why", "upstream mends it")
    assert "silent" not in done("silence", own, "--for", "0s", "--why", "it is mended")
    assert "the export was cut off" in done("note", own, "the export was cut off")
    assert "is resolved" in done("resolve", own, "--why", "loaded again")
    assert done() == "nothing is wrong\n"
    assert own[-6:] in done("list", "--all", "--surface", "job_feed")
    assert "took" not in done("show", own, "--all")
    kinds = [one.kind for one in asked(place, own).timeline]
    assert kinds[-5:] == [f"incident.{kind}" for kind in ("acknowledged", "silenced", "unsilenced", "noted", "resolved")]


@pytest.mark.parametrize("words", [["list"], ["show", "ID"], ["ack", "ID"], ["note", "ID", "found"]])
def test_every_answer_may_be_json(place: Served, rankloop: Rankloop, words: list[str]) -> None:
    own = opened(place)
    done = rankloop("incidents", *[own if word == "ID" else word for word in words], "--json")
    found: dict[str, Any] = json.loads(done.output)
    assert own in (found.get("incident_id"), *(one["incident_id"] for one in found.get("incidents", [])))


def test_what_cannot_be_is_one_sentence(place: Served, rankloop: Rankloop) -> None:
    own = opened(place)
    for words, said in (
        (["show", "nowhere"], "there is no incident 'nowhere'"),
        (["silence", own, "--for", "soon", "--why", "x"], "--for is 'soon'; give a number and s, m, h or d, such as 2h"),
    ):
        done = rankloop("incidents", *words)
        assert (done.exit_code, said in " ".join(done.output.split())) == (1, True), done.output
