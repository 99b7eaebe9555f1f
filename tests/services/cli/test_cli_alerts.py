"""`rankloop alerts`: what fires and what to do, or plainly that nobody watches."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from services.stack.watchers import rule_texts
from tests.services.cli.conftest import Server

Rankloop = Callable[..., Result]


def rule(name: str, state: str, *alerts: dict[str, Any], severity: str = "page") -> dict[str, Any]:
    return {"name": name, "state": state, "labels": {"severity": severity, "surface": "{{ $labels.surface }}"}, "alerts": alerts}


def alert(state: str, severity: str = "page", **annotations: str) -> dict[str, Any]:
    labels = {"severity": severity, "surface": "job_feed", "component": "edge"}
    return {"state": state, "labels": labels, "annotations": annotations, "activeAt": "2026-11-22T03:14:15.926Z", "value": "1"}


@pytest.fixture
def prometheus(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("RANKLOOP_PROMETHEUS_URL", server.url + "/")
    rules = [
        rule("Watchdog", "firing", alert("firing", "info"), severity="info"),
        rule("SpoolLag", "inactive", severity="ticket"),
        rule("SlowAnswers", "pending", alert("pending")),
        rule("EdgeDown", "firing", alert("firing", summary="The edge [x] is dead", command="rankloop logs --only edge")),
    ]
    server.says("/api/v1/rules", {"status": "success", "data": {"groups": [{"rules": rules}]}})
    return server


def rows(output: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]


def test_what_fires_comes_first_with_what_is_wrong_and_the_command(rankloop: Rankloop, prometheus: Server) -> None:
    done = rankloop("alerts")
    assert done.exit_code == 0
    assert rows(done.output) == [
        ["EdgeDown", "firing", "page", "job_feed", "edge", "2026-11-22 03:14:15"],
        ["SlowAnswers", "pending", "page", "job_feed", "edge", "2026-11-22 03:14:15"],
    ]
    assert "EdgeDown: The edge [x] is dead" in done.output
    assert "rankloop logs --only edge" in done.output
    assert "quiet rules: 2; --all shows them" in done.output
    assert prometheus.asked == [("/api/v1/rules?type=alert", None)]


def test_all_shows_the_quiet_ones_too_without_labels_that_depend_on_what_is_found(rankloop: Rankloop, prometheus: Server) -> None:
    found = rows(rankloop("alerts", "--all").output)
    assert ["SpoolLag", "inactive", "ticket", "", "", ""] in found
    assert [row[0] for row in found] == ["EdgeDown", "Watchdog", "SlowAnswers", "SpoolLag"]


def test_json_holds_everything(rankloop: Rankloop, prometheus: Server) -> None:
    told = {own["alert"]: own for own in json.loads(rankloop("alerts", "--json").stdout)}
    assert {name: own["state"] for name, own in told.items()}["SpoolLag"] == "inactive"
    assert told["EdgeDown"]["annotations"]["command"] == "rankloop logs --only edge"
    assert told["EdgeDown"]["since"] == "2026-11-22T03:14:15Z"


@pytest.mark.parametrize("status", [None, 500])
def test_without_a_prometheus_every_rule_is_not_watched(
    rankloop: Rankloop, server: Server, monkeypatch: pytest.MonkeyPatch, status: int | None
) -> None:
    monkeypatch.setenv("RANKLOOP_PROMETHEUS_URL", server.url if status else "http://127.0.0.1:1")
    server.says("/api/v1/rules", "broken", status=500, kind="text/plain")
    done = rankloop("alerts")
    assert done.exit_code == 3
    assert "not watched: the stack is down" in done.output
    found = rows(done.output)
    assert {row[1] for row in found} == {"not watched"}
    assert len(found) == sum(text.count("- alert: ") for text in rule_texts().values()) > 0
