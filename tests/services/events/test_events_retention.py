"""Hours over their time go, whole, here and at the URL; the others stay."""

from datetime import UTC, datetime, timedelta

from services.events.retention import Retention
from services.events.uploading import LogPlace

HOUR = 3_600_000_000
START = 1_772_355_600_000_000
DAYS = {"impressions": 2, "outcomes": 4, "quarantine": 1}


def test_each_table_keeps_its_days_in_every_place(home, event, impression, tmp_path) -> None:
    for hours in (0, 1, 50):
        home.write("events", [event(f"e{hours}", ts=START + hours * HOUR)])
        home.write("impressions", [impression(f"r{hours}", ts=START + hours * HOUR)])
    home.rolling.step()
    here, there = LogPlace(str(home.folder / "log")), LogPlace(str(tmp_path / "lake"))
    for table in ("impressions", "outcomes"):
        for file in here.files(table):
            there.put(home.folder / "log" / file, file)
    two_days_after_the_first_hour = datetime.fromtimestamp(START / 1e6, UTC) + timedelta(days=2, hours=1)
    Retention(DAYS, (here, there), home.metrics).step(two_days_after_the_first_hour)
    for place in (here, there):
        kept = [file.rpartition("/")[0] for file in place.files("impressions")]
        assert kept == ["impressions/date=2026-03-01/hour=10", "impressions/date=2026-03-03/hour=11"]
        assert len(place.files("outcomes")) == 3
    assert home.value("rankloop_retained_partitions_deleted_total", table="impressions") == 2
    assert home.value("rankloop_retained_partitions_deleted_total", table="outcomes") == 0


def test_an_empty_day_leaves_no_folder(home, event) -> None:
    home.write("events", [event("e1")])
    home.rolling.step()
    here = LogPlace(str(home.folder / "log"))
    Retention(DAYS, (here,), home.metrics).step(datetime(2030, 1, 1, tzinfo=UTC))
    assert list((home.folder / "log" / "outcomes").iterdir()) == []
