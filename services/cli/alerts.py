"""`rankloop alerts`: every rule and its state, asked of Prometheus, or plainly that nobody watches."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import httpx
import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from monitoring import rules
from services import stack
from services.cli.console import NOT_PASSED, out
from services.cli.controlled import AsJson, print_json
from services.settings import Settings
from services.stack.place import Place
from services.stack.watch import as_started
from services.stack.watchers import watcher_urls

__all__ = ["AlertShown", "alerts"]

_NOT_WATCHED: Final = "not watched"
_COLOURS: Final = {"firing": "red", "pending": "yellow", "inactive": "dim", _NOT_WATCHED: "yellow"}
_URGENCY: Final = ("page", "ticket", "info")


class AlertShown(msgspec.Struct, frozen=True, kw_only=True):
    """One alert, or a rule of which there is none.

    Attributes:
        alert: the rule's name.
        state: `firing`, `pending` (true, but not yet for long enough), `inactive` or `not watched`.
        labels: severity, owner, surface, release, component and cause; of an alert that is not there, as far as the rule says.
        annotations: summary, description, links and command; the same.
        since: when it became true, ISO 8601; empty: it is not.
    """

    alert: str
    state: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    since: str = ""


def alerts(
    every: Annotated[bool, typer.Option("--all", help="Show rules that are quiet too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show which alerts fire, what is wrong and what to do; exit with 3 when nobody watches."""
    settings = Settings.read()
    url = (
        settings.prometheus_url.rstrip("/")
        or watcher_urls(as_started(settings, Place(settings.home).read("state")))["prometheus"]
    )
    held = _asked(url)
    shown = sorted(_in_rules(held) if held is not None else _not_watched(), key=_order)
    if as_json:
        print_json(shown)
    else:
        if held is None:
            why = stack.status(settings).watched or "not watched: the stack is down"
            out.print(f"[yellow]{escape(why)}[/yellow]", soft_wrap=True)
            out.print(f"[dim]no Prometheus answers at {url}; these rules would be watched[/dim]", soft_wrap=True)
        _print(shown, every=every)
    if held is None:
        raise typer.Exit(NOT_PASSED)


def _asked(url: str) -> list[dict[str, Any]] | None:
    """Prometheus' alerting rules; None where no Prometheus answers."""
    try:
        answer = httpx.get(f"{url}/api/v1/rules", params={"type": "alert"}, timeout=10.0)
        if not answer.is_success:
            return None
        return [rule for group in answer.json()["data"]["groups"] for rule in group["rules"]]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError):
        return None


def _in_rules(held: list[dict[str, Any]]) -> Iterator[AlertShown]:
    for rule in held:
        for own in rule["alerts"]:
            yield AlertShown(
                alert=rule["name"],
                state=own["state"],
                labels=own["labels"],
                annotations=own["annotations"],
                since=own["activeAt"][:19] + "Z",
            )
        if not rule["alerts"]:
            yield AlertShown(alert=rule["name"], state=rule["state"], labels=_plain(rule["labels"]))


def _not_watched() -> Iterator[AlertShown]:
    for rule in rules.alerts().values():
        yield AlertShown(alert=rule.name, state=_NOT_WATCHED, labels=_plain(rule.labels))


def _plain(labels: Mapping[str, str]) -> dict[str, str]:
    """Those that do not depend on what is found."""
    return {name: value for name, value in labels.items() if "{{" not in value}


def _order(own: AlertShown) -> tuple[int, int, str, str]:
    severity = own.labels.get("severity", "")
    urgency = _URGENCY.index(severity) if severity in _URGENCY else len(_URGENCY)
    return list(_COLOURS).index(own.state), urgency, own.alert, own.since


def _print(shown: list[AlertShown], *, every: bool) -> None:
    always = [own for own in shown if own.state == "firing" and own.labels.get("severity") == "info"]
    quiet = [own for own in shown if own.state == "inactive" or own in always]
    table = Table("alert", "state", "severity", "surface", "component", "since, UTC")
    rows = [own for own in shown if every or own not in quiet]
    for own in rows:
        cells = [own.labels.get(name, "") for name in ("severity", "surface", "component")]
        since = own.since.replace("T", " ").rstrip("Z")
        table.add_row(own.alert, own.state, *map(escape, cells), since, style=_COLOURS[own.state])
    if rows:
        out.print(table)
    for own in rows:
        if own.annotations:
            said = own.annotations
            out.print(f"[bold]{own.alert}[/bold]: {escape(said.get('summary', ''))}", soft_wrap=True)
            out.print(f"    {escape(said.get('command', ''))}    {escape(said.get('runbook_url', ''))}", soft_wrap=True)
    if quiet and not every:
        out.print(f"[dim]quiet rules: {len(quiet)}; --all shows them[/dim]")
