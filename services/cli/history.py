"""`rankloop events`: what was changed, by whom and why."""

from typing import Annotated

import typer
from rich.markup import escape

from services.cli.console import out
from services.cli.controlled import AsJson, print_json, reading
from services.control.moments import moment, shown

__all__ = ["events"]

_LOCAL = "a moment such as '2026-11-17 14:05', UTC unless an offset is given"


def events(
    kind: Annotated[str, typer.Option("--kind", help="Only this kind; `canary.*` for every kind of that noun.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="Only what was done to this release, canary or run.")] = "",
    since: Annotated[str, typer.Option("--since", help=f"Only from then on: {_LOCAL}.")] = "",
    until: Annotated[str, typer.Option("--until", help=f"Only before then: {_LOCAL}.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most so many, the newest.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Show what was changed, by whom and why; the newest last. Times are UTC."""
    moments = {"since": shown(moment(since)) if since else None, "until": shown(moment(until)) if until else None}
    with reading() as record:
        found = record.events(kind=kind or None, subject=subject or None, limit=limit, **moments)
    if as_json:
        print_json(found)
        return
    if not found.events:
        out.print("nothing was changed that fits")
        return
    for own in reversed(found.events):
        when = f"[dim]{own.at:%Y-%m-%d %H:%M:%S}[/dim]"
        out.print(f"{when}  [bold]{escape(own.kind)}[/bold]  {escape(own.subject)}  by {escape(own.who)}", soft_wrap=True)
        out.print(f"    {escape(own.why)}", soft_wrap=True)
    if found.next is not None:
        out.print(f"[dim]there are older ones: --until '{found.events[-1].at:%Y-%m-%d %H:%M:%S}', or --limit[/dim]")
