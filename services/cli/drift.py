"""`rankloop drift ...`: what changed between what a release learned from and what comes in now, and why."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from services.cli.console import NOT_PASSED, in_words, myself, out
from services.cli.controlled import AsJson, print_json, reading
from services.cli.given import Mapping, Source
from services.cli.watched import watched
from services.settings import Settings

if TYPE_CHECKING:
    from rankloop.drift import ColumnDrift, DriftReport

__all__ = ["app"]

app = typer.Typer(
    help="What changed between what a release learned from and what comes in now, and why.", invoke_without_command=True
)

Report = Annotated[str, typer.Argument(help="A report; `rankloop drift list` lists them.")]

_COLOURS = {"stable": "green", "drifted": "yellow", "broken": "red", "not enough rows": "dim"}
_SHOWN = 20


@app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_reports()


@app.command("list")
def list_reports(
    surface: Annotated[str, typer.Option("--surface", help="Only this product place's.")] = "",
    verdict: Annotated[str, typer.Option("--verdict", help="Only stable, drifted, broken, or 'not enough rows'.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the reports, those made last first."""
    with reading() as record:
        found = record.drift_reports(surface=surface or None, verdict=verdict or None, limit=limit)
    if as_json:
        print_json(found)
        return
    if not found.reports:
        out.print(f"there is no such report; make one with {myself()} drift run")
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("report", no_wrap=True, min_width=max(len(own.report_id) for own in found.reports))  # whole, to be copied
    for name in ("surface", "window until (UTC)", "verdict", "causes"):
        table.add_column(name)
    for own in found.reports:
        until = f"{own.window_until:%Y-%m-%d %H:%M}"
        table.add_row(own.report_id, own.surface, until, _verdict(own.verdict), escape(", ".join(own.causes) or "none"))
    out.print(table)


@app.command()
def show(
    report: Report,
    every: Annotated[bool, typer.Option("--all", help="Show also the columns that are stable.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one report: its causes first, then the columns that changed, the one with most impact first."""
    with reading() as record:
        found = record.drift_report(report)
    if as_json:
        print_json(found)
    else:
        show_report(found, every=every)


@app.command()
def run(
    path: Annotated[
        str,
        typer.Argument(help="The log's file or folder.  [default: what the release was made of, and this machine's log]"),
    ] = "",
    source: Source = "",
    mapping: Mapping = "",
    surface: Annotated[str, typer.Option("--surface", help="Whose lists: job_feed, job_search or talent_search.")] = "job_feed",
    hours: Annotated[float, typer.Option("--hours", min=0.1, help="The window's length.")] = 24.0,
    until: Annotated[
        str, typer.Option("--until", help="The window's end, such as '2026-11-17 14:05', UTC.  [default: now]")
    ] = "",
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", help="Compare with this bundle's reference.  [default: the release's that serves]", exists=True),
    ] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="A YAML file with fields of the drift policy.", exists=True, dir_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a window with what the release learned from, here and now; exit with 3 where it drifted or broke."""
    from pipelines.watch import run_watch
    from services.cli.progress import Steps

    settings = Settings.read()
    order = watched(settings, path, source, mapping, surface=surface, hours=hours, until=until, bundle=bundle, policy=policy)
    with Steps(quiet=as_json) as steps:
        result = run_watch(order, settings.home, steps.take)
    if as_json:
        print_json(result.report)
    else:
        show_report(result.report)
        out.print(
            f"report {escape(result.report.report_id)}; {in_words(result.seconds)}; page: {escape(str(result.page))}",
            soft_wrap=True,
        )
    if result.verdict in ("drifted", "broken"):
        raise typer.Exit(NOT_PASSED)


def show_report(report: "DriftReport", *, every: bool = False) -> None:
    """Prints a report: verdict, causes, performance, columns.

    Args:
        report: what was found.
        every: also the columns that are stable, or could not be judged.
    """
    window = f"{report.window_from:%Y-%m-%d %H:%M} to {report.window_until:%Y-%m-%d %H:%M} UTC"
    out.print(f"{escape(report.surface)}, {window}, against the reference of [bold]{escape(report.release_id)}[/bold]")
    out.print(f"verdict: {_verdict(report.verdict)}; {escape(report.says)}", soft_wrap=True)
    if report.causes:
        out.print(_causes(report))
        for cause in report.causes:
            out.print(f"  [bold]{cause.cause}[/bold] {escape(cause.component)}: {escape(cause.says)}", soft_wrap=True)
    for own in report.performance:
        ratio = "" if own.ratio is None else f"{own.ratio:.2f} of what it was; "
        out.print(f"  {own.metric} ({own.kind}): {ratio}{escape(own.says)}", soft_wrap=True)
    changed = [own for own in report.columns if every or own.verdict in ("drifted", "broken")]
    if changed:
        out.print(_columns(changed[: None if every else _SHOWN]))
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report.counts.items() if count)
    out.print(f"columns: {counts}" if counts else "no column was compared")


def _causes(report: "DriftReport") -> Table:
    table = Table("cause", "where", "impact", "since (UTC)", "slice", "columns", "what to do", box=box.SIMPLE_HEAD)
    for own in report.causes:
        since = f"{own.since:%Y-%m-%d %H:%M}" if own.since else ""
        cells = (own.cause, own.component, f"{own.impact:.1%}", since, own.slice, str(len(own.columns)), own.command)
        table.add_row(*map(escape, cells))
    return table


def _columns(columns: "list[ColumnDrift]") -> Table:
    table = Table("column", "verdict", "change", "impact", "js", "nulls", "says", box=box.SIMPLE_HEAD)
    for own in columns:
        js = f"{own.measures['js']:.2f}" if "js" in own.measures else ""
        nulls = f"{own.null_share[0]:.0%} to {own.null_share[1]:.0%}"
        table.add_row(escape(own.name), _verdict(own.verdict), own.change, f"{own.impact:.1%}", js, nulls, escape(own.says))
    return table


def _verdict(verdict: str) -> str:
    return f"[{_COLOURS.get(verdict, '')}]{verdict}[/]"
