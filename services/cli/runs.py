"""`rankloop runs ...`: runs of the pipelines, one after the other for each surface, and what starts them by itself."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from pipelines.events import PIPELINES
from rankloop.errors import ControlError
from services.cli.console import NOT_PASSED, myself, out
from services.cli.controlled import AsJson, Why, control, print_json
from services.cli.following import follow_log, follow_run
from services.cli.given import Mapping, Source, given
from services.cli.release import Recipe, Set, policy_from, recipe_from
from services.cli.runs_shown import minute, show_end, show_run, table_of
from services.control.client import ControlClient
from services.control.wire import Why as Because
from services.control.wire_runs import (
    NewRun,
    NewSchedule,
    Removed,
    RunList,
    RunOrderGiven,
    RunShown,
    ScheduleList,
    ScheduleShown,
)

__all__ = ["app"]

app = typer.Typer(help="Runs of the pipelines, and what starts them by itself.", invoke_without_command=True)

Run = Annotated[str, typer.Argument(help="A run; `rankloop runs` lists them.")]
Data = Annotated[str, typer.Argument(help="The log's file or folder.")]
Surface = Annotated[str, typer.Option("--surface", help="The product place it is for: job_feed, job_search or talent_search.")]
Alone = Annotated[bool, typer.Option("--no-champion", help="Compare with the popular baseline alone, as for a first release.")]
AtOnce = Annotated[bool, typer.Option("--at-once", help="Let the release serve everybody, without a canary.")]
Policy = Annotated[
    Path | None,
    typer.Option(
        "--policy", help="A YAML file with fields of the canary's policy, or of the drift policy.", exists=True, dir_okay=False
    ),
]
Pipeline = Annotated[str, typer.Option("--pipeline", help="What to run: release, or drift_watch.")]
Hours = Annotated[float, typer.Option("--hours", min=0.1, help="The length of the window that a drift watch looks at.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Show each step as it ends, until the run has ended.")]


@app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_runs()


@app.command("list")
def list_runs(
    surface: Annotated[str, typer.Option("--surface", help="Only this product place's.")] = "",
    state: Annotated[str, typer.Option("--state", help="Only those queued, running, succeeded, failed, cancelled or lost.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the runs, those asked for last first."""
    with control() as client:
        found = client.get("/v1/runs", RunList, surface=surface or None, state=state or None, limit=limit)
    if as_json:
        print_json(found)
    elif found.runs:
        out.print(table_of(found.runs))
    else:
        out.print(f"there is no such run; start one with {myself()} runs start DATA")


@app.command()
def start(
    path: Data,
    source: Source = "",
    mapping: Mapping = "",
    recipe: Recipe = None,
    fields: Set = None,
    alone: Alone = False,
    at_once: AtOnce = False,
    policy: Policy = None,
    pipeline: Pipeline = "release",
    hours: Hours = 24.0,
    surface: Surface = "job_feed",
    follow: Follow = False,
    why: Why = "started at a terminal",
) -> None:
    """Queue a run; it starts when no other of its pipeline and surface is under way. The same order is not queued twice."""
    chosen, rules = recipe_from(recipe, fields or []), policy_from(policy, pipeline)
    order = RunOrderGiven(*given(path, source, mapping), chosen, alone, at_once, rules, _known(pipeline), hours)
    with control() as client:
        run = client.send("POST", "/v1/runs", NewRun(order, why, surface), RunShown)  # type: ignore[arg-type]
        _begun(client, run, follow=follow)


@app.command()
def show(run: Run, follow: Follow = False, as_json: AsJson = False) -> None:
    """Show one run and its steps as they are now."""
    with control() as client:
        if follow:
            _followed(client, run)
            return
        found = client.get(_address(run), RunShown)
    if as_json:
        print_json(found)
    else:
        show_run(found)


@app.command()
def log(
    run: Run,
    step: Annotated[str, typer.Argument(help="Only this step's lines.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
) -> None:
    """Print what a run wrote; of one step, or of all."""
    with control() as client:
        follow_log(client, run, step or "all", until_end=follow)


@app.command()
def cancel(run: Run, why: Why = "cancelled at a terminal") -> None:
    """Take a run out of the queue, or end it with every process it started."""
    with control() as client:
        client.send("POST", f"{_address(run)}/cancel", Because(why), RunShown)
    out.print(
        f"run [bold]{escape(run)}[/bold] is cancelled; go on with it by {myself()} runs retry {escape(run)}", soft_wrap=True
    )


@app.command()
def retry(run: Run, follow: Follow = False, why: Why = "retried at a terminal") -> None:
    """Queue a run that goes on from the step at which another one stopped."""
    with control() as client:
        again = client.send("POST", f"{_address(run)}/retry", Because(why), RunShown)
        _begun(client, again, follow=follow)


@app.command()
def schedule(
    name: Annotated[str, typer.Argument(help="What to call it; one of this name is replaced.")],
    path: Data,
    cron: Annotated[str, typer.Option("--cron", help="When, in UTC: minute hour day month weekday, such as '30 2 * * *'.")] = "",
    watch: Annotated[str, typer.Option("--watch", help="Start when new data has come here and has settled.")] = "",
    source: Source = "",
    mapping: Mapping = "",
    recipe: Recipe = None,
    fields: Set = None,
    alone: Alone = False,
    at_once: AtOnce = False,
    policy: Policy = None,
    pipeline: Pipeline = "release",
    hours: Hours = 24.0,
    surface: Surface = "job_feed",
    off: Annotated[bool, typer.Option("--off", help="Keep it, and start nothing.")] = False,
    why: Why = "scheduled at a terminal",
) -> None:
    """Start runs by themselves: at a time, or when new data came."""
    chosen, rules = recipe_from(recipe, fields or []), policy_from(policy, pipeline)
    order = RunOrderGiven(*given(path, source, mapping), chosen, alone, at_once, rules, _known(pipeline), hours)
    body = NewSchedule(order, why, surface, cron or None, watch or None, not off)  # type: ignore[arg-type]
    with control() as client:
        made = client.send("PUT", f"/v1/schedules/{_part(name)}", body, ScheduleShown)
    due = f"due next at {minute(made.next_at)} UTC" if made.cron else f"looks at {made.watch}"
    out.print(f"schedule [bold]{escape(name)}[/bold]: {escape(due) if made.enabled else 'off'}", soft_wrap=True)


@app.command()
def schedules(as_json: AsJson = False) -> None:
    """List what starts runs by itself."""
    with control() as client:
        found = client.get("/v1/schedules", ScheduleList)
    if as_json:
        print_json(found)
        return
    if not found.schedules:
        out.print(f"nothing starts runs by itself; make a schedule with {myself()} runs schedule NAME DATA --cron ...")
        return
    table = Table("schedule", "surface", "when", "data", "next (UTC)", "last (UTC)", box=box.SIMPLE_HEAD)
    for own in found.schedules:
        when = own.cron or f"new data at {own.watch}"
        following = minute(own.next_at) if own.enabled else "off"
        cells = (own.name, own.surface, when, str(own.order.get("path", "")), following, minute(own.last_at))
        table.add_row(*map(escape, cells))
    out.print(table)


@app.command()
def unschedule(name: Annotated[str, typer.Argument(help="Which; `rankloop runs schedules` lists them.")]) -> None:
    """Remove a schedule; runs that it started go on."""
    with control() as client:
        client.send("DELETE", f"/v1/schedules/{_part(name)}", None, Removed)
    out.print(f"schedule {escape(name)} is removed")


def _known(pipeline: str) -> Any:
    if pipeline not in PIPELINES:
        raise ControlError(f"there is no pipeline {pipeline!r}; give one of {', '.join(PIPELINES)}")
    return pipeline


def _begun(client: ControlClient, run: RunShown, *, follow: bool) -> None:
    out.print(f"run [bold]{escape(run.run_id)}[/bold] is {run.state}", soft_wrap=True)
    if follow:
        _followed(client, run.run_id)
    else:
        out.print(f"watch it with {myself()} runs show {escape(run.run_id)} --follow", soft_wrap=True)


def _followed(client: ControlClient, run_id: str) -> None:
    """Shows a run to its end.

    Raises:
        typer.Exit: with 1 where it did not succeed, with 3 where the gate did not pass, or a watch saw drift.
    """
    show_end(ended := follow_run(client, run_id))
    if ended.state != "succeeded":
        raise typer.Exit(1)
    passed = ended.verdict not in ("drifted", "broken") if ended.pipeline == "drift_watch" else ended.verdict == "pass"
    if ended.release_id is None and not passed:
        raise typer.Exit(NOT_PASSED)


def _address(run_id: str) -> str:
    return f"/v1/runs/{_part(run_id)}"


def _part(name: str) -> str:
    return quote(name, safe="")
