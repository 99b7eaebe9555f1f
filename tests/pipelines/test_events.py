"""What happened in a run so far."""

from pathlib import Path

from pipelines.events import STEPS, Event, read_events, summarise

LINE = '{"step": "ingest", "event": "%s", "text": "", "at": 1.0}\n'


def test_a_half_written_line_waits_until_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(LINE % "starts" + '{"step": "ing')
    events, offset = read_events(file)
    assert [event.event for event in events] == ["starts"]
    file.write_text(LINE % "starts" + LINE % "done")
    events, _ = read_events(file, offset)
    assert [event.event for event in events] == ["done"]


def test_a_run_that_has_not_begun_has_no_events(tmp_path: Path) -> None:
    assert read_events(tmp_path / "absent.jsonl") == ([], 0)


def test_steps_that_never_began_wait_during_a_run_and_are_skipped_after_it() -> None:
    events = [Event("ingest", "cached", "", 1.0)]
    assert {record.state for record in summarise(events, ended=False).values()} == {"cached", "waiting"}
    after = summarise(events, ended=True)
    assert list(after) == list(STEPS)
    assert after["deploy"].state == "skipped"
