"""`rankloop scoreboard`: what offline numbers foretold of the releases that were tried."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from rankloop.files import write_aside
from services.cli.console import NOT_PASSED, out
from services.cli.controlled import AsJson, print_json, reading

if TYPE_CHECKING:
    from rankloop.experiment import Effect, Scoreboard

__all__ = ["scoreboard"]

_SHOWN: Final = 30


def scoreboard(
    offline: Annotated[str, typer.Option("--offline", help="Of the evaluation's metrics.")] = "ndcg@10",
    online: Annotated[
        str, typer.Option("--online", help="For the figure: ctr@10, apply_rate, ndcg@10, coverage or 'prefer by click'.")
    ] = "apply_rate",
    figure: Annotated[str, typer.Option("--figure", help="Write a scatter of all trials into this SVG file.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show offline differences beside online ones, and whether they agree; exit with 3 when nothing was tried yet."""
    from rankloop.experiment import Scoreboard

    with reading() as record:
        found = record.scoreboard()
    board = msgspec.convert(found.scoreboard, Scoreboard)
    if as_json:
        print_json(found)
    elif board.trials:
        _show(board, offline)
    else:
        out.print("no canary has ended yet that people's acts were judged of; start one with `rankloop canary start`")
    if figure and board.trials:
        _draw(board, offline, online, Path(figure))
    if not board.trials:
        raise typer.Exit(NOT_PASSED)


def _show(board: "Scoreboard", offline: str) -> None:
    table = Table("release", "against", "ended", f"{offline}, offline", "online", "difference", box=box.SIMPLE_HEAD)
    table.columns[3].justify = table.columns[5].justify = "right"
    table.columns[3].no_wrap = True
    for trial in board.trials[-_SHOWN:]:
        own = (*map(escape, (trial.release_id, trial.against, trial.ended)), _effect(trial.offline.get(offline), percent=False))
        for number, (name, effect) in enumerate(trial.online.items()):
            table.add_row(*(own if not number else ("",) * len(own)), escape(name), _effect(effect, percent=True))
    out.print(table)
    if len(board.trials) > _SHOWN:
        out.print(f"[dim]the newest {_SHOWN} of {len(board.trials):,}; --json has all[/dim]")
    for one in board.agreements:
        if one.offline == offline:
            sure = f" Of {one.sure} whose online interval excludes 0, {one.sure_same_sign} did." if one.sure else ""
            out.print(f"{one.says}{sure}", soft_wrap=True, markup=False)
    if not any(one.offline == offline for one in board.agreements):
        known = sorted({one.offline for one in board.agreements})
        out.print(
            f"no trial has {offline!r} of both releases; there is {', '.join(known) or 'none'}", soft_wrap=True, markup=False
        )


def _draw(board: "Scoreboard", offline: str, online: str, file: Path) -> None:
    from services.control.scoreboard.figures import scatter, standalone  # matplotlib takes a second to load

    drawn = scatter(board, offline, online)
    if drawn is None:
        out.print(f"[yellow]no trial has both {escape(offline)} and {escape(online)}; nothing was drawn[/yellow]")
        return
    out.print(f"figure: {escape(str(write_aside(file, standalone(drawn))))}", soft_wrap=True)


def _effect(effect: "Effect | None", *, percent: bool) -> str:
    """A difference and its interval; offline ones in the metric's own unit."""
    if effect is None:
        return ""
    times, digits, unit = (100, 1, " %") if percent else (1, 3, "")
    difference = f"{times * effect.difference:+.{digits}f}{unit}"
    if effect.lower is None or effect.upper is None:
        return difference
    return f"{difference} \\[{times * effect.lower:+.{digits}f}, {times * effect.upper:+.{digits}f}]"
