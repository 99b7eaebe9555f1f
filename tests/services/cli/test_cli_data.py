from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from typer.testing import Result

from rankloop.errors import DataError, SourceError
from rankloop.simulation import Marketplace, Scale
from services.cli.given import given
from services.cli.simulated import make, scale_for

Rankloop = Callable[..., Result]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    Marketplace(Scale.tiny(), rng=1).history().write(tmp_path / "log")
    return tmp_path / "log"


@pytest.mark.parametrize(
    ("files", "source"),
    [
        (["items.parquet", "users.parquet"], "contract"),
        (["Job_Views.csv.gz"], "job_views"),
        (["train.txt", "test.txt"], "lightgcn"),
        (["beauty.txt"], "sequences"),
    ],
)
def test_the_files_tell_the_format(tmp_path: Path, files: list[str], source: str) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert given(str(tmp_path), "", "") == (source, str(tmp_path), "")


def test_a_named_format_and_a_mapping_win_over_the_files(tmp_path: Path) -> None:
    (tmp_path / "train.txt").touch()
    assert given(str(tmp_path), "sequences", "").source == "sequences"
    mapped = given(str(tmp_path), "", "mine.yaml")
    assert (mapped.source, mapped.mapping) == ("mapping", str(Path("mine.yaml").resolve()))


def test_an_address_in_object_storage_is_left_as_it_is() -> None:
    assert given("s3://bucket/log", "mapping", "").path == "s3://bucket/log"


def test_files_that_tell_nothing_ask_for_the_format(tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").touch()
    with pytest.raises(SourceError, match="--source"):
        given(str(tmp_path), "", "")
    with pytest.raises(SourceError, match="there is nothing at"):
        given(str(tmp_path / "none"), "", "")


def test_good_data_passes(rankloop: Rankloop, log: Path) -> None:
    done = rankloop("data", "check", log)
    assert done.exit_code == 0
    assert "the data passes" in done.output


def test_bad_data_is_shown_with_its_remedy_and_exit_code_1(rankloop: Rankloop, log: Path) -> None:
    impressions = pl.read_parquet(log / "impressions.parquet").with_columns(position=pl.lit(0, pl.Int32))
    impressions.write_parquet(log / "impressions.parquet")
    done = rankloop("data", "check", log)
    assert done.exit_code == 1
    assert "impressions: " in done.output
    assert "over its budget" in done.output
    assert "for example" in done.output
    assert "the data would not pass" in done.output


def test_data_that_cannot_be_read_is_one_sentence(rankloop: Rankloop, log: Path) -> None:
    (log / "users.parquet").unlink()
    done = rankloop("data", "check", log)
    assert done.exit_code == 1
    assert "users" in done.output


def test_the_same_marketplace_is_made_once_and_another_anew(tmp_path: Path) -> None:
    assert make(tmp_path, impressions=2_000, seed=1)
    first = (tmp_path / "items.parquet").read_bytes()
    assert not make(tmp_path, impressions=2_000, seed=1)
    assert make(tmp_path, impressions=2_000, seed=2)
    assert (tmp_path / "items.parquet").read_bytes() != first


def test_a_marketplace_that_was_half_written_is_made_again(tmp_path: Path) -> None:
    make(tmp_path, impressions=2_000, seed=1)
    (tmp_path / "made.json").write_text('{"seed": 1}')
    assert make(tmp_path, impressions=2_000, seed=1)


def test_people_and_jobs_are_in_proportion_to_impressions() -> None:
    demo, double = Scale.demo(), scale_for(2 * Scale.demo().impressions)
    assert scale_for(demo.impressions) == demo
    assert (double.users, double.items, double.clients) == (2 * demo.users, 2 * demo.items, 2 * demo.clients)
    with pytest.raises(DataError, match="999 impressions"):
        scale_for(999)


def test_simulate_says_where_it_wrote(rankloop: Rankloop, tmp_path: Path) -> None:
    done = rankloop("data", "simulate", tmp_path / "log", "--impressions", 2000)
    assert done.exit_code == 0
    assert "2,000 impressions in" in done.output
    assert "was there already" in rankloop("data", "simulate", tmp_path / "log", "--impressions", 2000).output
