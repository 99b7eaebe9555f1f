"""`rankloop canary ...`: a release tried beside the one that serves, and what the numbers say of it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.live import Live

from rankloop.errors import ControlError, Unavailable
from services.cli.console import NOT_PASSED, err, myself, out
from services.cli.controlled import AsJson, Why, control, print_json, reading
from services.cli.release import policy_from
from services.cli.watching import drawn, line
from services.control.client import ControlClient
from services.control.wire import CanaryShown

__all__ = ["app", "watched"]

app = typer.Typer(help="Try a release beside the one that serves; statistics decide.", invoke_without_command=True)

Canary = Annotated[str, typer.Argument(metavar="[ID]", help="A canary; without it the one under way.")]
_POLL_SECONDS: Final = 1.0


@app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        show()


@app.command()
def show(canary: Canary = "", as_json: AsJson = False) -> None:
    """Show a canary: its share, its state, and the evidence of the newest decision; without an id the newest one."""
    with reading() as record:
        found = record.canary(canary or _newest(record.canaries().canaries).canary_id)
    if as_json:
        print_json(found)
    else:
        out.print(drawn(found))


@app.command("list")
def list_canaries(as_json: AsJson = False) -> None:
    """List the canaries, the newest first."""
    from services.cli.watching import table_of

    with reading() as record:
        found = record.canaries()
    if as_json:
        print_json(found)
    else:
        out.print(table_of(found.canaries) if found.canaries else "there was no canary yet")


@app.command()
def start(
    release: Annotated[str, typer.Argument(help="A release that is registered; `rankloop releases` lists them.")],
    policy: Annotated[
        Path | None, typer.Option("--policy", help="A YAML file with fields of the policy.", exists=True, dir_okay=False)
    ] = None,
    why: Why = "started at a terminal, no reason was given",
    force: Annotated[str, typer.Option("--force", help="Why the gate's verdict is passed over.")] = "",
    follow: Annotated[bool, typer.Option("--watch", help="Then watch it until it ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try a release beside the one that serves; the policy says in which steps and what ends it."""
    with control() as client:
        found = client.start_canary(release, policy_from(policy), why=why, force=force)
        if follow:
            _exit(watched(client, found.canary_id))
    _say(found, as_json)


@app.command()
def watch(canary: Canary = "") -> None:
    """Watch a canary until it ends; exits with 0 when it was promoted, with 3 when it was not.

    Without an id it is the newest one. Ctrl-C only ends the watching.
    """
    with control() as client:
        _exit(watched(client, canary or _newest(client.canaries().canaries).canary_id))


@app.command()
def pause(canary: Canary = "", why: Why = "paused at a terminal, no reason was given", as_json: AsJson = False) -> None:
    """Hold a canary's share where it is until it is resumed; guardrails go on."""
    _act(canary, "pause", why, as_json)


@app.command()
def resume(canary: Canary = "", why: Why = "resumed at a terminal, no reason was given", as_json: AsJson = False) -> None:
    """Let a paused canary go on."""
    _act(canary, "resume", why, as_json)


@app.command()
def promote(canary: Canary = "", why: Why = "promoted at a terminal, no reason was given", as_json: AsJson = False) -> None:
    """Make a canary's release serve everybody now, whatever the evidence."""
    _act(canary, "promote", why, as_json)


@app.command()
def abort(canary: Canary = "", why: Why = "aborted at a terminal, no reason was given", as_json: AsJson = False) -> None:
    """End a canary; the stable release has everybody from the next request on."""
    _act(canary, "abort", why, as_json)


def _act(canary: str, act: str, why: str, as_json: bool) -> None:
    with control() as client:
        _say(client.change_canary(canary or _under_way(client), act, why=why), as_json)


def _say(found: CanaryShown, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    out.print(f"canary {found.canary_id} of {found.release_id}: {found.status}, {found.weight_bp / 100:g} % of the units")
    if found.ended_at is None:
        out.print(f"[dim]watch it with {myself()} canary watch[/dim]")


def _newest(canaries: list[CanaryShown]) -> CanaryShown:
    if not canaries:
        raise ControlError(f"there was no canary yet; start one with {myself()} canary start RELEASE")
    return canaries[0]


def _under_way(client: ControlClient) -> str:
    own = next((one for one in client.canaries().canaries if one.ended_at is None), None)
    if own is None:
        raise ControlError(f"no canary is under way; start one with {myself()} canary start RELEASE, or name one that ended")
    return own.canary_id


def _exit(ended: CanaryShown) -> NoReturn:
    raise typer.Exit(0 if ended.status == "promoted" else NOT_PASSED)


def watched(client: ControlClient, canary_id: str, *, each: Callable[[], None] = lambda: None) -> CanaryShown:
    """Draws a canary until it ends: in a terminal in place, elsewhere one line for each change.

    Args:
        client: of the control plane.
        canary_id: which.
        each: called before each look; what it raises ends the watching.
    """
    found = client.canary(canary_id)
    if out.is_terminal:
        with Live(drawn(found), console=out, auto_refresh=False) as live:
            while found.ended_at is None:
                time.sleep(_POLL_SECONDS)
                each()
                found = _asked(client, found)
                live.update(drawn(found), refresh=True)
    else:
        said = ""
        while True:
            if (now := line(found)) != said:
                out.print(now, soft_wrap=True, markup=False)
                said = now
            if found.ended_at is not None:
                break
            time.sleep(_POLL_SECONDS)
            each()
            found = _asked(client, found)
    return found


def _asked(client: ControlClient, before: CanaryShown) -> CanaryShown:
    """The canary now; as it was where the control plane does not answer just now, since another may take over."""
    try:
        return client.canary(before.canary_id)
    except Unavailable as error:
        err.print(f"[yellow]{error}[/yellow]", soft_wrap=True)
        return before
