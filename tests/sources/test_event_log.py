"""What a service logged becomes contract tables: each row once, and nobody who asked to be forgotten."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import polars as pl
import pytest

from pipelines.fingerprints import data_version
from rankloop.contracts import SCHEMAS, Tables, validate
from rankloop.erasures import Erased, fingerprint, hashed, text_of
from rankloop.errors import SourceError
from rankloop.sources import read
from rankloop.sources.event_log import erasures, load, read_log
from rankloop.sources.log_layout import LOG_SCHEMAS, hour_of, partition

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = b"a secret"


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


def micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def put(log: Path, table: str, rows: list[dict], name: str = "w-1") -> None:
    frame = pl.DataFrame(rows, schema=LOG_SCHEMAS[table])
    for (hour,), part in frame.group_by(partition(pl.col("ts"))):
        (log / table / hour).mkdir(parents=True, exist_ok=True)
        part.write_parquet(log / table / hour / f"{name}.parquet")


def shown(request_id: str, ts: datetime, items: str, user: str = "u1", **further) -> list[dict]:
    return [
        {"request_id": request_id, "ts": ts, "surface": "job_feed", "user_id": user, "item_id": item, "position": place} | further
        for place, item in enumerate(items, start=1)
    ]


def done(event_id: str, ts: datetime, item: str, user: str = "u1", request_id: str | None = None, kind: str = "click") -> dict:
    known = {"event_id": event_id, "ts": ts, "received": ts, "user_id": user, "item_id": item, "kind": kind}
    return known | {"request_id": request_id}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    put(folder, "impressions", [*shown("r1", minutes(0), "ab", features=[0.5, 2.0]), *shown("r2", minutes(90), "b", "u2")])
    put(folder, "outcomes", [done("e1", minutes(1), "a", request_id="r1"), done("e2", minutes(91), "b", "u2", "r2")])
    return folder


def test_every_row_has_the_contracts_columns_and_types(log: Path) -> None:
    for table, frame in zip(("impressions", "outcomes"), read_log(str(log)), strict=True):
        assert frame.schema == pl.Schema(SCHEMAS[table])
    impressions, outcomes = read_log(str(log))
    assert impressions["item_id"].to_list() == ["a", "b", "b"]
    assert impressions["features"].to_list() == [[0.5, 2.0], [0.5, 2.0], None]
    assert outcomes["request_id"].to_list() == ["r1", "r2"]


def test_what_was_delivered_twice_counts_once(log: Path) -> None:
    put(log, "impressions", shown("r1", minutes(0), "ab"), "w-2")
    put(log, "outcomes", [done("e1", minutes(1), "a", request_id="r1"), done("e1", minutes(2), "a", request_id="r1")], "w-2")
    impressions, outcomes = read_log(str(log))
    assert impressions.height == 3
    assert outcomes["ts"].to_list() == [minutes(1), minutes(91)]


def test_of_a_request_that_was_answered_twice_the_latest_answer_counts(log: Path) -> None:
    put(log, "impressions", shown("r1", minutes(0.1), "cba"), "w-2")
    impressions, _ = read_log(str(log))
    assert impressions.filter(pl.col("request_id") == "r1")["item_id"].to_list() == ["c", "b", "a"]


def test_one_id_for_two_demands_is_left_for_validation_to_say(log: Path) -> None:
    put(log, "impressions", shown("r1", minutes(0.1), "c", user="u9"), "w-2")
    impressions, _ = read_log(str(log))
    assert set(impressions.filter(pl.col("request_id") == "r1")["user_id"]) == {"u1", "u9"}


def test_answers_to_nobody_in_particular_are_left_out(log: Path) -> None:
    put(log, "impressions", shown("r3", minutes(5), "a", user=""), "w-2")
    assert "r3" not in read_log(str(log))[0]["request_id"].to_list()


def test_an_outcome_without_its_impression_is_no_longer_tied_to_a_request(log: Path) -> None:
    put(log, "outcomes", [done("e3", minutes(3), "z", request_id="r1"), done("e4", minutes(4), "a", request_id="gone")], "w-2")
    outcomes = read_log(str(log))[1]
    assert outcomes.sort("ts")["request_id"].to_list() == ["r1", None, None, "r2"]


def test_a_range_of_time_begins_with_its_first_moment_and_ends_before_its_last(log: Path) -> None:
    assert read_log(str(log), until=minutes(90))[0]["request_id"].to_list() == ["r1", "r1"]
    assert read_log(str(log), since=minutes(90))[0]["request_id"].to_list() == ["r2"]
    assert read_log(str(log), since=minutes(91))[1]["request_id"].to_list() == [None]


def test_a_log_in_object_storage_reads_the_same(log: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(log), "/bucket/log", recursive=True)
    try:
        for here, there in zip(read_log(str(log)), read_log("memory://bucket/log"), strict=True):
            assert here.equals(there)
    finally:
        memory.rm("/bucket", recursive=True)


def test_the_hour_of_a_file_is_the_partition_its_rows_are_in() -> None:
    folder = pl.DataFrame({"ts": [minutes(59)]}, schema={"ts": pl.Datetime("us", "UTC")}).select(partition(pl.col("ts"))).item()
    assert hour_of(f"log/outcomes/{folder}/a.parquet") == NOON
    assert hour_of("log/outcomes/date=2026-13-01/hour=00/a.parquet") is None
    assert hour_of("log/outcomes/a.parquet") is None


def forget(log: Path, user: str, at: datetime, key: bytes = KEY) -> None:
    (log / "erasures").mkdir(exist_ok=True)
    erased = Erased(fingerprint(key), {hashed(key, user): micros(at)})
    (log / "erasures" / f"{fingerprint(key)}.json").write_text(text_of(erased))


def test_who_was_erased_is_left_out_up_to_the_erasure_and_not_after(log: Path) -> None:
    put(log, "impressions", shown("r4", minutes(30), "b"), "w-2")
    forget(log, "u1", minutes(10))
    impressions, outcomes = read_log(str(log), key=KEY)
    assert impressions["request_id"].to_list() == ["r4", "r2"]
    assert outcomes["user_id"].to_list() == ["u2"]
    assert hashed(KEY, "u1") in erasures(str(log))[fingerprint(KEY)]


def test_an_event_that_came_before_the_erasure_is_gone_whatever_time_it_claims(log: Path) -> None:
    late = done("e9", minutes(600), "a") | {"received": minutes(5)}
    put(log, "outcomes", [late], "w-2")
    forget(log, "u1", minutes(10))
    assert read_log(str(log), key=KEY)[1]["user_id"].to_list() == ["u2"]


@pytest.mark.parametrize("key", [None, b"another"])
def test_a_log_with_erased_people_is_not_read_without_the_key(log: Path, key: bytes | None) -> None:
    forget(log, "u1", minutes(10))
    with pytest.raises(SourceError, match="1 people were erased"):
        read_log(str(log), key=key)


def test_a_place_without_a_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no log"):
        read_log(str(tmp_path))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    born = NOON - timedelta(days=9)
    frames = dict(Tables.empty())
    for table, column, names in (("items", "item_id", "ab"), ("users", "user_id", ["u1", "u2"])):
        known = pl.DataFrame({column: list(names), "title": "x", "created_at": [born] * 2})
        frames[table] = pl.concat(
            [frames[table], known.select(set(known.columns) & set(frames[table].columns))], how="diagonal_relaxed"
        )
    history = pl.DataFrame(shown("r0", minutes(-60), "ab"))
    frames["impressions"] = pl.concat([frames["impressions"], history], how="diagonal_relaxed")
    folder = tmp_path / "base"
    folder.mkdir()
    for table, frame in frames.items():
        frame.write_parquet(folder / f"{table}.parquet")
    return folder


def mapped(base: Path, text: str) -> str:
    (base.parent / "served.yaml").write_text(text)
    return str(base.parent / "served.yaml")


def test_the_base_and_the_log_together_pass_validation(log: Path, base: Path) -> None:
    put(log, "impressions", shown("r5", minutes(40), "a", user="new"), "w-2")
    tables = validate(read("event_log", str(base), mapping=mapped(base, f"log: {log}"))).tables
    assert tables.impressions["request_id"].to_list() == ["r0", "r0", "r1", "r1", "r5", "r2"]
    assert tables.users.filter(pl.col("user_id") == "new")["created_at"].item() == minutes(40)


def test_a_log_that_the_base_holds_already_counts_once(log: Path, base: Path) -> None:
    put(log, "impressions", shown("r0", minutes(-60), "ab"), "w-0")
    assert read("event_log", str(base), mapping=mapped(base, f"log: {log}"))["impressions"].height == 5


def test_who_was_erased_leaves_the_base_too(log: Path, base: Path) -> None:
    forget(log, "u1", minutes(10))
    (base.parent / "key").write_bytes(KEY + b"\n")
    frames = read("event_log", str(base), mapping=mapped(base, f"log: {log}\nerasure_key: {base.parent / 'key'}"))
    people = {table: set(frames[table]["user_id"]) for table in ("users", "impressions", "outcomes")}
    assert people == {"users": {"u2"}, "impressions": {"u2"}, "outcomes": {"u2"}}


def test_the_key_of_a_services_home_is_found_beside_its_log(log: Path, base: Path) -> None:
    forget(log, "u1", minutes(10))
    (log.parent / "privacy").mkdir()
    (log.parent / "privacy" / "key").write_bytes(KEY)
    assert load(mapped(base, f"log: {log}"), str(base)).key == KEY


def test_the_mapping_takes_a_range_of_time(log: Path, base: Path) -> None:
    found = load(mapped(base, f"log: {log}\nfrom: 2026-03-01\nuntil: 2026-03-01T13:00:00+01:00"), str(base))
    assert (found.since, found.until) == (NOON - timedelta(hours=12), NOON)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "must name the log"),
        ("log: x\nform: 2026-03-01", "did you mean 'from'"),
        ("log: x\nfrom: soon", "give a time such as"),
        ("log: x\nfrom: 2026-03-01 12:00:00", "without a zone"),
        ("log: x\nerasure_key: none", "erasure key .* cannot be read"),
        ("log: ../x", "leads out of"),
        (": :", "cannot be read"),
    ],
)
def test_a_mistake_in_the_mapping_is_named(base: Path, text: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        read("event_log", str(base), mapping=mapped(base, text))


def test_values_of_the_base_that_cannot_be_read_are_named(log: Path, base: Path) -> None:
    users = pl.DataFrame({"user_id": ["u1"], "created_at": ["long ago"]})
    users.write_parquet(base / "users.parquet")
    with pytest.raises(SourceError, match="users: 1 values of 'created_at'"):
        read("event_log", str(base), mapping=mapped(base, f"log: {log}"))


def test_a_new_hour_of_the_log_is_new_data(log: Path, base: Path) -> None:
    mapping = mapped(base, f"log: {log}")
    before = data_version(str(base), mapping, "event_log")
    put(log, "outcomes", [done("e5", minutes(300), "a")], "w-3")
    assert data_version(str(base), mapping, "event_log") != before
