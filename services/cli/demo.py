"""`rankloop demo`: the whole loop, from a log to a ranked list over HTTP."""

import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer
from rich.markup import escape
from rich.rule import Rule

from rankloop.files import write_json
from services import stack
from services.cli.api import call
from services.cli.ask import show_list
from services.cli.console import NOT_PASSED, in_words, myself, out
from services.cli.given import Given, Mapping, Source, given
from services.cli.release import Set, recipe_from, run_on, show_end
from services.cli.stack import say, show_urls
from services.cli.tried import FIRST, POLICY, serves, tried
from services.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from pipelines.launch import RunResult
    from services.stack import StackStatus

__all__ = ["demo"]

_FILE: Final = "demo.json"
_SHOWN: Final = 10


class Step(NamedTuple):
    """What a part of the demo cost.

    Attributes:
        name: the pipeline's step, or `simulate`, `up` and `first release` before it, and `canaries` after it.
        state: `done`, `cached`, `skipped` or `failed`.
        seconds: wall time.
        peak_mb: largest resident memory, MiB; of `up` the sum over the stack's processes once they answer.
    """

    name: str
    state: str
    seconds: float
    peak_mb: float


@dataclass
class Record:
    """What `demo.json` holds."""

    data: Given
    steps: list[Step] = field(default_factory=list)
    canaries: list[dict[str, str]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def write(self, home: Path, result: "RunResult", now: "StackStatus") -> Path:
        """Writes the file, aside first and then renamed."""
        record: dict[str, Any] = {
            "data": self.data._asdict(),
            "seconds": time.monotonic() - self.started,
            "steps": [step._asdict() for step in self.steps],
            "canaries": self.canaries,
            "run_id": result.run_id,
            "verdict": result.verdict,
            "release_id": result.release_id,
            "report": str(result.report),
            "urls": now.urls,
        }
        return write_json(home / _FILE, record)


def demo(
    data: Annotated[str, typer.Option("--data", help="Your log.  [default: a simulated marketplace]", show_default=False)] = "",
    source: Source = "",
    mapping: Mapping = "",
    impressions: Annotated[int, typer.Option("--impressions", help="Size of the simulated marketplace.")] = 200_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the simulated marketplace.")] = 7,
    fields: Set = None,
    canary: Annotated[
        bool, typer.Option("--canary/--no-canary", help="Try the release before a simulated crowd, then a bad one.")
    ] = True,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Leave the stack up at the end.")] = True,
) -> None:
    """Run the whole loop: a log, features, tuned models, the gate, a canary before a crowd, and a ranked list over HTTP.

    Writes what each step cost to demo.json in the home folder. Exits with 3 when the gate does not pass.
    """
    settings, recipe = Settings.read(), recipe_from(None, fields or [])
    settings.home.mkdir(parents=True, exist_ok=True)
    record = _with_data(settings, data, source, mapping, impressions, seed)
    try:
        _up(settings, record)
        crowd = canary and not data
        if crowd:
            _first(settings, record, recipe)
        out.print(Rule("the release pipeline"))
        result = run_on(record.data, recipe, settings, at_once=not crowd, policy=POLICY if crowd else None)
        record.steps += [Step(step.name, step.state, step.seconds, step.peak_mb) for step in result.steps]
        _show_gate(result)
        if crowd and result.state == "canary":
            _tried(settings, record)
        now = stack.status(settings)
        _show_lists(result, now, record)
        out.print(
            f"{in_words(time.monotonic() - record.started)} in all; what each step cost is in "
            f"{escape(str(record.write(settings.home, result, now)))}",
            soft_wrap=True,
        )
    finally:
        if not keep:
            stack.down(settings, say=say)
    if keep:
        out.print(f"stop it with: [bold]{myself()} down[/bold]")
    if result.release_id is None:
        raise typer.Exit(NOT_PASSED)


def _with_data(settings: Settings, data: str, source: str, mapping: str, impressions: int, seed: int) -> Record:
    """Finds the log, or simulates one."""
    if data:
        return Record(given(data, source, mapping))
    from services.cli.simulated import make

    folder = settings.home / "data" / f"simulated-{impressions}-{seed}"
    record = Record(Given("contract", str(folder.resolve()), ""))
    begin = time.monotonic()
    fresh = make(folder, impressions=impressions, seed=seed)
    record.steps.append(Step("simulate", "done" if fresh else "cached", time.monotonic() - begin, _own_peak_mb()))
    out.print(f"[green]✓[/green] a simulated marketplace of {impressions:,} impressions, {in_words(record.steps[-1].seconds)}")
    return record


def _up(settings: Settings, record: Record) -> None:
    begin = time.monotonic()
    now = stack.up(settings, say=say)
    seconds = time.monotonic() - begin
    record.steps.append(Step("up", "done", seconds, sum(one.memory_mb for one in now.processes)))
    out.print(f"[green]✓[/green] the stack is up, {in_words(seconds)}")


def _first(settings: Settings, record: Record, recipe: dict[str, Any]) -> None:
    """A simple release serves, so that there is something to compare the next one with."""
    if serves(settings):
        return
    out.print(Rule("a first, simple release"))
    begin = time.monotonic()
    result = run_on(record.data, recipe | FIRST, settings, alone=True, at_once=True)
    show_end(result)
    record.steps.append(Step("first release", "done", time.monotonic() - begin, max(step.peak_mb for step in result.steps)))


def _tried(settings: Settings, record: Record) -> None:
    begin = time.monotonic()
    record.canaries = [{"release_id": own.release_id, "status": own.status} for own in tried(settings, Path(record.data.path))]
    record.steps.append(Step("canaries", "done", time.monotonic() - begin, _own_peak_mb()))


def _show_gate(result: "RunResult") -> None:
    from services.cli.verdict import show_evaluation

    out.print(Rule("the gate"))
    show_evaluation(result.evaluation)
    show_end(result)


def _show_lists(result: "RunResult", now: "StackStatus", record: Record) -> None:
    if now.release_id is None:
        return
    if result.release_id is None:
        out.print(f"the release before it, [bold]{now.release_id}[/bold], still serves")
    out.print(Rule("a ranked list over HTTP"))
    user, query = _example(record.data)
    url = now.urls["service"]
    show_list(call(url, "/v1/recommend", {"user_id": user, "k": _SHOWN}), f"for {user}")
    show_list(call(url, "/v1/search", {"query": query, "user_id": user, "k": _SHOWN}), f"for {query!r} by {user}")
    show_urls(now)
    for line in (f"{myself()} recommend --user {user}", f'{myself()} search "{query}"'):
        out.print(f"  ask again: {escape(line)}", soft_wrap=True)


def _example(data: Given) -> tuple[str, str]:
    """The person with the most outcomes, and what that person searched for; else the commonest query, or title."""
    import polars as pl

    from rankloop import sources
    from rankloop.contracts import Columns

    frames = sources.read(data.source, data.path, mapping=data.mapping or None)
    shown = frames["impressions"].unique(Columns.REQUEST_ID, keep="first", maintain_order=True)
    user = _commonest(frames["outcomes"][Columns.USER_ID])
    own = shown.filter(pl.col(Columns.USER_ID).cast(pl.String) == user)
    for searches in (own, shown):
        if Columns.QUERY in searches.columns and searches[Columns.QUERY].drop_nulls().len():
            return user, _commonest(searches[Columns.QUERY])
    item = _commonest(frames["outcomes"][Columns.ITEM_ID])
    titles = frames["items"].filter(pl.col(Columns.ITEM_ID).cast(pl.String) == item)[Columns.TITLE]
    return user, str(titles[0]).lower()


def _commonest(values: "pl.Series") -> str:
    counted = values.drop_nulls().value_counts()
    return str(counted.sort("count", counted.columns[0], descending=[True, False])[0, 0])


def _own_peak_mb() -> float:
    """Of this process so far; the simulation is the only large thing in it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
