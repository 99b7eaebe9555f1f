"""The check reports what `validate` would raise, and how to mend it."""

import fsspec
import polars as pl
import pytest

from rankloop.contracts import SCHEMAS, Budget, Budgets, Tables, validate
from rankloop.errors import SourceError
from rankloop.sources import SOURCES, check, read


@pytest.fixture
def folder(tmp_path):
    """Contract tables with one bad item, a column too many, and one bad user."""
    Tables.empty().write(tmp_path)
    born = pl.Series("created_at", ["2026-01-01T00:00:00Z"] * 2)
    items = pl.DataFrame({"item_id": ["a", "b"], "title": "x", "budget": [-1.0, 1.0], "colour": "red"}).with_columns(born)
    users = pl.DataFrame({"user_id": ["u", "u"]}).with_columns(born)
    items.write_parquet(tmp_path / "items.parquet")
    users.write_parquet(tmp_path / "users.parquet")
    return tmp_path


def test_a_check_counts_rows_and_findings_and_never_fails(folder):
    report = check("contract", str(folder), budgets=Budgets({("items", "budget is 0 or more"): Budget(0.5)}))
    assert not report.holds
    assert report.rows == {"items": 2, "users": 2, "impressions": 0, "outcomes": 0}
    assert report.kept == {"items": 1, "users": 1, "impressions": 0, "outcomes": 0}
    assert report.left_out["items"] == ("colour",)
    assert [(found.rule, found.count, found.holds) for found in report.findings] == [
        ("user_id is unique", 1, False),
        ("budget is 0 or more", 1, True),
    ]


def test_the_lines_say_what_is_wrong_and_how_to_mend_it(folder):
    text = "\n".join(check("contract", str(folder)).lines())
    assert "fails" in text
    assert "items: 2 rows, 1 in quarantine" in text
    assert "columns without a place: colour" in text
    assert "users: user_id is unique: broken by 1 of 2 rows, OVER BUDGET" in text
    assert "Keep one row an id" in text
    assert "'budget': -1.0" in text


def test_clean_tables_pass(tmp_path):
    Tables.empty().write(tmp_path)
    report = check("contract", str(tmp_path))
    assert report.holds
    assert report.findings == ()
    assert "passes" in report.lines()[0]


def test_what_cannot_be_read_is_the_reports_problem(tmp_path):
    report = check("contract", str(tmp_path))
    assert not report.holds
    assert "has neither items.parquet nor" in "\n".join(report.lines())


def test_an_unknown_source_names_the_nearest():
    with pytest.raises(SourceError, match="did you mean 'lightgcn'"):
        read("light_gcn", ".")
    assert list(SOURCES) == ["contract", "job_views", "lightgcn", "sequences", "mapping", "event_log"]


def test_contract_tables_may_be_folders_of_files(tmp_path):
    Tables.empty().write(tmp_path)
    (tmp_path / "items.parquet").unlink()
    (tmp_path / "items").mkdir()
    for name in "ba":
        pl.DataFrame({"item_id": [name]}, schema={"item_id": pl.String}).write_parquet(tmp_path / "items" / f"{name}.parquet")
    assert read("contract", str(tmp_path))["items"]["item_id"].to_list() == ["a", "b"]


def test_a_file_that_is_not_parquet_is_named(tmp_path):
    Tables.empty().write(tmp_path)
    (tmp_path / "users.parquet").write_text("no")
    with pytest.raises(SourceError, match="users cannot be read"):
        read("contract", str(tmp_path))


def test_what_a_source_writes_it_reads_again(tmp_path):
    Tables.empty().write(tmp_path)
    frames = read("contract", str(tmp_path))
    assert {name: frame.schema for name, frame in frames.items()} == {n: pl.Schema(columns) for n, columns in SCHEMAS.items()}


def test_contract_tables_may_lie_in_object_storage(tmp_path):
    Tables.empty().write(tmp_path)
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path), "/tables", recursive=True)
    try:
        frames = read("contract", "memory://tables")
    finally:
        memory.rm("/tables", recursive=True)
    assert validate(frames).tables.rows() == {"items": 0, "users": 0, "impressions": 0, "outcomes": 0}
