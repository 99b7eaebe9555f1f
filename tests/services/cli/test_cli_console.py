import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from rankloop.errors import DataError, RankloopError
from services.cli import stack as stack_commands
from services.cli.console import Guarded, in_words, myself

Rankloop = Callable[..., Result]


def program(error: BaseException) -> typer.Typer:
    """A program whose one command raises."""
    app = typer.Typer(cls=Guarded)

    @app.callback()
    def options(debug: bool = False) -> None:
        """Takes --debug."""

    @app.command()
    def do() -> None:
        raise error

    return app


def test_an_error_of_ours_is_one_sentence_and_exit_code_1() -> None:
    done = CliRunner().invoke(program(DataError("k is 0 [sic]; ask for 1")), ["do"])
    assert (done.exit_code, done.output) == (1, "k is 0 [sic]; ask for 1\n")


def test_with_debug_an_error_of_ours_shows_its_trace() -> None:
    done = CliRunner().invoke(program(DataError("no")), ["--debug", "do"])
    assert isinstance(done.exception, DataError)


def test_an_error_that_is_not_ours_is_not_hidden() -> None:
    done = CliRunner().invoke(program(ZeroDivisionError()), ["do"])
    assert isinstance(done.exception, ZeroDivisionError)


def test_ctrl_c_ends_with_130_and_no_trace() -> None:
    done = CliRunner().invoke(program(KeyboardInterrupt()), ["do"])
    assert done.exit_code == 130
    assert "stopped" in done.output
    assert "Traceback" not in done.output


def test_every_error_class_is_guarded(monkeypatch: pytest.MonkeyPatch, rankloop: Rankloop) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RankloopError("as it is")

    monkeypatch.setattr(stack_commands.stack, "up", fail)
    done = rankloop("up")
    assert (done.exit_code, done.output) == (1, "as it is\n")


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, rankloop: Rankloop) -> None:
    monkeypatch.setenv("RANKLOOP_HTTP_PORT", "80")
    done = rankloop("status")
    assert done.exit_code == 1
    assert done.output.startswith("RANKLOOP_HTTP_PORT is '80': ")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 00 s"), (119.6, "2 min 00 s"), (3725, "62 min 05 s")]
)
def test_a_duration_reads_well(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_the_program_names_itself_by_a_path_that_works_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / ".venv" / "bin" / "rankloop"
    script.parent.mkdir(parents=True)
    script.touch()
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path)
    assert myself() == ".venv/bin/rankloop"
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    assert myself() == "rankloop"
