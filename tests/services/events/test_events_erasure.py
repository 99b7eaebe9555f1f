"""A person is forgotten in every place, a receipt says so, and nothing that is kept tells who it was."""

import json
import stat
from pathlib import Path

import msgspec
import polars as pl
import pytest

from rankloop.erasures import hashed
from rankloop.errors import DataError, SourceError
from rankloop.sources.event_log import read_log
from services.events.erasure import ErasureBook, receipt_path
from services.events.forgetting import Forgetting
from services.events.records import ErasureRecord, RejectedRecord
from services.events.uploading import LogPlace, Uploading
from services.events.wire import Receipt

START = 1_772_355_600_000_000
PERSON = "the person who asked"
DEMAND = ErasureRecord("receipt-1", PERSON, START + 5)


@pytest.fixture
def there(tmp_path: Path) -> LogPlace:
    return LogPlace(str(tmp_path / "lake"))


@pytest.fixture
def forgetting(home, there) -> Forgetting:
    return made(home, there)


def made(home, there, gone: bool = True) -> Forgetting:
    uploading = Uploading(home.folder / "log", there, home.metrics)
    places = {"log": LogPlace(str(home.folder / "log")), "uploaded log": there}
    return Forgetting(home.book, home.rolling, places, uploading.send_erasures, lambda _: not gone, home.metrics)


@pytest.fixture
def filled(home, there, event, impression) -> None:
    """Rows of the person and of another here and at the URL, one file with nobody else in it."""
    raw = RejectedRecord(START, "kind", json.dumps({"user_id": PERSON}).encode())
    for number in range(2):
        home.write("events", [event(f"a{number}", PERSON), event(f"b{number}"), raw], [event(f"c{number}", PERSON, ts=START + 6)])
        home.write("impressions", [impression(f"r{number}", PERSON)])
        home.rolling.step()
        if not number:
            Uploading(home.folder / "log", there, home.metrics).step()
    home.write("impressions", [impression("r8"), impression("r9", PERSON)])
    home.rolling.step()


def receipt(home) -> dict:
    return json.loads(receipt_path(home.folder, DEMAND.receipt_id).read_text())


def rows(root: Path, table: str) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(file) for file in sorted((root / table).rglob("*.parquet"))])


def ask(home, places=("spool", "log", "uploaded log"), segments=()) -> None:
    home.book.ask(DEMAND, segments, places)


def test_the_persons_rows_leave_every_file_and_what_came_after_stays(home, forgetting, filled, tmp_path) -> None:
    ask(home)
    forgetting.step()
    assert rows(home.folder / "log", "outcomes").sort("event_id")["event_id"].to_list() == ["b1", "c1"]
    assert rows(tmp_path / "lake", "outcomes").sort("event_id")["event_id"].to_list() == ["b0", "c0"]
    assert set(rows(home.folder / "log", "impressions")["user_id"]) == {"u1"}
    assert not list((tmp_path / "lake" / "impressions").rglob("*.parquet"))
    assert not list((tmp_path / "lake" / "quarantine").rglob("*.parquet"))
    assert rows(home.folder / "log", "outcomes")["ts"].is_sorted()


def test_the_receipt_says_what_was_removed_where_and_when(home, forgetting, filled) -> None:
    ask(home)
    assert receipt(home)["state"] == "pending"
    forgetting.step()
    found = receipt(home)
    assert found["state"] == "complete"
    assert {place["place"]: place["rows"] for place in found["places"]} == {
        "spool": 0, "log": 1 + 1 + 3 + 3, "uploaded log": 1 + 1 + 3,
    }  # fmt: skip
    assert all(place["done_at"] for place in found["places"])
    assert home.value("rankloop_erasures_total") == 1
    assert home.book.pending() == []


def test_neither_receipt_nor_list_tells_who_it_was_and_the_key_is_its_owners(home, forgetting, filled, tmp_path) -> None:
    ask(home)
    forgetting.step()
    kept = [
        *(home.folder / "privacy").rglob("*"),
        *(home.folder / "log" / "erasures").rglob("*"),
        *tmp_path.glob("lake/erasures/*"),
    ]
    assert len([file for file in kept if file.is_file()]) == 1 + 1 + 1 + 1 + 1
    assert not any(PERSON in file.read_text() for file in kept if file.is_file())
    key = home.folder / "privacy" / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert hashed(key.read_bytes(), PERSON) in (home.folder / "privacy" / "erasures.json").read_text()


def test_a_reader_elsewhere_honours_the_list_that_travels_with_the_log(home, forgetting, filled, tmp_path, event) -> None:
    ask(home)
    forgetting.step()
    late = home.folder / "log" / "outcomes" / "date=2026-03-01" / "hour=09"
    frame = rows(home.folder / "log", "outcomes")
    back = frame.head(1).with_columns(user_id=pl.lit(PERSON), event_id=pl.lit("late"), ts=pl.lit(START).cast(frame.schema["ts"]))
    elsewhere = tmp_path / "lake" / late.relative_to(home.folder / "log")
    back.write_parquet(elsewhere / "late.parquet")
    outcomes = read_log(str(tmp_path / "lake"), key=home.book.key)[1]
    assert outcomes.filter(pl.col("user_id") == PERSON)["ts"].dt.epoch("us").to_list() == [START + 6]
    with pytest.raises(SourceError, match="no key was given"):
        read_log(str(tmp_path / "lake"))


def test_the_receipt_waits_for_the_segments_that_may_hold_the_person(home, there, filled) -> None:
    ask(home, segments=["events/w/1"])
    made(home, there, gone=False).step()
    assert receipt(home)["state"] == "pending"
    assert {place["place"] for place in receipt(home)["places"] if place["done_at"]} == {"log", "uploaded log"}
    made(home, there).step()
    assert receipt(home)["state"] == "complete"


def test_storage_that_is_down_keeps_only_its_own_place_waiting(home, there, filled, monkeypatch) -> None:
    def down(table: str) -> list[str]:
        raise ConnectionError("down")

    ask(home)
    monkeypatch.setattr(there, "files", down)
    with pytest.raises(ConnectionError):
        made(home, there).step()
    assert {place["place"] for place in receipt(home)["places"] if place["done_at"]} == {"spool", "log"}
    monkeypatch.undo()
    made(home, there).step()
    assert receipt(home)["state"] == "complete"


def test_a_crash_between_two_files_changes_neither_the_rows_nor_their_number(home, there, filled, monkeypatch) -> None:
    whole, calls = LogPlace.put, []

    def put(self, local, name):
        calls.append(name)
        whole(self, local, name)
        if len(calls) == 2:
            raise KeyboardInterrupt

    ask(home)
    monkeypatch.setattr(LogPlace, "put", put)
    with pytest.raises(KeyboardInterrupt):
        made(home, there).step()
    monkeypatch.undo()
    home.book = ErasureBook(home.folder)
    made(home, there).step()
    assert {place["place"]: place["rows"] for place in receipt(home)["places"]} == {"spool": 0, "log": 8, "uploaded log": 5}
    assert receipt(home)["state"] == "complete"


def test_several_people_are_forgotten_in_one_pass(home, forgetting, filled) -> None:
    ask(home)
    home.book.ask(ErasureRecord("receipt-2", "u1", START + 1), [], ["log"])
    forgetting.step()
    assert rows(home.folder / "log", "outcomes")["event_id"].to_list() == ["c1"]
    assert home.value("rankloop_erasures_total") == 2


def test_the_same_demand_again_is_left_alone_and_a_later_one_is_another(home, forgetting) -> None:
    ask(home)
    forgetting.step()
    ask(home)
    assert home.book.pending() == []
    home.book.ask(ErasureRecord("receipt-2", PERSON, START + 50), [], ["log"])
    assert home.book.covers(PERSON, START + 50)
    home.book.ask(ErasureRecord("receipt-3", PERSON, START), [], ["log"])
    assert home.book.covers(PERSON, START + 50)
    assert not home.book.covers(PERSON, START + 51)


def test_a_receipt_is_what_the_collector_shows(home) -> None:
    home.book.ask(DEMAND, ["events/w/1"], ["online state", "kafka"])
    shown = msgspec.json.decode(receipt_path(home.folder, DEMAND.receipt_id).read_bytes(), type=Receipt)
    assert [(place.place, place.rows, place.done_at) for place in shown.places] == [
        ("online state", 0, None),
        ("kafka", None, None),
    ]
    assert "cannot be taken back" in shown.places[1].note


def test_an_id_that_is_no_file_name_stays_in_the_folder(home) -> None:
    assert receipt_path(home.folder, "../../etc/passwd").parent == home.folder / "privacy" / "receipts"


def test_a_list_that_was_damaged_is_named_and_not_begun_anew(home) -> None:
    ask(home)
    (home.folder / "privacy" / "erasures.json").write_text("{")
    with pytest.raises(DataError, match=r"erasures\.json"):
        ErasureBook(home.folder)
