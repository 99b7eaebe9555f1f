"""`rankloop incidents ...`: what is wrong, since when, and who has it."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import quote

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from rankloop.errors import DataError
from services.cli.console import in_words, myself, out
from services.cli.controlled import AsJson, control, print_json
from services.control.client import ControlClient
from services.control.wire import Why as Because
from services.control.wire_incidents import IncidentList, IncidentShown, NewNote, Silence

__all__ = ["app"]

app = typer.Typer(help="Incidents: what is wrong, since when, and who has it.", invoke_without_command=True)

Incident = Annotated[str, typer.Argument(help="An incident; `rankloop incidents` lists them. The end of its id is enough.")]
Why = Annotated[str, typer.Option("--why", help="For whoever reads the timeline.")]

_COLOURS: Final = {"firing": "red", "acknowledged": "yellow", "quiet": "cyan", "resolved": "green"}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)")
_UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_OWN: Final = ("looked_into", "looked_up", "told", "notified")
"""What the timeline leaves out unless everything is asked for: the pager's own steps."""


@app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_incidents()


@app.command("list")
def list_incidents(
    everything: Annotated[bool, typer.Option("--all", help="Those that ended, too.")] = False,
    surface: Annotated[str, typer.Option("--surface", help="Only this product place's.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List what is wrong, the newest first."""
    status = None if everything else "open"
    with control() as client:
        found = client.get("/v1/incidents", IncidentList, status=status, surface=surface or None, limit=limit)
    if as_json:
        print_json(found)
    elif found.incidents:
        out.print(_table(found.incidents))
    else:
        out.print("nothing is wrong" if not everything else "nothing was ever wrong")


@app.command()
def show(
    incident: Incident,
    everything: Annotated[bool, typer.Option("--all", help="The pager's own steps and every message, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one incident: what broke, what changed before, the command to run, and what was done."""
    with control() as client:
        found = client.get(_address(client, incident), IncidentShown)
    if as_json:
        print_json(found)
    else:
        _show(found, everything=everything)


@app.command()
def ack(incident: Incident, why: Why = "taken at a terminal", as_json: AsJson = False) -> None:
    """Say that you have it; PagerDuty stops calling people."""
    _did(incident, "acknowledge", Because(why), as_json)


@app.command()
def silence(
    incident: Incident,
    span: Annotated[str, typer.Option("--for", help="How long, such as 30m, 2h or 1d; 0s ends a silence.")],
    why: Annotated[str, typer.Option("--why", help="For whoever reads the timeline.")],
    as_json: AsJson = False,
) -> None:
    """Tell nobody anything about it, or the next ones of its cause, for a while."""
    _did(incident, "silence", Silence(_seconds(span), why), as_json)


@app.command()
def resolve(
    incident: Incident,
    why: Annotated[str, typer.Option("--why", help="For whoever reads the timeline.")],
    as_json: AsJson = False,
) -> None:
    """End it by hand; it ends by itself where nothing fires any more."""
    _did(incident, "resolve", Because(why), as_json)


@app.command()
def note(
    incident: Incident, text: Annotated[str, typer.Argument(help="What was found, or done.")], as_json: AsJson = False
) -> None:
    """Add a note to its timeline."""
    _did(incident, "notes", NewNote(text), as_json)


def _did(incident: str, act: str, body: Because | Silence | NewNote, as_json: bool) -> None:
    with control() as client:
        found = client.send("POST", f"{_address(client, incident)}/{act}", body, IncidentShown)
    if as_json:
        print_json(found)
        return
    last = next((own for own in reversed(found.timeline) if own.kind.startswith("incident.")), None)
    said = f": {escape(last.why)}" if last else ""
    silent = f", silent until {_minute(found.silenced_until)} UTC" if found.silenced_until else ""
    out.print(f"incident [bold]{escape(found.incident_id)}[/bold] is {_status(found)}{silent}{said}", soft_wrap=True)


def _address(client: ControlClient, given: str) -> str:
    """The path of an incident that is named by its id, or by an end of it that only one has.

    Raises:
        DataError: several end so.
    """
    if not given.startswith("inc-"):
        found = [own.incident_id for own in client.get("/v1/incidents", IncidentList, limit=1000).incidents]
        matching = [own for own in found if own.endswith(given)]
        if len(matching) > 1:
            raise DataError(f"{len(matching)} incidents end with {given!r}; give more of the id: {', '.join(matching[:3])}")
        given = matching[0] if matching else given
    return f"/v1/incidents/{quote(given, safe='')}"


def _seconds(span: str) -> float:
    """A span of time, seconds.

    Raises:
        DataError: it is none.

    Example:
        >>> [_seconds(span) for span in ("30m", "2h", "1.5 d", "0s")]
        [1800.0, 7200.0, 129600.0, 0.0]
    """
    found = _SPAN.fullmatch(span.strip())
    if found is None:
        raise DataError(f"--for is {span!r}; give a number and s, m, h or d, such as 2h")
    return float(found[1]) * _UNITS[found[2]]


def _table(incidents: list[IncidentShown]) -> Table:
    """Ids by their ends, which every command takes, so that the title has room in 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("incident", "status", "since (UTC)", "surface", "what broke"):
        table.add_column(name, no_wrap=name != "what broke", overflow="fold")
    for own in incidents:
        mark = "" if own.severity != "page" else "[bold]page[/bold] "
        who = f" [dim]({escape(own.acknowledged_by)})[/dim]" if own.acknowledged_by else ""
        what = f"{mark}{escape(own.title)}{who}"
        table.add_row(escape(own.incident_id[-6:]), _status(own), f"{own.since:%d %b %H:%M}", escape(own.surface), what)
    return table


def _show(own: IncidentShown, *, everything: bool) -> None:
    out.print(f"[bold]{escape(own.title)}[/bold]", soft_wrap=True)
    silent = f", silent until {_minute(own.silenced_until)} UTC" if own.silenced_until else ""
    who = f" by {escape(own.acknowledged_by)}" if own.acknowledged_by else ""
    out.print(f"  {own.severity}, {_status(own)}{who}{silent}; {escape(own.incident_id)}", soft_wrap=True)
    end = own.resolved_at or datetime.now(UTC)
    out.print(f"  since {_minute(own.since)} UTC, {in_words(max(0.0, (end - own.since).total_seconds()))}", soft_wrap=True)
    for name, text in _facts(own):
        out.print(f"  [dim]{name}:[/dim] {escape(text)}", soft_wrap=True)
    if own.context and own.context.command:
        out.print(f"\n  run: [bold]{escape(own.context.command)}[/bold]", soft_wrap=True)
        if own.context.because:
            out.print(f"  [dim]because {escape(own.context.because)}[/dim]", soft_wrap=True)
    out.print()
    for event in own.timeline:
        act = event.kind.removeprefix("incident.")
        if everything or act not in _OWN:
            out.print(f"  {event.at:%d %b %H:%M:%S}  {act:<13} {escape(event.who)}: {escape(event.why)}", soft_wrap=True)
    if own.resolved_at is None and own.acknowledged_at is None:
        out.print(f"\ntake it with {myself()} incidents ack {escape(own.incident_id[-6:])}", soft_wrap=True)


def _facts(own: IncidentShown) -> list[tuple[str, str]]:
    where = f" in {own.component}" if own.component else ""
    facts = [("cause", f"{own.cause}{where}, surface {own.surface}, release {own.release_id}, for {own.owner or 'nobody'}")]
    facts += [("numbers", one.description) for one in own.alerts[:1] if one.description]
    if not own.notices and own.severity != "info":
        facts += [("told", "nobody yet, or no receiver is configured for it")]
    found = own.context
    if found is None:
        return facts
    facts += [("worst slice", found.slice)] if found.slice else []
    facts += [("serves", found.serving)] if found.serving else []
    facts += [("changed", found.released)] if found.released else []
    facts += [("before it", f"{one.at:%H:%M} {one.kind} {one.subject}: {one.why}") for one in found.changes[:5]]
    facts += [("drift", found.drift)] if found.drift else []
    facts += [("upstream", ", ".join(found.upstream))] if found.upstream else []
    facts += [("done", f"{one.act}: {one.said}") for one in found.acts]
    facts += [("example", f"request {one.request_id}: {one.says}") for one in found.examples[:3]]
    facts += [("runbook", one.runbook_url) for one in own.alerts[:1] if one.runbook_url]
    return facts + [("not known", one) for one in found.missing]


def _status(own: IncidentShown) -> str:
    return f"[{_COLOURS.get(own.status, '')}]{own.status}[/]"


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""
