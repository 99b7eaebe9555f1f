"""A shadow's record, as the terminal shows it."""

import msgspec
from rich import box
from rich.markup import escape
from rich.table import Table

from services.cli.console import out
from services.shadow.comparing import METRICS, Example
from services.shadow.reading import QUANTILES, metric_names, quantiles, span
from services.shadow.record import Record

__all__ = ["print_record", "show_record"]


def print_record(record: Record) -> None:
    kept = ("stable", "other", "began", "updated", "people", "outcomes", "empty", "fallbacks", "summary")
    plain = msgspec.to_builtins(record)
    text = msgspec.json.format(msgspec.json.encode({name: plain[name] for name in kept})).decode()
    out.print(text, markup=False, soft_wrap=True)


def show_record(record: Record, worst: int) -> None:
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
