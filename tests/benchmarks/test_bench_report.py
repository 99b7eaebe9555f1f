import json
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks.report import markdown
from benchmarks.result import Bar, Result


def write(folder: Path, **parts: object) -> None:
    record = {"name": "x", "commit": "abc", "cores": 2, "figures": {}, "versus": {}, "bars": []} | parts
    (folder / f"{record['name']}.json").write_text(json.dumps(record))


def test_a_mapping_of_mappings_is_a_table_with_gaps_left_empty(tmp_path: Path) -> None:
    write(tmp_path, figures={"ours": {"p50_ms": 0.41234, "rows": 1234567}, "theirs": {"p50_ms": None}})
    page = markdown(tmp_path)
    assert "|  | p50_ms | rows |" in page
    assert "| ours | 0.4123 | 1,234,567 |" in page
    assert "| theirs | undefined |  |" in page


def test_plain_figures_are_name_and_value(tmp_path: Path) -> None:
    write(tmp_path, figures={"seconds": 12.0, "note": "a | b", "deep": {"a": 1, "b": [1, 2]}, "yes": True})
    page = markdown(tmp_path)
    for row in ("| seconds | 12 |", "| note | a \\| b |", "| deep a | 1 |", "| deep b | 1, 2 |", "| yes | yes |"):
        assert row in page


def test_a_bar_that_does_not_hold_is_shown(tmp_path: Path) -> None:
    write(tmp_path, bars=[{"bar": "gap >= 0.6", "value": 0.5, "limit": 0.6, "holds": False}])
    assert "| gap >= 0.6 | 0.5 | 0.6 | no |" in markdown(tmp_path)


def test_a_plot_is_shown_where_there_is_one(tmp_path: Path) -> None:
    write(tmp_path, name="drawn")
    write(tmp_path, name="plain")
    (tmp_path / "drawn.svg").write_text("<svg/>")
    page = markdown(tmp_path)
    assert "![What drawn found](../benchmarks/results/drawn.svg)" in page
    assert "plain.svg" not in page


def test_results_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, name="b")
    write(tmp_path, name="a")
    page = markdown(tmp_path)
    assert page.index("## a") < page.index("## b")


def test_a_benchmark_is_a_module_with_run_and_its_own_sentence() -> None:
    found = program.names()
    assert {"result", "peak", "report", "__main__"}.isdisjoint(found)
    assert [name for name, sentence in found.items() if not sentence] == []


def test_a_name_that_is_none_lists_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["nonsense"]) == 2
    assert "there is no benchmark 'nonsense'" in capsys.readouterr().out


@pytest.mark.parametrize(("holds", "check", "code"), [(True, True, 0), (False, True, 1), (False, False, 0)])
def test_only_check_turns_a_bar_into_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, holds: bool, check: bool, code: int
) -> None:
    class Module:
        @staticmethod
        def run(quick: bool) -> Result:
            assert quick
            return Result("fake", {"a": 1}, {}, [Bar("b", 1, 2, holds)])

    monkeypatch.setattr(program, "names", lambda: {"fake": "A benchmark."})
    monkeypatch.setattr(program.importlib, "import_module", lambda name: Module)
    monkeypatch.setattr(program, "_QUICK", tmp_path)
    monkeypatch.setattr(program, "ROOT", tmp_path)
    assert program.main(["fake", "--quick", *(["--check"] if check else [])]) == code
    assert (tmp_path / "fake.json").exists()
