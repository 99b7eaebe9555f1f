"""`rankloop releases ...`: what was released, how two differ, and what was serving when."""

from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from rankloop.errors import Missing
from services.cli.console import NOT_PASSED, myself, out
from services.cli.controlled import AsJson, Why, control, print_json, reading
from services.control.moments import moment, shown
from services.control.wire import ReleaseList, ReleaseShown

__all__ = ["app"]

app = typer.Typer(help="What was released, how two releases differ, and what was serving when.", invoke_without_command=True)

_DIFF_SECONDS: Final = 600.0
"""Longest wait for both releases to answer the requests."""

Release = Annotated[str, typer.Argument(help="A release; `rankloop releases` lists them.")]


@app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_releases()


@app.command("list")
def list_releases(as_json: AsJson = False) -> None:
    """List the releases, the newest first: its state, the gate's verdict, what it knows, who gets it."""
    try:
        with reading() as record:
            found = record.releases()
            shares = {own.release_id: own.share_bp for own in record.serving().slots}
    except Missing:
        found, shares = ReleaseList([]), {}
    if as_json:
        print_json(found)
        return
    if not found.releases:
        out.print(f"nothing was released yet; start a run with {myself()} run")
        return
    table = Table("release", "state", "gets", "verdict", "knows until", "registered (UTC)", "run", box=box.SIMPLE_HEAD)
    for own in found.releases:
        share = f"{shares[own.release_id] / 100:g} %" if own.release_id in shares else ""
        cells = (own.state, share, own.verdict or "", f"{own.as_of:%Y-%m-%d}", _minute(own.registered_at), own.run_id or "")
        table.add_row(own.release_id, *map(escape, cells))
    out.print(table)


@app.command()
def show(release: Release, as_json: AsJson = False) -> None:
    """Show one release: numbers, lineage, where it lies, and its state."""
    with reading() as record:
        found = record.release(release)
    if as_json:
        print_json(found)
        return
    _show(found)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="The release to compare with.")],
    after: Annotated[str, typer.Argument(help="The release that is asked about.")],
    requests: Annotated[
        int, typer.Option("--requests", min=0, max=10_000, help="Compare their rankings of so many logged requests, too.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Show how two releases differ: models, features, importance, metrics and, where asked, rankings."""
    with reading(seconds=_DIFF_SECONDS) as record:
        found = record.diff(before, after, requests=requests)
    if as_json:
        print_json(found)
        return
    from services.cli.differing import show_diff

    show_diff(found.differences)


@app.command()
def serving(
    at: Annotated[
        str, typer.Option("--at", help="A moment such as '2026-11-17 14:05', UTC unless an offset is given.  [default: now]")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show who got which release at a moment; exit with 3 when nothing served then."""
    when = shown(moment(at)) if at else ""
    with reading() as record:
        found = record.serving(when)
    if as_json:
        print_json(found)
    elif found.slots:
        out.print(f"at {_minute(found.at, seconds=True)} UTC")
        table = Table("slot", "release", "got", box=box.SIMPLE_HEAD)
        for own in found.slots:
            stable = "stable, " if own.stable else ""
            table.add_row(own.slot, escape(own.release_id), f"{stable}{own.share_bp / 100:g} % of the units")
        out.print(table)
    else:
        out.print(f"at {_minute(found.at, seconds=True)} UTC nothing served")
    if not found.slots:
        raise typer.Exit(NOT_PASSED)


@app.command()
def serve(
    release: Release,
    why: Why = "asked for at a terminal, no reason was given",
    force: Annotated[str, typer.Option("--force", help="Why the gate's verdict is passed over.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a release serve everybody as soon as it answers, without a canary."""
    with control() as client:
        told = client.serve(release, why=why, force=force)
    if as_json:
        print_json(told)
    else:
        out.print(told.said, soft_wrap=True)


def _show(own: ReleaseShown) -> None:
    grid = Table.grid(padding=(0, 2))
    rows: dict[str, Any] = {
        "state": own.state,
        "verdict": own.verdict or "the gate was not asked",
        "because": " ".join(own.reasons),
        "knows until": own.as_of,
        "packed": own.created_at,
        "registered": own.registered_at,
        "surfaces": ", ".join(own.surfaces),
        "run": own.run_id or "not known",
        "models": f"{', '.join(own.retrievers)}; {own.ranker} over {len(own.features)} features",
        "Bento": own.bento or "none, so it cannot serve",
        "bundle": own.bundle,
        "files": f"{len(own.files)}, each with its SHA-256 (--json shows them)",
    }
    for name, value in rows.items():
        said = f"{_minute(value, seconds=True)} UTC" if isinstance(value, datetime) else str(value)
        grid.add_row(f"[dim]{name}[/dim]", escape(said))
    out.print(f"[bold]{escape(own.release_id)}[/bold]")
    out.print(grid)
    table = Table("metric", "offline", box=box.SIMPLE_HEAD)
    table.columns[1].justify = "right"
    for metric, number in own.numbers.items():
        table.add_row(escape(metric), "" if number is None else f"{number:.4f}")
    out.print(table)
    lineage = Table("lineage", "", box=box.SIMPLE_HEAD)
    for name, value in own.lineage.items():
        lineage.add_row(escape(name), escape(str(value)))
    out.print(lineage)


def _minute(at: datetime, *, seconds: bool = False) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if seconds else f"{at:%Y-%m-%d %H:%M}"
