"""How two releases differ, as a terminal shows it."""

from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich import box
from rich.markup import escape
from rich.table import Table

from services.cli.console import out

if TYPE_CHECKING:
    from services.control.comparing import Example, Models, Rankings, ReleaseDiff

__all__ = ["show_diff"]

_MOST: Final = 12
_WIDE: Final = 60


def show_diff(differences: dict[str, Any]) -> None:
    """Prints what differs, part by part; parts that are alike are one line."""
    from services.control.comparing import ReleaseDiff

    found = msgspec.convert(differences, ReleaseDiff)
    out.print(f"[bold]{escape(found.after)}[/bold] beside [bold]{escape(found.before)}[/bold]")
    _show_models(found.models)
    _show_features(found)
    _show_importance(found)
    _show_metrics(found)
    _show_lineage(found)
    files = found.files
    out.print(
        f"files: {len(files.changed)} changed, {len(files.added)} added, {len(files.removed)} removed, {files.same} the same"
    )
    if found.rankings is not None:
        _show_rankings(found.rankings)


def _show_models(models: "Models") -> None:
    said = [f"+ {name}" for name in models.retrievers_added] + [f"− {name}" for name in models.retrievers_removed]
    said += [f"{line.name}: {line.before} → {line.after}" for line in models.lines]
    said += ["the retrievers stand in another order"] if models.reordered else []
    said += [f"fitted anew: {', '.join(models.refitted)}"] if models.refitted else []
    _said("models", said)


def _show_features(found: "ReleaseDiff") -> None:
    own = found.features
    said = [f"+ {name}" for name in own.added] + [f"− {name}" for name in own.removed]
    said += [f"defined otherwise: {name}" for name in own.views_changed]
    _said(f"features ({own.kept} in both)", said)


def _show_importance(found: "ReleaseDiff") -> None:
    moved = sorted(found.importance, key=lambda own: -abs((own.after or 0.0) - (own.before or 0.0)))[:_MOST]
    if not moved:
        return
    table = _table("share of the gain", "before", "after", "rank before", "rank after")
    for own in moved:
        ranks = ("" if rank is None else str(rank) for rank in (own.rank_before, own.rank_after))
        table.add_row(escape(own.feature), _share(own.before), _share(own.after), *ranks)
    out.print(table)


def _show_metrics(found: "ReleaseDiff") -> None:
    table = _table("offline metric", "before", "after", "difference", "interval, 95 %")
    for own in found.metrics:
        interval = "" if own.lower is None or own.upper is None else f"{own.lower:+.4f} to {own.upper:+.4f}"
        difference = "" if own.difference is None else f"{own.difference:+.4f}"
        table.add_row(escape(own.metric), _value(own.before), _value(own.after), difference, interval)
    out.print(table)
    if not all(own.paired for own in found.metrics):
        out.print("[dim]without an interval: each was measured on its own test window, which is part of the difference[/dim]")


def _show_lineage(found: "ReleaseDiff") -> None:
    if not found.lineage:
        out.print("lineage: the same")
        return
    table = Table("lineage", "before", "after", box=box.SIMPLE_HEAD)
    for own in found.lineage:
        table.add_row(escape(own.name), *(escape(_short(side)) for side in (own.before, own.after)))
    out.print(table)


def _show_rankings(found: "Rankings") -> None:
    empty = f"{found.empty_before} and {found.empty_after} answered with nothing"
    out.print(f"rankings: {found.same:,} of {found.requests:,} requests get the same list; {empty}")
    table = _table("over requests", "mean", "interval, 95 %", "requests", "people")
    for name, own in found.metrics.items():
        interval = "" if own.lower is None or own.upper is None else f"{own.lower:.3f} to {own.upper:.3f}"
        mean = "" if own.mean is None else f"{own.mean:.3f}"
        table.add_row(escape(name), mean, interval, f"{own.requests:,}", f"{own.people:,}")
    out.print(table)
    items = found.items
    out.print(
        f"items shown: {items.both:,} by both, {items.before:,} by the one before alone, {items.after:,} by the one after alone"
    )
    for example in found.worst[:1]:
        out.print(_side_by_side(example))


def _side_by_side(example: "Example") -> Table:
    title = escape(f"least alike: {example.query or example.surface}, rank-biased overlap {example.rbo:.3f}")
    table = Table("#", "before", "after", title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for n in range(max(len(example.before), len(example.after))):
        sides = [side[n].title or side[n].item_id if n < len(side) else "" for side in (example.before, example.after)]
        table.add_row(str(n + 1), *map(escape, sides))
    return table


def _said(part: str, said: list[str]) -> None:
    if not said:
        out.print(f"{part}: the same")
        return
    out.print(f"{part}:")
    for one in said:
        out.print(f"  {escape(one)}")


def _table(*columns: str) -> Table:
    table = Table(*columns, box=box.SIMPLE_HEAD)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _value(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _short(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= _WIDE else f"{text[:_WIDE]}…"
