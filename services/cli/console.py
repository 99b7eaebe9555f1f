"""Where the terminal program writes, and how it ends when something is wrong."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from rankloop.errors import RankloopError

__all__ = ["INTERRUPTED", "NOT_PASSED", "Guarded", "err", "in_words", "myself", "out"]

NOT_PASSED: Final = 3
"""Exit code: nothing failed, but there is nothing that serves (the gate said no, or the stack is down)."""

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells have it."""

_PLAIN_WIDTH: Final = 120


def _console(*, stderr: bool = False) -> Console:
    known = "COLUMNS" in os.environ or (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=None if known else _PLAIN_WIDTH)


out: Final = _console()
err: Final = _console(stderr=True)


class Guarded(TyperGroup):
    """Turns an error that was raised on purpose into one red sentence, and Ctrl-C into one plain one."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command.

        Raises:
            typer.Exit: with 1 after an error of ours, unless `--debug` asks for its trace; with 130 after Ctrl-C.
        """
        try:
            return super().invoke(ctx)
        except RankloopError as error:
            if ctx.params.get("debug"):
                raise
            err.print(f"[red]{escape(str(error))}[/red]", soft_wrap=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt:
            err.print("\nstopped; what was finished is kept, and starting again goes on from there")
            raise typer.Exit(INTERRUPTED) from None


def in_words(seconds: float) -> str:
    """A duration for a person.

    Example:
        >>> in_words(7.26), in_words(83)
        ('7.3 s', '1 min 23 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{seconds:.1f} s" if seconds < 59.95 else f"{minutes} min {rest:02d} s"


def myself() -> str:
    """How to call this program again: by its name where the shell finds it, else by its path."""
    called = Path(sys.argv[0])
    found = shutil.which("rankloop")
    if (found and Path(found).resolve() == called.resolve()) or called.name != "rankloop":
        return "rankloop"
    here = Path.cwd()
    return str(called.resolve().relative_to(here)) if called.resolve().is_relative_to(here) else str(called)
