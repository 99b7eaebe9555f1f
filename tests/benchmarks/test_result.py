import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks.result import ROOT, Bar, Result
from rankloop.files import write_aside

NAN = float("nan")


@pytest.mark.parametrize(("value", "holds"), [(3.9, True), (4.0, True), (4.1, False), (NAN, False)])
def test_at_most_holds_up_to_its_limit_and_never_for_nan(value: float, holds: bool) -> None:
    assert Bar.at_most("peak, GB", value, 4.0).holds is holds


@pytest.mark.parametrize(("value", "holds"), [(0.59, False), (0.6, True), (0.61, True), (NAN, False)])
def test_at_least_holds_from_its_limit_and_never_for_nan(value: float, holds: bool) -> None:
    assert Bar.at_least("share", value, 0.6).holds is holds


def test_a_bar_says_its_limit_in_words() -> None:
    assert Bar.at_most("peak memory, GB", 1, 4).bar == "peak memory, GB <= 4"


def test_a_result_holds_when_every_bar_does() -> None:
    good, bad = Bar.at_most("a", 1, 2), Bar.at_most("b", 3, 2)
    assert Result("x", bars=[good]).holds
    assert not Result("x", bars=[good, bad]).holds
    assert Result("x").holds


def test_a_record_is_plain_json_with_the_conventions_keys(tmp_path: Path) -> None:
    figures = {"ours": {"p50_ms": np.float32(0.5), "lost": NAN, "rows": np.int64(3)}, "flag": np.bool_(True)}
    file = Result("x", figures, {"theirs": (1, 2)}, [Bar.at_least("b", NAN, 1)]).write(tmp_path)
    record = json.loads(file.read_text())
    assert list(record) == ["name", "commit", "cores", "figures", "versus", "bars"]
    assert record["figures"] == {"ours": {"p50_ms": 0.5, "lost": None, "rows": 3}, "flag": True}
    assert record["versus"] == {"theirs": [1, 2]}
    assert record["bars"] == [{"bar": "b >= 1", "value": None, "limit": 1.0, "holds": False}]
    assert record["cores"] >= 1


def test_nothing_but_the_file_is_left_behind(tmp_path: Path) -> None:
    write_aside(tmp_path / "a" / "x.json", "{}")
    write_aside(tmp_path / "a" / "x.json", "[]")
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["x.json"]
    assert (tmp_path / "a" / "x.json").read_text() == "[]"


def test_the_commit_is_the_one_that_was_measured() -> None:
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    assert head.startswith(Result("x").record()["commit"].removesuffix("-dirty"))


def test_a_plot_lies_beside_the_figures(tmp_path: Path) -> None:
    file = Result("x", plot="<svg/>").write(tmp_path)
    assert file.with_suffix(".svg").read_text() == "<svg/>"
    assert "plot" not in json.loads(file.read_text())
