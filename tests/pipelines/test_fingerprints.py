"""Names for "the same data"."""

import os
from pathlib import Path

import pytest

from pipelines.fingerprints import code_version, data_version
from rankloop.errors import SourceError


def test_the_same_files_have_the_same_version(tmp_path: Path) -> None:
    (tmp_path / "views.csv").write_text("a")
    assert data_version(str(tmp_path)) == data_version(str(tmp_path))


def test_a_changed_file_and_a_changed_mapping_give_another_version(tmp_path: Path) -> None:
    file, mapping = tmp_path / "views.csv", tmp_path / "mapping.yaml"
    file.write_text("a")
    mapping.write_text("x: y")
    versions = {data_version(str(file)), data_version(str(file), str(mapping))}
    mapping.write_text("x: z")
    versions.add(data_version(str(file), str(mapping)))
    file.write_text("ab")
    os.utime(file, (1, 1))
    versions.add(data_version(str(file)))
    assert len(versions) == 4


def test_a_path_with_nothing_in_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="absent"):
        data_version(str(tmp_path / "absent"))


def test_a_glob_finds_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a")
    assert data_version(str(tmp_path / "*.csv")) == data_version(str(tmp_path / "a.csv"))


def test_the_code_has_one_version() -> None:
    assert code_version() == code_version()
    assert len(code_version()) == 16
