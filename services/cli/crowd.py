"""`rankloop crowd`: simulated people before the real service."""

import asyncio
import ipaddress
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import msgspec
import typer
from rich import box
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from rankloop.errors import SettingsError
from services.cli.console import NOT_PASSED, in_words, out
from services.settings import Settings

if TYPE_CHECKING:
    from rankloop.simulation import Crowd
    from services.crowd import Plan, Report, Seen

__all__ = ["crowd", "loopback_only", "show_crowd"]

_LINE_SECONDS: Final = 10.0
_KINDS: Final = ("click", "save", "apply", "interview", "hire", "dismiss")


def crowd(
    rate: Annotated[float, typer.Option("--rate", help="People a second, in the mean.")] = 20.0,
    seconds: Annotated[float, typer.Option("--seconds", help="How long they come; 0: until Ctrl-C.")] = 60.0,
    people: Annotated[int, typer.Option("--people", help="How many different ones; 0: all of the marketplace.")] = 0,
    data: Annotated[
        str, typer.Option("--data", help="Folder of the simulated marketplace.  [default: the demo's]", show_default=False)
    ] = "",
    k: Annotated[int, typer.Option("--k", "-k", help="How many items each asks for.")] = 10,
    haste: Annotated[
        float, typer.Option("--haste", help="Seconds of the marketplace's time in one of ours, from a list to what follows.")
    ] = 3600.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed brings the same people in the same order.")] = 1,
    url: Annotated[str, typer.Option("--url", help="The edge's address.  [default: this machine's]", show_default=False)] = "",
    anywhere: Annotated[
        bool, typer.Option("--anywhere", help="Ask another machine, where their events count as real ones.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Let simulated people ask the service, click and apply by their true preferences; exit with 3 when nobody was answered."""
    from services.crowd import Plan, crowd_of, find_folder

    settings = Settings.read()
    address = (url or settings.service_url).rstrip("/")
    if not anywhere:
        loopback_only(address)
    plan = Plan(rate=rate, seconds=seconds, k=k, haste=haste)
    folder = Path(data).expanduser() if data else find_folder(settings.home)
    comers = crowd_of(folder, seed=seed, people=people or None)
    if not as_json:
        out.print(f"{len(comers.people):,} people of {escape(str(folder))}, {rate:g} a second, before {escape(address)}")
    report = asyncio.run(_run(comers, address, settings, plan, seed, quiet=as_json))
    if as_json:
        out.print(msgspec.json.format(msgspec.json.encode(report)).decode(), markup=False, soft_wrap=True)
    else:
        show_crowd(report)
    if not report.answered:
        raise typer.Exit(NOT_PASSED)


def loopback_only(url: str) -> None:
    """Refuses an address of another machine.

    Raises:
        SettingsError: it is one.
    """
    host = urlsplit(url).hostname or ""
    try:
        here = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = False
    if not here:
        raise SettingsError(
            f"{url} is not this machine; what simulated people do there counts as real: say --anywhere to mean it"
        )


def show_crowd(report: "Report") -> None:
    """Prints what a crowd saw, by release."""
    said = f"{report.came:,} people came in {in_words(report.seconds)}, {report.answered:,} were answered"
    lost = {"found too many waiting": report.unasked, **{f"gave up after {why}": n for why, n in report.failed.items()}}
    out.print(", ".join([said, *(f"{n:,} {why}" for why, n in sorted(lost.items()) if n)]), soft_wrap=True)
    out.print(_lists(report))
    out.print(_deeds(report))
    rest = {
        'told "later", and asked again': report.later,
        "events taken": report.events,
        "rejected": sum(report.rejected.values()),
        "due but not taken": report.unsent,
        "deeds still to come when it ended": report.to_come,
    }
    out.print(", ".join(f"{n:,} {what}" for what, n in rest.items() if n), soft_wrap=True)
    for why, n in sorted(report.rejected.items()):
        out.print(f"[yellow]rejected {n:,}: {escape(why)}[/yellow]", soft_wrap=True)


async def _run(comers: "Crowd", address: str, settings: Settings, plan: "Plan", seed: int, *, quiet: bool) -> "Report":
    from services.client import Policy
    from services.crowd import Asking, Driver

    stopping = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    asking = Asking(address, token=settings.token or None, policy=Policy(), seed=seed)
    driver = Driver(comers, asking, plan, seed=seed)
    try:
        with Live(console=out, transient=True, auto_refresh=False) as live:
            return await driver.run(stopping, None if quiet else _Teller(live, plan))
    finally:
        await asking.aclose()


class _Teller:
    """Says how it goes: in place on a terminal, elsewhere a line every ten seconds."""

    def __init__(self, live: Live, plan: "Plan") -> None:
        self._live, self._plan, self._said = live, plan, 0.0

    def __call__(self, seen: "Seen", seconds: float) -> None:
        until = f" of {self._plan.seconds:.0f}" if self._plan.seconds else ""
        parts = [f"{seen.answered:,} lists", f"{seen.deeds('click'):,} clicks", f"{seen.deeds('apply'):,} applications"]
        parts += [f"{n:,} gave up" for n in [seen.failed.total()] if n]
        line = f"{seconds:.0f}{until} s: {', '.join(parts)}"
        if out.is_terminal:
            self._live.update(line, refresh=True)
        elif seconds - self._said >= _LINE_SECONDS:
            self._said = seconds
            out.print(line)


def _lists(report: "Report") -> Table:
    from services.crowd.seen import QUANTILES

    names = ("slot", "release", "people", "lists", "empty", "fallback", *(f"{name} ms" for name in QUANTILES))
    table = Table(*names, box=box.SIMPLE_HEAD)
    for column in table.columns[2:]:
        column.justify = "right"
    for one in report.served:
        counts = (f"{n:,}" for n in (one.people, one.lists, one.empty, one.fallbacks))
        times = (f"{one.milliseconds[name]:.1f}" for name in QUANTILES)
        table.add_row(one.slot, one.release_id, *counts, *times)
    return table


def _deeds(report: "Report") -> Table:
    table = Table("release", *_KINDS, "clicks a list", "applications a list", box=box.SIMPLE_HEAD)
    for column in table.columns[1:]:
        column.justify = "right"
    for one in report.served:
        rates = ("" if rate is None else f"{rate:.4f}" for rate in (one.rate("click"), one.rate("apply")))
        table.add_row(one.release_id, *(f"{one.deeds.get(kind, 0):,}" for kind in _KINDS), *rates)
    return table
