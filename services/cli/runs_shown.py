"""Runs as a terminal shows them."""

from datetime import datetime

from rich import box
from rich.markup import escape
from rich.table import Table

from services.cli.console import in_words, out
from services.control.wire_runs import RunShown

__all__ = ["minute", "show_end", "show_run", "table_of"]

_COLOURS = {"queued": "dim", "running": "cyan", "succeeded": "green", "failed": "red", "cancelled": "magenta", "lost": "red"}


def show_run(run: RunShown) -> None:
    """One run, and its steps."""
    named = f"{run.pipeline} run [bold]{escape(run.run_id)}[/bold] of {run.surface}"
    out.print(f"{named}, asked for by {escape(run.who)}: {escape(run.why)}")
    out.print(f"  data: {escape(str(run.order.get('path', '')))}", soft_wrap=True)
    if run.retry_of:
        out.print(f"  goes on from {escape(run.retry_of)}")
    table = Table("step", "state", "took", "memory", "said", box=box.SIMPLE_HEAD)
    for step in run.steps:
        took = in_words(step.seconds) if step.seconds else ""
        memory = f"{step.peak_mb * 2**20 / 1e9:.2f} GB" if step.peak_mb else ""
        table.add_row(step.name, step.state, took, memory, escape(step.said[-1].splitlines()[0] if step.said else ""))
    out.print(table)
    show_end(run)


def show_end(run: RunShown) -> None:
    """How a run ended, or where it stands."""
    took = f" after {in_words((run.ended_at - run.started_at).total_seconds())}" if run.started_at and run.ended_at else ""
    release = f"; release [bold]{escape(run.release_id)}[/bold]" if run.release_id else ""
    verdict = f"; verdict: {run.verdict}" if run.verdict else ""
    out.print(f"{_state(run)}{took}{verdict}{release}", soft_wrap=True)
    if run.error:
        out.print(f"  {escape(run.error)}", soft_wrap=True)


def table_of(runs: list[RunShown]) -> Table:
    """Runs as a table, the newest first."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("run", no_wrap=True, min_width=max(len(run.run_id) for run in runs))  # whole, to be copied
    for name in ("pipeline", "surface", "state", "started by", "asked for (UTC)", "took", "release", "why"):
        table.add_column(name)
    for run in runs:
        took = in_words((run.ended_at - run.started_at).total_seconds()) if run.started_at and run.ended_at else ""
        by = run.who if run.trigger in ("api", "cli") else run.trigger
        cells = (by, minute(run.created_at), took, run.release_id or "", run.why)
        table.add_row(run.run_id, run.pipeline, run.surface, _state(run), *map(escape, cells))
    return table


def _state(run: RunShown) -> str:
    return f"[{_COLOURS.get(run.state, '')}]{run.state}[/]"


def minute(at: datetime | None) -> str:
    """A moment to the minute; empty where there is none."""
    return f"{at:%Y-%m-%d %H:%M}" if at else ""
