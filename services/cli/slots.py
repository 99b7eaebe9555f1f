"""`rankloop slots ...`: two slots behind the edge, one that serves and one to try a release in."""

from typing import Annotated, Final

import typer
from rich.table import Table

from services import stack
from services.cli.console import myself, out
from services.cli.controlled import Why
from services.cli.stack import say
from services.settings import Settings

__all__ = ["app", "slots_table"]

app = typer.Typer(help="Two slots behind the edge: one serves, one is there to try a release in.", invoke_without_command=True)

_SILENT: Final = "by hand at a terminal, no reason was given"
BasisPoints = Annotated[int, typer.Argument(metavar="BP", help="Units, basis points: 500 are 5 per cent.", min=0, max=10_000)]


@app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        show()


@app.command()
def show() -> None:
    """Show which release is in which slot, and who gets it."""
    now = stack.status(Settings.read())
    if not now.slots:
        out.print(f"the stack is {now.state}; start it with {myself()} up")
        return
    out.print(slots_table(now))


@app.command()
def fill(
    release: Annotated[str, typer.Argument(help="A release that was packaged here; `rankloop releases` lists them.")],
    why: Why = _SILENT,
) -> None:
    """Deploy a release into the idle slot, where nobody gets it yet."""
    slot = stack.fill(Settings.read(), release, say=say, why=why)
    out.print(f"{release} answers in slot {slot}; give it a share with {myself()} slots weight BP")


@app.command()
def weight(bp: BasisPoints, why: Why = _SILENT) -> None:
    """Give the idle slot a share of the units, from the next request on; 0 takes it away."""
    slots = stack.weigh(Settings.read(), bp, why=why)
    out.print(f"slot {slots.idle} gets {slots.canary_bp} basis points of the units, slot {slots.stable} the rest")


@app.command()
def interleave(bp: BasisPoints, why: Why = _SILENT) -> None:
    """Give a share of the units both slots' lists, interleaved, from the next request on; 0 takes it away."""
    slots = stack.interleave(Settings.read(), bp, why=why)
    out.print(f"{slots.interleave_bp} basis points of the units get both slots' lists, interleaved")


@app.command()
def swap(why: Why = _SILENT) -> None:
    """Make the idle slot the stable one: it has everybody from the next request on."""
    slots = stack.swap(Settings.read(), why=why)
    out.print(f"slot {slots.stable} serves everybody; {myself()} slots swap goes back, while slot {slots.idle} is not cleared")


@app.command()
def clear(why: Why = _SILENT) -> None:
    """End the release in the idle slot."""
    slot = stack.clear(Settings.read(), why=why)
    out.print(f"slot {slot} is empty" if slot else "the idle slot is empty already")


def slots_table(now: stack.StackStatus) -> Table:
    """Both slots as the terminal shows them."""
    table = Table("slot", "release", "gets", "application")
    weights = sum(own.weight_bp for own in now.slots)
    for own in now.slots:
        share = f"{10_000 - weights} bp" if own.stable else f"{own.weight_bp} bp"
        shared = f", {own.interleave_bp} bp interleaved" if own.interleave_bp else ""
        table.add_row(
            own.name, own.release_id or "", ("stable, " if own.stable else "") + share + shared, own.application or "empty"
        )
    return table
