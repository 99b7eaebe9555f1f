from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from services import stack
from services.stack import LogLine, ProcessStatus, StackStatus

Rankloop = Callable[..., Result]


def process(role: str, pid: int, *ports: int) -> ProcessStatus:
    return ProcessStatus(role, pid, "sleeping", ports, datetime.now(UTC), 100.0)


def running(**changes: Any) -> StackStatus:
    seen: dict[str, Any] = {
        "state": "up",
        "home": Path("home"),
        "since": datetime.now(UTC) - timedelta(seconds=90),
        "release_id": "r-abc",
        "application": "RUNNING",
        "urls": {"service": "http://127.0.0.1:8000"},
        "processes": (process("haproxy", 11, 8000, 9101), process("ray helper", 12), process("ray helper", 13)),
    }
    return StackStatus(**(seen | changes))


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[[StackStatus], None]:
    """Lets the stack be as a test says."""

    def be(now: StackStatus) -> None:
        monkeypatch.setattr(stack, "status", lambda settings: now)
        monkeypatch.setattr(stack, "up", lambda settings, say: now)

    return be


def test_a_stack_that_is_down_is_exit_code_3_and_how_to_start_it(rankloop: Rankloop) -> None:
    done = rankloop("status")
    assert done.exit_code == 3
    assert "the stack is down" in done.output
    assert "rankloop up" in done.output


def test_status_shows_processes_ports_release_and_addresses(rankloop: Rankloop, found: Callable[..., None]) -> None:
    found(running())
    done = rankloop("status")
    assert done.exit_code == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.output.splitlines()]
    assert ["haproxy", "11", "sleeping", "8000, 9101", "100 MiB"] in rows
    assert ["2 ray helpers", "", "", "", "200 MiB"] in rows
    assert "release: r-abc" in done.output
    assert "http://127.0.0.1:8000" in done.output
    assert "for 1 min 30 s" in done.output


def test_all_shows_the_helpers_one_by_one(rankloop: Rankloop, found: Callable[..., None]) -> None:
    found(running())
    output = rankloop("status", "--all").output
    assert output.count("ray helper ") == 2
    assert "ray helpers" not in output


def test_what_ails_the_application_is_shown_in_its_own_words(rankloop: Rankloop, found: Callable[..., None]) -> None:
    found(running(state="broken", message="the bundle [x] is altered"))
    done = rankloop("status")
    assert done.exit_code == 3
    assert "the bundle [x] is altered" in done.output


@pytest.mark.parametrize(("release_id", "says"), [("r-abc", "release r-abc serves"), (None, "no release yet: rankloop run")])
def test_up_says_what_serves(rankloop: Rankloop, found: Callable[..., None], release_id: str | None, says: str) -> None:
    found(running(release_id=release_id))
    assert says in rankloop("up").output


@pytest.mark.parametrize("command", ["up", "status"])
@pytest.mark.parametrize("watched", ["watched by Prometheus on 9090 and Alertmanager on 9093", "not watched: install [them]"])
def test_who_watches_is_said_plainly(rankloop: Rankloop, found: Callable[..., None], command: str, watched: str) -> None:
    found(running(watched=watched))
    assert watched in rankloop(command).output.splitlines()


def test_down_twice_is_no_error(rankloop: Rankloop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "the stack is down already" in rankloop("down").output
    monkeypatch.setattr(stack, "down", lambda settings, say: 7)
    assert "down; 7 processes ended" in rankloop("down").output


def test_a_line_of_a_log_stays_whole_and_names_its_file(rankloop: Rankloop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def logs(settings: object, **how: Any) -> list[LogLine]:
        asked.update(how)
        return [LogLine("replica_1", "[ERROR] " + "x" * 300)]

    monkeypatch.setattr(stack, "logs", logs)
    done = rankloop("logs", "-n", 5, "--only", "replica")
    assert done.output == "replica_1 [ERROR] " + "x" * 300 + "\n"
    assert asked == {"follow": False, "lines": 5, "only": "replica"}
