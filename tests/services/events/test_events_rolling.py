"""Sealed segments become the log's files; a segment goes when everybody has passed it."""

from pathlib import Path

import polars as pl
import pytest

from rankloop.sources.event_log import read_log
from rankloop.sources.log_layout import LOG_SCHEMAS
from services.events import rolling as rolling_module
from services.events.records import ErasureRecord, RejectedRecord, encode
from services.events.rolling import Sealed

HOUR = 3_600_000_000
START = 1_772_355_600_000_000


def files(home) -> list[str]:
    return sorted(str(file.relative_to(home.folder / "log")) for file in (home.folder / "log").rglob("*.parquet"))


def rows(home, table: str) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(file) for file in sorted((home.folder / "log" / table).rglob("*.parquet"))])


def test_rows_lie_by_table_and_hour_under_a_name_of_writer_and_segment(home, event, impression) -> None:
    events = home.write("events", [event("e1"), event("e2", ts=START + HOUR)], [RejectedRecord(START, "no kind", b"{}")])
    shown = home.write("impressions", [impression("r1")])
    home.rolling.step()
    assert files(home) == [
        f"impressions/date=2026-03-01/hour=09/{shown}-00000001.parquet",
        f"outcomes/date=2026-03-01/hour=09/{events}-00000001.parquet",
        f"outcomes/date=2026-03-01/hour=10/{events}-00000001.parquet",
        f"quarantine/date=2026-03-01/hour=09/{events}-00000001.parquet",
    ]
    for table, schema in LOG_SCHEMAS.items():
        assert rows(home, table).schema == pl.Schema(schema)
    assert home.value("rankloop_rolled_rows_total", table="impressions") == 3


def test_an_answer_becomes_a_row_an_item_with_the_features_it_was_scored_by(home, impression) -> None:
    home.write("impressions", [impression("r1"), impression("r2", features=b"", teams=["r1", "r2", "r1"], ts=START - 1)])
    home.rolling.step()
    shown = rows(home, "impressions")
    assert shown.select("request_id", "item_id", "position", "release_id", "score", "source").rows() == [
        ("r2", "a", 1, "r1", 3.0, "als"), ("r2", "b", 2, "r2", 2.0, "bm25"), ("r2", "c", 3, "r1", 1.0, "als"),
        ("r1", "a", 1, "r1", 3.0, "als"), ("r1", "b", 2, "r1", 2.0, "bm25"), ("r1", "c", 3, "r1", 1.0, "als"),
    ]  # fmt: skip
    assert shown["features"].to_list() == [None, None, None, [0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


def test_an_answer_without_items_leaves_no_row(home, impression) -> None:
    home.write("impressions", [impression("r1", items=[], scores=[], sources=[], features=b""), impression("r2")])
    home.rolling.step()
    assert set(rows(home, "impressions")["request_id"]) == {"r2"}


@pytest.mark.parametrize("broken", [{"scores": [1.0]}, {"features": b"12345"}, {"teams": []}])
def test_an_answer_that_does_not_fit_together_goes_to_the_quarantine(home, impression, broken) -> None:
    home.write("impressions", [impression("r1", **broken), impression("r2")])
    home.rolling.step()
    assert set(rows(home, "impressions")["request_id"]) == {"r2"}
    assert rows(home, "quarantine")["reason"].to_list() == ["impression: its lists differ in length"]


def test_a_frame_of_another_version_goes_to_the_quarantine(home, event) -> None:
    writer = home.writer("events")
    writer.append(b"\xc1 not ours")
    writer.close()
    home.write("events", [event("e1")])
    home.rolling.step()
    assert rows(home, "quarantine")["raw"].to_list() == [b"\xc1 not ours"]
    assert rows(home, "outcomes").height == 1


def test_a_segment_that_still_grows_is_left_alone(home, event) -> None:
    writer = home.writer("events")
    writer.append(encode([event("e1")]))
    home.rolling.step()
    assert files(home) == []
    writer.close()
    home.rolling.step()
    assert len(files(home)) == 1


def test_rolling_again_gives_the_same_bytes(home, event, impression) -> None:
    home.write("events", [event("e2", ts=START + 5), event("e1")])
    home.write("impressions", [impression("r1")])
    home.rolling.step()
    before = {name: (home.folder / "log" / name).read_bytes() for name in files(home)}
    for marker in (home.folder / "curator").rglob("*.json"):
        marker.unlink()
    home.rolling.step()
    assert {name: (home.folder / "log" / name).read_bytes() for name in files(home)} == before


def test_who_was_erased_is_not_rolled_and_counted_by_receipt(home, event, impression) -> None:
    raw = b'{"user_id": "u1", "kind": "look"}'
    home.write("events", [event("e1"), event("e2", "u2"), event("e3", ts=START + 9), RejectedRecord(START, "kind", raw)])
    home.write("impressions", [impression("r1"), impression("r2", "u2")])
    home.book.ask(ErasureRecord("receipt", "u1", START + 5), [], ["spool"])
    home.rolling.step()
    assert rows(home, "outcomes").sort("event_id")["event_id"].to_list() == ["e2", "e3"]
    assert set(rows(home, "impressions")["user_id"]) == {"u2"}
    assert not (home.folder / "log" / "quarantine").exists()
    (pending,) = home.book.pending()
    assert sum(pending.rows["spool"].values()) == 1 + 3 + 1


def test_a_segment_stays_until_everybody_has_passed_it(home, event, monkeypatch) -> None:
    monkeypatch.setattr(rolling_module, "_SETTLED", 0.0)
    writer = home.write("events", [event("e1")])
    segment = home.readers["events"].path(writer, 1)
    home.rolling.sweep([])
    assert segment.exists()
    home.rolling.step()
    home.rolling.sweep([lambda one: one != Sealed("events", writer, 1)])
    assert segment.exists()
    home.rolling.sweep([lambda one: one == Sealed("events", writer, 1)])
    assert not segment.parent.exists()
    assert not list((home.folder / "curator").rglob("*.json"))


def test_the_folder_of_a_writer_that_lives_stays(home, event) -> None:
    writer = home.writer("events")
    home.rolling.sweep([])
    assert (home.folder / "spool" / "events" / writer.name).is_dir()
    writer.close()


def test_one_segment_that_cannot_be_rolled_does_not_keep_the_others_waiting(home, event) -> None:
    home.write("events", [event("e1", ts=2**63 - 1, received=-(2**63))], [event("huge", ts=2**64 - 1)])
    home.write("events", [event("e2")])
    with pytest.raises((OverflowError, TypeError, pl.exceptions.PolarsError)):
        home.rolling.step()
    assert read_log(str(home.folder / "log"))[1].height == 1
    assert home.value("rankloop_roll_lag_seconds") > 0


def test_a_torn_end_is_left_out_and_nothing_before_it(home, event, tmp_path: Path) -> None:
    writer = home.write("events", [event("e1")], [event("e2")])
    segment = home.readers["events"].path(writer, 1)
    segment.write_bytes(segment.read_bytes()[:-3])
    home.rolling.step()
    assert rows(home, "outcomes")["event_id"].to_list() == ["e1"]
