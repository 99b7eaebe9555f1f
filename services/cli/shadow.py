"""`rankloop shadow`: what the other release would have answered, as far as the shadow knows."""

from typing import Annotated

import msgspec
import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from services.cli.console import NOT_PASSED, out
from services.settings import Settings
from services.shadow.comparing import METRICS, Example
from services.shadow.reading import QUANTILES, metric_names, quantiles, span
from services.shadow.record import Record, newest, read

__all__ = ["shadow"]


def shadow(
    worst: Annotated[int, typer.Option("--worst", min=0, help="Show so many of the most different pairs of lists.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record's numbers as JSON.")] = False,
) -> None:
    """Show how the other slot's lists differ from those people saw; exit with 3 when nothing was compared."""
    settings = Settings.read()
    file = newest(settings.home / "shadow")
    if file is None:
        out.print("nothing was compared yet: set RANKLOOP_SHADOW_SHARE, and put a release into the other slot", soft_wrap=True)
        raise typer.Exit(NOT_PASSED)
    record = read(file)
    if as_json:
        _print_json(record)
    else:
        from services.shadow.page import write_page  # draws with matplotlib, which takes a second to load

        page = write_page(file)
        _show(record, worst)
        out.print(f"page: [link=file:{page}]{escape(str(page))}[/link]", soft_wrap=True)
    if not record.outcomes.get("compared"):
        raise typer.Exit(NOT_PASSED)


def _print_json(record: Record) -> None:
    kept = ("stable", "other", "began", "updated", "people", "outcomes", "empty", "fallbacks", "summary")
    plain = msgspec.to_builtins(record)
    text = msgspec.json.format(msgspec.json.encode({name: plain[name] for name in kept})).decode()
    out.print(text, markup=False, soft_wrap=True)


def _show(record: Record, worst: int) -> None:
    compared = record.outcomes.get("compared", 0)
    out.print(f"[bold]{escape(record.other)}[/bold] in the shadow of [bold]{escape(record.stable)}[/bold]")
    out.print(f"{compared:,} requests of {record.people:,} people, {span(record)}")
    out.print(_means(record))
    out.print(_times(record))
    others = {name: count for name, count in record.outcomes.items() if name != "compared" and count}
    if others:
        out.print("not compared: " + ", ".join(f"{count:,} {name}" for name, count in sorted(others.items())))
    for example in record.examples[:worst]:
        out.print(_side_by_side(example))


def _means(record: Record) -> Table:
    table = Table("metric", "mean", "interval", "requests", "says", box=box.SIMPLE_HEAD)
    for column in (1, 2, 3):
        table.columns[column].justify = "right"
    for name in metric_names(record):
        one = record.summary[name]
        interval = "" if one.lower is None or one.upper is None else f"{one.lower:.3f} to {one.upper:.3f}"
        mean = "" if one.mean is None else f"{one.mean:.3f}"
        table.add_row(name, mean, interval, f"{one.requests:,}", METRICS[name])
    return table


def _times(record: Record) -> Table:
    table = Table("milliseconds", *QUANTILES, box=box.SIMPLE_HEAD)
    for side, name in (("shown", "list shown: engine, as logged"), ("other", "other list: over HTTP")):
        table.add_row(name, *("" if value is None else f"{value:.1f}" for value in quantiles(record, side).values()))
    return table


def _side_by_side(example: Example) -> Table:
    title = f"{example.query or example.surface}, request {example.request_id}, rank-biased overlap {example.rbo:.3f}"
    table = Table("#", "shown", "other", title=escape(title), title_justify="left", box=box.SIMPLE_HEAD)
    for n in range(max(len(example.shown), len(example.other))):
        sides = [side[n].title or side[n].item_id if n < len(side) else "" for side in (example.shown, example.other)]
        table.add_row(str(n + 1), *map(escape, sides))
    return table
