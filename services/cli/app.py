"""All commands of `rankloop` in the order a newcomer needs them."""

from typing import Annotated

import typer

from rankloop import __version__
from services.cli import (
    alerts,
    ask,
    canary,
    crowd,
    data,
    demo,
    drift,
    experiments,
    history,
    incidents,
    pipeline,
    release,
    releases,
    rollback,
    runs,
    scoreboard,
    shadow,
    slots,
    stack,
    tokens,
)
from services.cli.console import Guarded, out

__all__ = ["app", "main"]

app = typer.Typer(
    name="rankloop",
    cls=Guarded,
    no_args_is_help=True,
    add_completion=False,
    help="One closed loop for the ranking models of a work marketplace.",
)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the code an error comes from.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """The options that stand before a command."""


app.command(rich_help_panel="The loop")(demo.demo)
app.command(rich_help_panel="The loop")(release.run)
app.add_typer(releases.app, name="releases", rich_help_panel="Releases")
app.add_typer(canary.app, name="canary", rich_help_panel="Releases")
app.command(rich_help_panel="Releases")(rollback.rollback)
app.command(rich_help_panel="Releases")(history.events)
app.add_typer(experiments.app, name="experiments", rich_help_panel="Releases")
app.command(rich_help_panel="Releases")(scoreboard.scoreboard)
app.command(rich_help_panel="The stack")(stack.up)
app.command(rich_help_panel="The stack")(stack.status)
app.command(rich_help_panel="The stack")(alerts.alerts)
app.add_typer(incidents.app, name="incidents", rich_help_panel="The stack")
app.command(rich_help_panel="The stack")(stack.logs)
app.command(rich_help_panel="The stack")(stack.down)
app.command(rich_help_panel="The stack")(stack.reload)
app.add_typer(slots.app, name="slots", rich_help_panel="The stack")
app.command(rich_help_panel="The stack")(shadow.shadow)
app.command(rich_help_panel="The stack")(crowd.crowd)
app.command(rich_help_panel="Ask the release that serves")(ask.recommend)
app.command(rich_help_panel="Ask the release that serves")(ask.search)
app.command(rich_help_panel="Ask the release that serves")(ask.rank)
app.command(rich_help_panel="Ask the release that serves")(ask.similar)
app.add_typer(tokens.app, name="tokens", rich_help_panel="Who may ask")
app.add_typer(runs.app, name="runs", rich_help_panel="Data and pipelines")
app.add_typer(drift.app, name="drift", rich_help_panel="Data and pipelines")
app.add_typer(data.app, name="data", rich_help_panel="Data and pipelines")
app.add_typer(pipeline.app, name="pipeline", rich_help_panel="Data and pipelines")


def main() -> None:
    """Runs the command line; the entry point of the `rankloop` script."""
    app(prog_name="rankloop")
