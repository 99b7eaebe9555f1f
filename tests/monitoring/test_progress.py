"""What a pipeline step says while it works."""

from pathlib import Path

import pytest

from monitoring.progress import EVENTS, step
from pipelines.events import read_events, summarise


def test_a_step_tells_how_it_starts_goes_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "events.jsonl"
    monkeypatch.setenv(EVENTS, str(file))
    with step("ingest") as say:
        say("3 rows", rows=3)
    events, _ = read_events(file)
    assert [event.event for event in events] == ["starts", "says", "done"]
    record = summarise(events, ended=True)["ingest"]
    assert (record.state, record.said, record.facts) == ("done", ["3 rows"], {"rows": 3})
    assert record.seconds >= 0
    assert record.peak_mb > 1


def test_a_failure_is_told_and_goes_on_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "events.jsonl"
    monkeypatch.setenv(EVENTS, str(file))
    with pytest.raises(ValueError, match="no rows"), step("ingest"):
        raise ValueError("no rows")
    record = summarise(read_events(file)[0], ended=True)["ingest"]
    assert (record.state, record.said) == ("failed", ["ValueError: no rows"])


def test_without_a_watcher_a_step_only_prints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv(EVENTS, raising=False)
    with step("ingest") as say:
        say("3 rows")
    assert capsys.readouterr().out == "ingest: starts\ningest: 3 rows\ningest: done\n"
