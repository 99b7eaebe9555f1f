"""docs/cli.md names every command and option of the terminal program, and none that does not exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from services.cli.app import app

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def leaves(command: Any, path: str = "rankloop") -> Iterator[tuple[str, Any]]:
    """Every command that does something, by the words that call it."""
    parts = getattr(command, "commands", None)
    if parts is None:
        yield path, command
        return
    for name, part in parts.items():
        yield from leaves(part, f"{path} {name}")


ROOT: Any = typer.main.get_command(app)
COMMANDS = dict(leaves(ROOT))


def flags(command: Any) -> set[str]:
    """Every spelling of a command's options, `--help` left out."""
    options = [param for param in command.params if param.param_type_name == "option"]
    return {flag for param in options for flag in [*param.opts, *param.secondary_opts]} - {"--help"}


def section(path: str) -> str:
    """The part of the page under a command's heading."""
    found = re.search(rf"^### {re.escape(path)}\n(.*?)(?=^##|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md has no heading '### {path}'"
    return found[1]


def described(path: str) -> set[str]:
    """The flags in the first column of the table under a command's heading."""
    rows = re.findall(r"^\| (`-[^|]*) \|", section(path), flags=re.MULTILINE)
    return {flag for row in rows for flag in re.findall(r"`(-[\w-]+)`", row)}


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_of_a_command_is_described_and_no_other(path: str) -> None:
    assert described(path) == flags(COMMANDS[path])


def test_no_command_is_described_that_does_not_exist() -> None:
    assert set(re.findall(r"^### (rankloop .*)$", PAGE, flags=re.MULTILINE)) == set(COMMANDS)


def test_the_options_before_a_command_are_described() -> None:
    assert {flag for flag in flags(ROOT) if f"`{flag}`" not in PAGE} == set()


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_has_a_sentence_of_help(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    assert command.help.strip().endswith(".")
    assert [param.name for param in command.params if param.name != "help" and not param.help] == []
