"""`rankloop experiments ...`: two releases in one list, and which of them people prefer."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from services.cli.console import NOT_PASSED, myself, out
from services.cli.controlled import AsJson, Why, control, print_json, reading

if TYPE_CHECKING:
    from services.control.wire_experiments import ExperimentShown

__all__ = ["app"]

app = typer.Typer(help="Interleave two releases and see which one people prefer.", invoke_without_command=True)

Name = Annotated[str, typer.Argument(metavar="[ID]", help="An experiment; without it the newest one.")]
_DAY: Final = 86_400.0


@app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_experiments()


@app.command("list")
def list_experiments(as_json: AsJson = False) -> None:
    """List the experiments, the newest first."""
    with reading() as record:
        found = record.experiments()
    if as_json:
        print_json(found)
        return
    if not found.experiments:
        out.print(f"there was no experiment yet; fill the idle slot, then {myself()} experiments begin 1000")
        return
    table = Table("experiment", "tried", "against", "status", "says", box=box.SIMPLE_HEAD)
    table.columns[0].no_wrap = True
    for own in found.experiments:
        says = own.readout.says if own.readout else f"{own.share_bp} bp until {own.until:%Y-%m-%d %H:%M} UTC"
        table.add_row(*map(escape, (own.experiment_id, own.release_id, own.against, own.status, says)))
    out.print(table)


@app.command()
def begin(
    share: Annotated[int, typer.Argument(metavar="BP", help="Units, basis points: 500 are 5 per cent.", min=1, max=10_000)],
    days: Annotated[float, typer.Option("--days", help="How long; fixed now, so that one look at the end is fair.")] = 7.0,
    ripe_days: Annotated[float, typer.Option("--ripe-days", help="How long after its end outcomes are waited for.")] = 1.0,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Outcomes that are credit, the one that matters first: click, apply.")
    ] = None,
    why: Why = "begun at a terminal, no reason was given",
    as_json: AsJson = False,
) -> None:
    """Give a share of the units the lists of both slots, interleaved, for a time that is fixed now."""
    import msgspec

    from rankloop.errors import ControlError
    from services.control.wire_experiments import NewExperiment

    given: dict[str, Any] = {"share_bp": share, "why": why, "seconds": days * _DAY, "ripe_seconds": ripe_days * _DAY}
    try:
        asked = msgspec.convert({**given, "kinds": kind or ("click", "apply")}, NewExperiment)
    except msgspec.ValidationError as error:
        raise ControlError(f"this experiment cannot be: {error}") from error
    with control() as client:
        found = client.begin_experiment(asked)
    if as_json:
        print_json(found)
    else:
        _say(found)


@app.command()
def show(experiment: Name = "", as_json: AsJson = False) -> None:
    """Show an experiment and, once its outcomes have come, what people prefer; exit with 3 before that."""
    with reading() as record:
        own = record.experiment(experiment or _newest(record))
    if as_json:
        print_json(own)
    else:
        _say(own)
    if own.readout is None:
        raise typer.Exit(NOT_PASSED)


@app.command()
def end(experiment: Name = "", why: Why = "ended at a terminal, no reason was given", as_json: AsJson = False) -> None:
    """End an experiment before its time; its numbers are read, and nothing is decided."""
    with control() as client:
        own = client.end_experiment(experiment or _newest(client), why=why)
    if as_json:
        print_json(own)
    else:
        _say(own)


def _newest(record: Any) -> str:
    from rankloop.errors import Missing

    found = record.experiments().experiments
    if not found:
        raise Missing(f"there was no experiment yet; begin one with {myself()} experiments begin")
    return str(found[0].experiment_id)


def _say(own: "ExperimentShown") -> None:
    out.print(
        f"[bold]{escape(own.release_id)}[/bold] against {escape(own.against)}: {own.status}, {own.share_bp} bp of the units, "
        f"from {own.created_at:%Y-%m-%d %H:%M} to {(own.ended_at or own.until):%Y-%m-%d %H:%M} UTC",
        soft_wrap=True,
    )
    out.print(f"[dim]{escape(own.experiment_id)}, by {escape(own.who)}: {escape(own.why)}[/dim]", soft_wrap=True)
    if own.readout is None:
        out.print("not read yet: one look, when its time is over and its outcomes have come")
        return
    table = Table("outcome", "prefer tried", "prefer other", "tie", "silent", "delta", "p", box=box.SIMPLE_HEAD)
    for one in own.readout.likings:
        delta = "" if one.delta is None else f"{100 * one.delta:+.1f} %"
        if one.lower is not None and one.upper is not None:
            delta += f" \\[{100 * one.lower:+.1f}, {100 * one.upper:+.1f}]"
        counts = (f"{number:,}" for number in (one.wins, one.losses, one.ties, one.silent))
        table.add_row(one.kind, *counts, delta, f"{one.p_value:.2g}")
    out.print(table)
    out.print(
        f"{own.readout.requests:,} lists of {own.readout.people:,} people; {own.readout.says}", markup=False, soft_wrap=True
    )
