"""`rankloop data check | simulate`: looks at data before anything is trained on it, or makes some."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rankloop.errors import DataError
from services.cli.console import in_words, myself, out
from services.cli.given import Mapping, Source, given

if TYPE_CHECKING:
    from rankloop.contracts import RuleResult
    from rankloop.sources import CheckReport

__all__ = ["app", "check", "simulate"]

app = typer.Typer(no_args_is_help=True, help="Check a data set, or simulate one.")


@app.command()
def check(
    path: Annotated[str, typer.Argument(help="The data's file or folder.")], source: Source = "", mapping: Mapping = ""
) -> None:
    """Say what is wrong with a data set and how to mend it; exit with 1 when it would not pass."""
    from rankloop import sources

    what = given(path, source, mapping)
    report = sources.check(what.source, what.path, what.mapping or None)
    if report.problem is not None:
        raise DataError(report.problem)
    out.print(_rows(report))
    for found in report.findings:
        _show(found)
    held = len(report.results) - len(report.findings)
    out.print(f"{held} of {len(report.results)} rules found nothing", style="dim")
    if not report.holds:
        over = sum(not found.holds for found in report.findings)
        raise DataError(f"the data would not pass: {over} {'rule is' if over == 1 else 'rules are'} over budget")
    out.print("[green]the data passes[/green]")
    asked = path + (f" --source {source}" if source else "") + (f" --mapping {mapping}" if mapping else "")
    out.print(f"run the loop on it: {myself()} run {escape(asked)}", soft_wrap=True)


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="Where the four Parquet files go.")],
    impressions: Annotated[int, typer.Option("--impressions", help="How many, about.")] = 200_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same bytes.")] = 7,
) -> None:
    """Write the log of a simulated marketplace, whose true preferences are known."""
    from services.cli.simulated import make

    begin = time.monotonic()
    fresh = make(folder, impressions=impressions, seed=seed)
    what = f"made in {in_words(time.monotonic() - begin)}" if fresh else "the same one was there already"
    out.print(f"{impressions:,} impressions in {escape(str(folder))}, {what}", soft_wrap=True)


def _rows(report: "CheckReport") -> Table:
    table = Table("table", "rows", "kept", "quarantined", "columns without a place")
    for column in table.columns[1:4]:
        column.justify = "right"
    for name, rows in report.rows.items():
        kept, left_out = report.kept[name], ", ".join(report.left_out[name])
        table.add_row(name, f"{rows:,}", f"{kept:,}", f"{rows - kept:,}", escape(left_out))
    return table


def _show(found: "RuleResult") -> None:
    colour, says = ("yellow", "within its budget") if found.holds else ("red", "over its budget")
    head = f"{found.table}: {found.rule}: {found.count:,} of {found.rows:,} rows"
    out.print(f"[{colour}]{escape(head)}, {says}[/{colour}]", soft_wrap=True)
    out.print(f"  {escape(found.remedy)}", soft_wrap=True)
    for example in found.examples:
        out.print(f"  [dim]for example {escape(str(example))}[/dim]", soft_wrap=True)
