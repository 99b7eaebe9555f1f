"""Job views as contract tables, on a log of six views and three wishes."""

import gzip
from datetime import UTC as ZONE
from datetime import datetime
from pathlib import Path

import pytest

from rankloop.contracts import validate
from rankloop.errors import SourceError
from rankloop.judgements import has_negatives
from rankloop.sources import read

VIEWS = """\
Applicant.ID,Job.ID,Title,Position,Company,City,State.Name,State.Code,Industry,View.Start,View.End,View.Duration,Created.At
a,10,"Cook @ Pan","Cook","Pan","Lima","Ohio",OH,NA,"2015-01-05 10:00:00 UTC",NA,60,x
a,12,"Truck Driver @ Haul","Truck Driver","Haul","Lima","Ohio",OH,"Transport","2015-01-05 10:20:00 UTC",NA,NA,x
a,10,"Cook @ Pan","Cook","Pan","Lima","Ohio",OH,NA,"2015-01-05 10:50:00 UTC",NA,5,x
a,11,"Nurse @ Ward","","Ward","","",,"","2015-01-05 11:20:01 UTC",NA,7,x
b,11,"Nurse @ Ward","","Ward","","",,"","2015-01-03 09:00:00 UTC",NA,9,x
b,9,"Clerk","Clerk",NA,NA,"Ohio",OH,NA,"2015-01-08 09:00:00 UTC",NA,9,x
"""
WISHES = """\
Applicant.ID,Position.Of.Interest,Created.At,Updated.At
a,"Cook","2015-01-01 00:00:00 UTC","2015-01-01 00:00:00 UTC"
a," Chef","2015-01-02 00:00:00 UTC","2015-01-01 00:00:00 UTC"
a,"Pilot","2015-01-09 00:00:00 UTC","2015-01-01 00:00:00 UTC"
c,"Baker","2015-01-09 00:00:00 UTC","2015-01-01 00:00:00 UTC"
c,"Baker","2015-01-10 00:00:00 UTC","2015-01-01 00:00:00 UTC"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Job_Views.csv.gz").write_bytes(gzip.compress(VIEWS.encode()))
    (tmp_path / "Positions_Of_Interest.csv").write_text(WISHES)
    return tmp_path


def rows(folder: Path, table: str, *columns: str) -> list[tuple[object, ...]]:
    return getattr(validate(read("job_views", str(folder))).tables, table).select(columns).rows()


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2015, 1, day, hour, minute, second, tzinfo=ZONE)


def test_a_persons_first_view_of_a_job_is_a_request_of_its_own(folder):
    assert rows(folder, "impressions", "request_id", "ts", "user_id", "item_id", "position", "surface") == [
        ("b-1", at(3, 9), "b", "11", 1, "job_feed"),
        ("a-1", at(5, 10), "a", "10", 1, "job_feed"),
        ("a-2", at(5, 10, 20), "a", "12", 1, "job_feed"),
        ("a-4", at(5, 11, 20, 1), "a", "11", 1, "job_feed"),
        ("b-2", at(8, 9), "b", "9", 1, "job_feed"),
    ]


def test_a_later_view_of_the_same_job_is_a_further_click_of_its_request(folder):
    assert rows(folder, "outcomes", "request_id", "item_id")[1:4] == [("a-1", "10"), ("a-2", "12"), ("a-1", "10")]


def test_each_view_is_a_click_worth_the_seconds_viewed(folder):
    assert rows(folder, "outcomes", "ts", "item_id", "kind", "value") == [
        (at(3, 9), "11", "click", 9.0),
        (at(5, 10), "10", "click", 60.0),
        (at(5, 10, 20), "12", "click", None),
        (at(5, 10, 50), "10", "click", 5.0),
        (at(5, 11, 20, 1), "11", "click", 7.0),
        (at(8, 9), "9", "click", 9.0),
    ]


def test_an_item_takes_its_title_from_the_position_or_else_from_the_full_title(folder):
    assert rows(folder, "items", "item_id", "title", "category", "owner_id", "description") == [
        ("10", "Cook", "food", "Pan", "Cook @ Pan, Pan, Lima, Ohio"),
        ("11", "Nurse @ Ward", "care", "Ward", "Nurse @ Ward, Ward"),
        ("12", "Truck Driver", "transport", "Haul", "Truck Driver @ Haul, Haul, Lima, Ohio, Transport"),
        ("9", "Clerk", "office", None, "Clerk, Ohio"),
    ]


def test_a_job_is_as_old_as_the_first_view_of_any_job_with_a_higher_id(folder):
    # 11 was seen on the 3rd, so 10 and 9, which came before it, existed then; 12 was first seen on the 5th
    assert dict(rows(folder, "items", "item_id", "created_at")) == {
        "9": at(3, 0),
        "10": at(3, 0),
        "11": at(3, 0),
        "12": at(5, 0),
    }


def test_wishes_of_after_the_first_view_are_no_headline(folder):
    assert rows(folder, "users", "user_id", "headline", "created_at") == [
        ("a", "Cook, Chef", datetime(2014, 12, 31, 23, 59, 59, tzinfo=ZONE)),
        ("b", None, at(3, 8, 59, 59)),
        ("c", "Baker", at(8, 23, 59, 59)),
    ]


def test_a_view_log_has_no_negatives(folder):
    assert not has_negatives(validate(read("job_views", str(folder))).tables)


def test_a_missing_file_names_what_is_there(folder):
    (folder / "Job_Views.csv.gz").rename(folder / "job_views.csv")
    with pytest.raises(SourceError, match=r"has no Job_Views.csv or Job_Views.csv.gz; it has .*'job_views.csv'"):
        read("job_views", str(folder))


def test_a_missing_column_names_the_nearest_one(folder):
    wishes = folder / "Positions_Of_Interest.csv"
    wishes.write_text(WISHES.replace("Applicant.ID", "Applicant_ID"))
    with pytest.raises(SourceError, match=r"no column 'Applicant.ID'.*did you mean 'Applicant_ID'"):
        read("job_views", str(folder))


def test_a_time_of_another_form_is_named(folder):
    wishes = folder / "Positions_Of_Interest.csv"
    wishes.write_text(WISHES.replace("2015-01-02 00:00:00 UTC", "2nd of January"))
    with pytest.raises(SourceError, match=r"Created.At '2nd of January' is not of the form"):
        read("job_views", str(folder))


def test_the_real_log_passes_with_every_view_and_no_age_that_tells_the_click(data):
    validated = validate(read("job_views", str(data("job_views"))))
    assert validated.quarantine["outcomes"].height + validated.tables.outcomes.height == 12_370
    assert validated.tables.items.height == 7_047
    assert validated.tables.impressions["user_id"].n_unique() == 3_448
    log = validated.tables.impressions.join(validated.tables.items, on="item_id")
    assert (log["ts"] - log["created_at"]).dt.total_days().median() > 7
