"""What was measured and what the gate said, as tables, with the reasons."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from rich import box
from rich.markup import escape
from rich.table import Table

from rankloop.gate import Row, Verdict
from services.cli.console import out

__all__ = ["show_evaluation"]

_COLOURS = {"pass": "green", "fail": "red", "not enough evidence": "yellow"}


def show_evaluation(recorded: Mapping[str, Any], *, every: bool = False) -> None:
    """Prints every system's means, the comparisons the verdict depends on, and the verdict with its reasons.

    Args:
        recorded: what `evaluate` wrote: `systems` and `verdict`.
        every: also the comparisons that only inform.
    """
    verdict = msgspec.convert(recorded["verdict"], Verdict)
    out.print(_systems(recorded["systems"], verdict.policy.metric))
    rows = [row for row in verdict.rows if every or row.binding]
    for reference in dict.fromkeys(row.reference for row in rows):
        out.print(_comparisons([row for row in rows if row.reference == reference], reference))
    out.print(f"verdict: [bold {_COLOURS[verdict.outcome]}]{verdict.outcome}[/]")
    for reason in verdict.reasons[: 1 if verdict.outcome == "pass" else None]:
        out.print(f"  {escape(reason)}", soft_wrap=True)


def _systems(systems: Mapping[str, Mapping[str, Any]], primary: str) -> Table:
    """One row a metric, the primary one first; one column a system."""
    metrics = list(dict.fromkeys([primary, *(metric for means in systems.values() for metric in means)]))
    table = _table("on the test window, means with 95 % intervals", ["metric", *systems])
    for metric in metrics:
        table.add_row(escape(metric), *(_interval(means.get(metric)) for means in systems.values()))
    return table


def _comparisons(rows: Sequence[Row], reference: str | None) -> Table:
    head = ["metric", "on", "candidate", reference or "", "difference" if reference else "rule", "says"]
    table = _table(f"the gate, against {reference}" if reference else "the gate, limits", head)
    for row in rows:
        against = _difference(row) if reference else row.rule
        plain = (row.metric, row.slice, _number(row.candidate_value), _number(row.reference_value), against)
        table.add_row(*map(escape, plain), f"[{_COLOURS[row.outcome]}]{row.outcome}[/]")
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=escape(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for place, column in enumerate(columns):
        words = place == 0 or column in ("on", "says", "rule")
        table.add_column(escape(column), justify="left" if words else "right", overflow="fold")
    return table


def _difference(row: Row) -> str:
    interval = f" ({row.lower:+.3f} to {row.upper:+.3f})" if row.lower is not None and row.upper is not None else ""
    return _number(row.difference, "+.4f") + interval


def _interval(found: Mapping[str, Any] | None) -> str:
    return f"{found['mean']:.4f} ({found['lower']:.3f} to {found['upper']:.3f})" if found else ""


def _number(value: float | None, form: str = ".4f") -> str:
    return "" if value is None else format(value, form)
