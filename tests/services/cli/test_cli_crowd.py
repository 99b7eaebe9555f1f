"""`rankloop crowd` and `rankloop scoreboard` at the terminal."""

import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from rankloop.simulation import Crowd, Marketplace, Scale
from services.cli.crowd import loopback_only
from services.control.database import ReleaseFacts, database_url, end_canary, new_canary, open_database, register, save_step
from services.settings import Settings

Rankloop = Callable[..., Result]
NOW = datetime(2026, 11, 17, 14, 5, tzinfo=UTC)
BY = {"who": "ann", "why": "A test."}


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


@pytest.fixture
def marketplace(home: Path) -> Marketplace:
    """Tiny, and where the demo would have left it: its record alone."""
    scale = Scale.tiny()
    folder = home / "data" / "simulated-4000-1"
    folder.mkdir(parents=True)
    made = {"seed": 1, "scale": {**vars(scale), "start": scale.start.isoformat()}}
    (folder / "made.json").write_text(json.dumps(made), "utf-8")
    return Marketplace(scale, rng=1)


@pytest.fixture
def answering(server: Any, marketplace: Marketplace) -> Any:
    """A service that shows everybody the same five open jobs, and takes every event."""
    crowd = Crowd(marketplace, rng=1)
    items = marketplace.truth.best(crowd.request(crowd.visits(1)[0]), 5)
    placed = [
        {"item_id": item, "title": "A job", "score": 1.0, "position": place, "source": "als"}
        for place, item in enumerate(items, 1)
    ]
    for path in ("/v1/recommend", "/v1/search"):
        server.says(path, server.answer | {"items": placed})
    server.says("/v1/events", {"accepted": 1, "rejected": []})
    return server


def test_a_crowd_is_counted_by_release(rankloop: Rankloop, answering: Any) -> None:
    done = rankloop("crowd", "--rate", 60, "--seconds", 1, "--haste", 1e9, "--url", answering.url, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.output)
    (served,) = report["served"]
    lists = [path for path, _ in answering.asked if path in ("/v1/recommend", "/v1/search")]
    assert report["came"] == report["answered"] == served["lists"] == len(lists) > 0
    assert served["release_id"] == "r-abc"
    sent = [event for path, body in answering.asked if path == "/v1/events" for event in body["events"]]
    assert report["events"] == len(sent)
    assert {event["request_id"] for event in sent} == {"q1"}


def test_a_crowd_is_shown_as_tables(rankloop: Rankloop, answering: Any) -> None:
    done = rankloop("crowd", "--rate", 60, "--seconds", 0.5, "--people", 7, "--url", answering.url)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("7 people of ")
    assert "people came in" in done.output
    assert "clicks a list" in done.output
    assert "r-abc" in done.output


def test_a_crowd_that_nobody_answers_exits_with_3(rankloop: Rankloop, server: Any, marketplace: Marketplace) -> None:
    done = rankloop("crowd", "--rate", 30, "--seconds", 0.5, "--url", server.url)
    assert done.exit_code == 3
    assert "gave up after 404" in done.output


@pytest.mark.parametrize("url", ["http://10.0.0.7:8000", "https://example.com", "http://0.0.0.0:8000", "here"])
def test_another_machine_is_asked_only_on_purpose(rankloop: Rankloop, marketplace: Marketplace, url: str) -> None:
    done = rankloop("crowd", "--url", url)
    assert done.exit_code == 1
    assert "is not this machine" in done.output


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:8000", "http://127.9.9.9"])
def test_this_machine_has_many_names(url: str) -> None:
    loopback_only(url)


def test_a_home_without_a_marketplace_says_how_to_make_one(rankloop: Rankloop) -> None:
    done = rankloop("crowd")
    assert done.exit_code == 1
    assert "holds no simulated marketplace; make one with `rankloop demo`" in " ".join(done.output.split())


@pytest.mark.parametrize("words", [("--rate", 0), ("--people", 100_000), ("--seconds", -1)])
def test_numbers_that_cannot_work_are_refused_in_words(rankloop: Rankloop, marketplace: Marketplace, words: tuple) -> None:
    done = rankloop("crowd", *words)
    assert done.exit_code == 1
    assert "Traceback" not in done.output
    assert words[0].strip("-") in done.output


@pytest.fixture
def tried(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two canaries that ended, in the record of the home folder; no control plane answers."""
    monkeypatch.setenv("RANKLOOP_CONTROL_PORT", str(unused_port()))
    home.mkdir(parents=True, exist_ok=True)
    plain = {"bento": "", "bundle": "", "as_of": NOW, "created_at": NOW, "surfaces": (), "retrievers": (), "ranker": "lambdamart"}
    with open_database(database_url(Settings.read())) as database, database.begin() as session:
        for number, (value, moved) in enumerate([(0.5, None), (0.6, 0.2), (0.4, -0.3)]):
            facts = {"release_id": f"r{number}", "numbers": {"ndcg@10": value}, "lineage": {}, "files": {"a": str(number)}}
            register(session, ReleaseFacts(**plain, features=(), **facts), at=NOW, **BY)
            if moved is None:
                continue
            at = NOW + timedelta(hours=number)
            own = new_canary(session, release_id=f"r{number}", against="r0", slot="green", policy={}, at=at, **BY)
            row = {"metric": "apply_rate", "difference": moved, "lower": moved - 0.1, "upper": moved + 0.1}
            save_step(session, own.canary_id, None, {"action": "continue", "evidence": [row]}, at)
            end_canary(session, own.canary_id, "promoted" if moved > 0 else "rolled back", at=at, **BY)


def test_the_scoreboard_shows_each_trial_and_says_when_there_are_too_few(rankloop: Rankloop, tried: None, tmp_path: Path) -> None:
    file = tmp_path / "board.svg"
    done = rankloop("scoreboard", "--figure", file)
    assert done.exit_code == 0, done.output
    assert "+0.100" in done.output
    assert "+20.0 % [+10.0, +30.0]" in " ".join(done.output.split())
    assert "ndcg@10 offline and apply_rate online went the same way in 2 of 2 trials; 10 are needed" in " ".join(
        done.output.split()
    )
    assert file.read_text("utf-8").startswith("<svg ")


def test_an_offline_metric_that_nobody_measured_is_named_with_those_that_were(rankloop: Rankloop, tried: None) -> None:
    done = rankloop("scoreboard", "--offline", "mrr@7")
    assert "no trial has 'mrr@7' of both releases; there is ndcg@10" in done.output


def test_the_scoreboard_as_json_is_that_of_the_record(rankloop: Rankloop, tried: None) -> None:
    board = json.loads(rankloop("scoreboard", "--json").stdout)["scoreboard"]
    assert [trial["release_id"] for trial in board["trials"]] == ["r1", "r2"]


def test_before_anything_was_tried_the_scoreboard_exits_with_3(
    rankloop: Rankloop, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKLOOP_CONTROL_PORT", str(unused_port()))
    home.mkdir(parents=True)
    open_database(database_url(Settings.read())).close()
    done = rankloop("scoreboard")
    assert done.exit_code == 3
    assert "no canary has ended yet" in done.output
