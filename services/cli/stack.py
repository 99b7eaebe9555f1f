"""`rankloop up | status | logs | down | reload`: the laptop's stack."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from services import stack
from services.cli.console import NOT_PASSED, in_words, myself, out
from services.settings import Settings
from services.stack import StackStatus

__all__ = ["down", "logs", "reload", "say", "show", "show_urls", "show_watched", "status", "up"]

_SOURCE_WIDTH = 24


def up() -> None:
    """Start Ray, Serve, the edge and the event collectors, and wait until they answer."""
    begin = time.monotonic()
    now = stack.up(Settings.read(), say=say)
    show_urls(now)
    show_watched(now)
    served = f"release [bold]{now.release_id}[/bold] serves" if now.release_id else f"no release yet: {myself()} run"
    out.print(f"up after {in_words(time.monotonic() - begin)}; {served}; stop with {myself()} down")


def status(every: Annotated[bool, typer.Option("--all", help="Show Ray's helper processes too.")] = False) -> None:
    """Show the processes, the ports, and the release that answers; exit with 3 when the stack is not up."""
    now = stack.status(Settings.read())
    show(now, every=every)
    if now.state != "up":
        raise typer.Exit(NOT_PASSED)


def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Last lines of each file.")] = 50,
    only: Annotated[str, typer.Option("--only", help="Part of a file's name, such as replica.")] = "",
) -> None:
    """Show the last lines that the stack logged."""
    for line in stack.logs(Settings.read(), follow=follow, lines=lines, only=only):
        out.print(f"[cyan]{escape(line.source[:_SOURCE_WIDTH])}[/cyan] {escape(line.text)}", soft_wrap=True)


def down() -> None:
    """Stop everything; leave no process and no bound port. Releases and logs stay."""
    ended = stack.down(Settings.read(), say=say)
    out.print(f"down; {ended} processes ended" if ended else "the stack is down already")


def reload() -> None:
    """Give the running edge its limits and its certificate anew, without losing a request."""
    stack.reload(Settings.read())
    out.print("the edge has its configuration anew")


def say(text: str) -> None:
    """One line of progress."""
    out.print(f"[dim]{escape(text)}[/dim]")


def show(now: StackStatus, *, every: bool = False) -> None:
    """Prints what the stack is doing."""
    colour = {"up": "green", "broken": "red"}.get(now.state, "yellow")
    since = f", for {in_words((datetime.now(UTC) - now.since).total_seconds())}" if now.since else ""
    out.print(f"the stack is [{colour}]{now.state}[/{colour}]{since}; its state is in {escape(str(now.home))}", soft_wrap=True)
    if now.state == "down":
        out.print(f"start it with {myself()} up")
        return
    out.print(f"release: {escape(now.release_id or 'none')}; application: {escape(now.application or 'none')}")
    for own in now.slots[1:]:
        if own.application:
            shares = f"{own.weight_bp} bp of the units, {own.interleave_bp} bp interleaved"
            out.print(f"slot {own.name}: {escape(own.release_id or 'none')}; {shares}; application: {escape(own.application)}")
    if now.message:
        out.print(f"[red]{escape(now.message.strip())}[/red]", soft_wrap=True)
    out.print(_processes(now, every=every))
    show_urls(now)
    show_watched(now)


def show_urls(now: StackStatus) -> None:
    """Prints what can be opened."""
    grid = Table.grid(padding=(0, 2))
    for name, url in now.urls.items():
        grid.add_row(f"  {name}", f"[link={url}]{url}[/link]")
    out.print(grid)


def show_watched(now: StackStatus) -> None:
    """Prints who watches the stack, or plainly that nobody does."""
    if now.watched:
        colour = "yellow" if now.watched.startswith("not") else "default"
        out.print(f"[{colour}]{escape(now.watched)}[/{colour}]", soft_wrap=True)


def _processes(now: StackStatus, *, every: bool) -> Table:
    shown = [one for one in now.processes if every or one.role != "ray helper"]
    helpers = [one for one in now.processes if one not in shown]
    table = Table("process", "pid", "state", "ports", "memory")
    table.columns[1].justify = table.columns[4].justify = "right"
    for one in shown:
        ports = ", ".join(map(str, one.ports[:4])) + (f" and {len(one.ports) - 4} more" if len(one.ports) > 4 else "")
        table.add_row(one.role, str(one.pid), one.state, ports, f"{one.memory_mb:,.0f} MiB")
    if helpers:
        table.add_row(f"{len(helpers)} ray helpers", "", "", "", f"{sum(one.memory_mb for one in helpers):,.0f} MiB", style="dim")
    return table
