"""A relative path stays inside its root; what is not there is named."""

import gzip
from contextlib import ExitStack
from pathlib import Path

import polars as pl
import pytest

from rankloop.errors import SourceError
from rankloop.sources.places import resolve, scan


def rows(path: str, form: str | None = None, root: Path | str = "data") -> pl.DataFrame:
    with ExitStack() as stack:
        return scan(resolve(path, str(root)), form, stack, separator=",", missing=[""]).collect()


@pytest.mark.parametrize("path", ["../jobs.csv", "a/../../jobs.csv", ".."])
@pytest.mark.parametrize("root", ["data", "s3://lake/raw"])
def test_a_relative_path_never_climbs(path, root):
    with pytest.raises(SourceError, match="leads out of"):
        resolve(path, root)


@pytest.mark.parametrize("path", ["door/jobs.csv", "door/*.csv", "jobs.csv", "*.csv"])
def test_a_link_out_of_the_root_is_not_followed(tmp_path: Path, path: str):
    for folder in ("root", "outside"):
        (tmp_path / folder).mkdir()
    (tmp_path / "outside" / "jobs.csv").write_text("a\n1\n")
    (tmp_path / "root" / "door").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "jobs.csv").symlink_to(tmp_path / "outside" / "jobs.csv")
    with pytest.raises(SourceError, match="a link that leads out of"):
        rows(path, root=tmp_path / "root")


@pytest.mark.parametrize("url", ["s3://key:secret@bucket/jobs", "https://me@host/jobs.csv"])
def test_credentials_in_an_address_are_refused_and_not_repeated(url):
    with pytest.raises(SourceError, match="carries credentials") as refusal:
        resolve(url, "data")
    assert "secret" not in str(refusal.value)
    assert "me@" not in str(refusal.value)


def test_absolute_paths_and_addresses_stay_as_they_are(tmp_path):
    assert resolve(str(tmp_path), "data").path == str(tmp_path)
    assert resolve("s3://lake/jobs.parquet", "data").path == "s3://lake/jobs.parquet"
    assert resolve("jobs.csv", str(tmp_path)).path == str(tmp_path / "jobs.csv")


def test_a_folder_means_all_its_parquet_files_in_the_order_of_their_names(tmp_path):
    for name, value in (("b/2", 2), ("a/1", 1)):
        (tmp_path / name).parent.mkdir()
        pl.DataFrame({"a": [value]}).write_parquet(tmp_path / f"{name}.parquet")
    assert rows(str(tmp_path))["a"].to_list() == [1, 2]


def test_a_compressed_csv_is_read_as_text(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n01,\n"))
    assert rows(str(tmp_path / "a.csv.gz")).to_dicts() == [{"a": "01", "b": None}]


@pytest.mark.parametrize("path", ["none.csv", "*.csv"])
def test_nothing_there_is_an_error(tmp_path, path):
    with pytest.raises(SourceError, match="there is no such file"):
        rows(str(tmp_path / path))


def test_a_name_that_says_no_format_asks_for_it(tmp_path):
    (tmp_path / "jobs").write_text("a\n1\n")
    with pytest.raises(SourceError, match="add `format: parquet` or `format: csv`"):
        rows(str(tmp_path / "jobs"))
    assert rows(str(tmp_path / "jobs"), "csv")["a"].to_list() == ["1"]


def test_a_protocol_without_a_driver_is_named():
    with pytest.raises(SourceError, match=r"nope://lake/jobs.csv cannot be reached"):
        rows("nope://lake/jobs.csv")
