"""Somebody's own files by a mapping: three tables in other words, formats and places."""

from datetime import UTC as ZONE
from datetime import datetime
from pathlib import Path

import fsspec
import polars as pl
import pytest
import yaml

from rankloop.contracts import Tables, examine, validate
from rankloop.errors import SourceError
from rankloop.sources import read

NINE = datetime(2026, 3, 1, 9, tzinfo=ZONE)
MAPPING = """
tables:
  items:
    path: jobs/*.csv
    columns: {item_id: job, title: name, skills: tags, created_at: posted}
    numbers: {stars: rating}
    lists: {skills: ";"}
    timestamps: {created_at: {format: "%d.%m.%Y %H:%M", time_zone: Europe/Lisbon}}
    missing: ["-"]
  impressions:
    path: shown.parquet
    columns: {request_id: page, ts: at, user_id: who, item_id: job, position: slot}
    constants: {surface: job_feed}
    timestamps: {ts: {unit: ms}}
    keep: {place: feed, bot: false}
  outcomes:
    path: events.csv
    columns: {ts: at, user_id: who, item_id: job, request_id: page, kind: event}
    kinds: {view: click, bookmark: save, scroll: null}
"""


def lay(folder: Path) -> None:
    """The files that `MAPPING` describes."""
    (folder / "jobs").mkdir()
    (folder / "jobs" / "a.csv").write_text("job,name,tags,posted,rating,secret\n1,Logo,art; ink;,01.02.2026 08:30,4.5,x\n")
    (folder / "jobs" / "b.csv").write_text("job,name,tags,posted,rating,secret\n2,Site,-,15.02.2026 00:00,-,x\n")
    epoch = int(NINE.timestamp() * 1000)
    shown = {"page": ["p", "p", "q", "z"], "at": [epoch, epoch, epoch + 1, epoch], "who": [7, 7, 8, 9], "job": [1, 2, 1, 1]}
    more = {
        "slot": [1, 2, 1, 1],
        "place": ["feed", "feed", "feed", "mail"],
        "bot": [False, False, True, False],
        "wide": ["x"] * 4,
    }
    pl.DataFrame(shown | more).write_parquet(folder / "shown.parquet")
    events = ["2026-03-01T10:00:00+01:00,7,1,p,view", "2026-03-01 09:00:01Z,7,2,p,bookmark", "2026-03-01T09:00:00Z,7,1,p,scroll"]
    (folder / "events.csv").write_text("\n".join(["at,who,job,page,event", *events]))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lay(tmp_path)
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    return tmp_path


def mapped(root: Path, **changes: object) -> dict[str, pl.DataFrame]:
    """The frames after changing the mapping at `table__key`; None takes the key away."""
    content = yaml.safe_load(MAPPING)
    for place, value in changes.items():
        table, _, key = place.partition("__")
        target, name = (content["tables"][table], key) if key else (content["tables"], table)
        target[name] = value
        if value is None:
            del target[name]
    (root / "mapping.yaml").write_text(yaml.safe_dump(content))
    return read("mapping", str(root), mapping=str(root / "mapping.yaml"))


def test_the_tables_are_those_of_the_contract(root):
    tables: Tables = validate(mapped(root)).tables
    assert tables.items.select("item_id", "title", "skills", "created_at", "stars").rows() == [
        ("1", "Logo", ["art", "ink"], datetime(2026, 2, 1, 8, 30, tzinfo=ZONE), 4.5),
        ("2", "Site", None, datetime(2026, 2, 15, tzinfo=ZONE), None),
    ]
    assert tables.impressions.select("request_id", "ts", "surface", "user_id", "item_id", "position").rows() == [
        ("p", NINE, "job_feed", "7", "1", 1),
        ("p", NINE, "job_feed", "7", "2", 2),
    ]
    assert tables.outcomes.select("ts", "item_id", "kind").rows() == [
        (NINE, "1", "click"),
        (NINE.replace(second=1), "2", "save"),
    ]


def test_without_a_users_table_the_users_are_those_who_were_shown_something(root):
    assert validate(mapped(root)).tables.users.select("user_id", "created_at").rows() == [("7", NINE)]


def test_only_the_columns_that_are_named_are_read(root):
    assert set(mapped(root)["items"].columns) == {"item_id", "title", "skills", "created_at", "stars"}
    assert "wide" not in mapped(root)["impressions"].columns


def test_a_time_that_cannot_be_read_is_shown_in_the_quarantine_as_it_was(root):
    (root / "jobs" / "c.csv").write_text("job,name,tags,posted,rating,secret\n3,Ship,-,soon,-,x\n")
    validated = examine(mapped(root))
    assert validated.tables.items["item_id"].to_list() == ["1", "2"]
    assert validated.tables.items["created_at"][0] == datetime(2026, 2, 1, 8, 30, tzinfo=ZONE)
    assert validated.quarantine["items"].select("created_at", "reasons").rows() == [("soon", ["created_at is a UTC time"])]


@pytest.mark.parametrize(
    ("values", "spelling", "expected"),
    [
        ([1772355600.5], {"unit": "s"}, NINE.replace(microsecond=500_000)),
        (["1772355600000000"], {"unit": "us"}, NINE),
        (["2026-03-01 10:00"], {"time_zone": "Europe/Paris"}, NINE),
        (["2026-03-01T10:00:00.25"], {"time_zone": "Europe/Paris"}, NINE.replace(microsecond=250_000)),
        (["01/03/26 10:00 +0100"], {"format": "%d/%m/%y %H:%M %z"}, NINE),
        ([datetime(2026, 3, 1, 4)], {"time_zone": "America/New_York"}, NINE),
        ([NINE.date()], {"time_zone": "UTC"}, NINE.replace(hour=0)),
        ([NINE], {}, NINE),
        # the hour that comes twice when summer time ends: the first of the two
        (["2026-10-25T02:30:00"], {"time_zone": "Europe/Paris"}, datetime(2026, 10, 25, 0, 30, tzinfo=ZONE)),
    ],
)
def test_times_may_be_spelled_in_many_ways(root, values, spelling, expected):
    pl.DataFrame({"job": [1], "name": ["Logo"], "posted": values}).write_parquet(root / "jobs.parquet")
    columns = {"item_id": "job", "title": "name", "created_at": "posted"}
    frames = mapped(
        root,
        items={"path": "jobs.parquet", "columns": columns, "timestamps": {"created_at": spelling}},
    )
    assert examine(frames).tables.items["created_at"].to_list() == [expected]


def test_an_hour_that_never_comes_is_unreadable(root):
    (root / "jobs" / "c.csv").write_text("job,name,tags,posted,rating,secret\n3,Ship,-,29.03.2026 01:30,-,x\n")
    assert examine(mapped(root)).quarantine["items"]["created_at"].to_list() == ["29.03.2026 01:30"]


@pytest.mark.parametrize(
    ("posted", "remedy"),
    [([1772355600], "give their `unit`"), ([datetime(2026, 3, 1)], "give their `time_zone`")],
)
def test_an_ambiguous_time_is_refused_with_what_to_write(root, posted, remedy):
    pl.DataFrame({"job": [1], "name": ["Logo"], "posted": posted}).write_parquet(root / "jobs.parquet")
    columns = {"item_id": "job", "title": "name", "created_at": "posted"}
    with pytest.raises(SourceError, match=f"items.columns.created_at: .*jobs.parquet: 'posted' .*{remedy}"):
        mapped(root, items={"path": "jobs.parquet", "columns": columns})


def test_a_format_without_a_zone_needs_one(root):
    with pytest.raises(SourceError, match="has no zone; give its `time_zone` too"):
        mapped(root, items__timestamps={"created_at": {"format": "%d.%m.%Y %H:%M"}})


def test_a_text_where_a_list_is_needed_asks_for_its_separator(root):
    with pytest.raises(SourceError, match="'tags' holds text where a list is needed; give its separator in `lists`"):
        mapped(root, items__lists={})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"items__columns": {"item_id": "jobs", "title": "name", "created_at": "posted"}, "items__lists": {}},
            "items.columns.item_id: .*has no column 'jobs'; it has .*did you mean 'job'",
        ),
        ({"items__numbers": {"stars": "ratings"}}, "items.numbers.stars: .*did you mean 'rating'"),
        ({"impressions__keep": {"plaice": "feed"}}, "impressions.keep: .*did you mean 'place'"),
    ],
)
def test_a_column_that_is_not_there_is_named_with_file_place_and_nearest(root, change, message):
    with pytest.raises(SourceError, match=message):
        mapped(root, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"itms": {}}, "'itms' is not known; there may be .*did you mean 'items'"),
        ({"outcomes": None}, r"tables \['outcomes'\] are missing"),
        ({"items__colums": {}}, "items: 'colums' is not known.*did you mean 'columns'"),
        ({"items__path": 3}, "items: path is 3; give the file"),
        ({"items__format": "orc"}, "items.format is 'orc'; it must be one of"),
        ({"items__columns": {"itemid": "job"}}, "items.columns: 'itemid' is not known.*did you mean 'item_id'"),
        ({"items__columns": {"item_id": 1}}, "items.columns.item_id is 1; it must be text"),
        ({"items__columns": ["job"]}, "items.columns must be a mapping"),
        (
            {"items__columns": {"item_id": "job"}, "items__lists": {}, "items__timestamps": {}},
            r"\['title', 'created_at'\] are required",
        ),
        ({"items__constants": {"title": "x"}}, r"\['title'\] are both in columns and in constants"),
        ({"items__numbers": {"budget": "rating"}}, r"\['budget'\] are columns of the contract"),
        ({"items__timestamps": {"posted": {}}}, "items.timestamps: 'posted' is not known"),
        ({"items__timestamps": {"closed_at": {}}}, r"timestamps: \['closed_at'\] are not in columns"),
        ({"items__timestamps": {"created_at": {"unit": "hours"}}}, "unit is 'hours'; it must be one of"),
        ({"outcomes__kinds": {"view": "clik"}}, "kinds.view is 'clik'.*did you mean 'click'"),
        ({"outcomes__kinds": ["view"]}, "kinds must map their kinds"),
        ({"impressions__keep": "feed"}, "keep must map their columns"),
    ],
)
def test_a_wrong_mapping_names_the_place_and_the_nearest_right_word(root, change, message):
    with pytest.raises(SourceError, match=message):
        mapped(root, **change)


@pytest.mark.parametrize("content", ["tables: [", "- 1", ""])
def test_a_mapping_that_is_no_mapping_is_refused(root, content):
    (root / "mapping.yaml").write_text(content)
    with pytest.raises(SourceError, match=r"mapping.yaml"):
        read("mapping", str(root), mapping=str(root / "mapping.yaml"))


def test_a_mapping_that_is_not_there_is_named(root):
    with pytest.raises(SourceError, match=r"the mapping .*none.yaml cannot be read"):
        read("mapping", str(root), mapping=str(root / "none.yaml"))


def test_the_source_needs_a_mapping_and_others_take_none(root):
    with pytest.raises(SourceError, match="'mapping' needs a mapping file"):
        read("mapping", str(root))
    with pytest.raises(SourceError, match="'contract' takes no mapping file"):
        read("contract", str(root), mapping="mapping.yaml")


def test_object_storage_gives_the_same_tables_as_a_folder(root):
    memory = fsspec.filesystem("memory")
    memory.put(str(root), "/lake", recursive=True)
    try:
        remote = read("mapping", "memory://lake", mapping=str(root / "mapping.yaml"))
    finally:
        memory.rm("/lake", recursive=True)
    local = read("mapping", str(root), mapping=str(root / "mapping.yaml"))
    for name, frame in validate(local).tables:
        assert frame.equals(getattr(validate(remote).tables, name))
