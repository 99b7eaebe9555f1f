"""`rankloop run`: the release pipeline on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.markup import escape

from rankloop.errors import SettingsError
from services import stack
from services.cli.console import NOT_PASSED, in_words, myself, out
from services.cli.given import Given, Mapping, Source, given
from services.cli.stack import say
from services.settings import Settings

if TYPE_CHECKING:
    from pipelines.launch import RunResult

__all__ = ["Recipe", "Set", "policy_from", "recipe_from", "run", "run_on", "show_end"]

Recipe = Annotated[
    Path | None, typer.Option("--recipe", help="A YAML file with fields of the recipe.", exists=True, dir_okay=False)
]
Set = Annotated[list[str] | None, typer.Option("--set", help="One field of the recipe, such as trials=4; may be repeated.")]


def run(
    path: Annotated[str, typer.Argument(help="The log's file or folder.")],
    source: Source = "",
    mapping: Mapping = "",
    recipe: Recipe = None,
    fields: Set = None,
    alone: Annotated[
        bool, typer.Option("--no-champion", help="Compare with the popular baseline alone, as for a first release.")
    ] = False,
    at_once: Annotated[bool, typer.Option("--at-once", help="Let the release serve everybody, without a canary.")] = False,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="A YAML file with fields of the canary's policy.", exists=True, dir_okay=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show also the comparisons that only inform.")] = False,
) -> None:
    """Run the release pipeline on a log: validate, train, tune, evaluate, gate, package, deploy.

    Starts the stack where it is not up. Exits with 3 when the gate does not pass.
    """
    from services.cli.verdict import show_evaluation

    settings, data, chosen = Settings.read(), given(path, source, mapping), recipe_from(recipe, fields or [])
    rules = policy_from(policy)
    stack.up(settings, say=say)
    result = run_on(data, chosen, settings, alone=alone, at_once=at_once, policy=rules)
    show_evaluation(result.evaluation, every=every)
    show_end(result)
    if result.release_id is None:
        raise typer.Exit(NOT_PASSED)


def run_on(
    data: Given,
    recipe: dict[str, Any],
    settings: Settings,
    *,
    alone: bool = False,
    at_once: bool = False,
    policy: dict[str, Any] | None = None,
) -> "RunResult":
    """Runs the pipeline with the stack that is up, and shows each step as it ends."""
    from pipelines.launch import Order, run_release
    from services.cli.progress import Steps

    order = Order(
        **data._asdict(),
        recipe=recipe,
        control_api=settings.control_url,
        ray_address=settings.ray_address,
        alone=alone,
        at_once=at_once,
        policy=policy,
    )
    with Steps() as steps:
        return run_release(order, settings.home, steps.take)


def show_end(result: "RunResult") -> None:
    """Prints what came of a run."""
    ends = {
        "serving": f"release [bold]{result.release_id}[/bold] serves",
        "canary": f"release [bold]{result.release_id}[/bold] is a canary; follow it with {myself()} canary watch",
        "rolled back": f"release [bold]{result.release_id}[/bold] was rolled back before",
        "": "nothing was released",
    }
    what = ends[result.state]
    out.print(f"{what}; {in_words(result.seconds)}; report: {escape(str(result.report))}", soft_wrap=True)


def policy_from(file: Path | None, pipeline: str = "release") -> dict[str, Any]:
    """The fields of a canary's policy, or of the drift policy for a drift watch, checked; none without a file.

    Raises:
        SettingsError: a field that is none, or a value that cannot work.
    """
    if file is None:
        return {}
    from rankloop.canary import Policy
    from rankloop.drift import DriftPolicy
    from rankloop.fields import read_fields

    kind, what = (DriftPolicy, "drift policy") if pipeline == "drift_watch" else (Policy, "canary policy")
    found = read_fields(file, what)
    kind.of(found)
    return found


def recipe_from(file: Path | None, fields: list[str]) -> dict[str, Any]:
    """The fields of a recipe, checked: those of a YAML file, then those given one by one.

    Raises:
        SettingsError: a field that is none, a value of the wrong type, or no `name=value`.
    """
    from rankloop.recipe import Recipe as Checked

    found: Any = yaml.safe_load(file.read_text(encoding="utf-8")) if file else {}
    if not isinstance(found, dict):
        raise SettingsError(f"{file} holds {type(found).__name__}, not fields; write one `name: value` a line")
    for text in fields:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"--set {text!r} has no '='; write it as name=value, such as trials=4")
        found[name.strip()] = yaml.safe_load(value)
    Checked.from_mapping(found)
    return found
