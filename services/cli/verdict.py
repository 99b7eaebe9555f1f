"""What was measured and what the gate said, as tables, with the reasons."""

from collections.abc import Mapping
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from rankloop.gate import Row, Verdict
from services.cli.console import out

__all__ = ["show_evaluation", "show_verdict"]

_COLOURS = {"pass": "green", "fail": "red", "not enough evidence": "yellow"}
_OTHERS = 4


def show_evaluation(recorded: Mapping[str, Any], *, every: bool = False) -> None:
    """Prints every system's means, then the verdict.

    Args:
        recorded: what `evaluate` wrote: `systems` and `verdict`.
        every: also the comparisons that only inform.
    """
    primary = recorded["verdict"]["policy"]["metric"]
    systems = recorded["systems"]
    others = [metric for metric in next(iter(systems.values())) if metric != primary][:_OTHERS]
    table = Table("system", f"{primary} (95 % of samples)", *others, title="on the test window", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, means in systems.items():
        shown = [_number(means[metric]["mean"]) if metric in means else "" for metric in others]
        table.add_row(escape(name), _interval(means.get(primary)), *shown)
    out.print(table)
    show_verdict(recorded["verdict"], every=every)


def show_verdict(recorded: Mapping[str, Any], *, every: bool = False) -> None:
    """Prints the comparisons the verdict depends on, then the verdict and its reasons.

    Args:
        recorded: a `Verdict` as plain data.
        every: also the comparisons that only inform.
    """
    verdict = msgspec.convert(recorded, Verdict)
    rows = [row for row in verdict.rows if every or row.binding]
    table = Table("metric", "on", "against", "candidate", "reference", "difference", "says", title="gate", title_justify="left")
    for column in table.columns[3:6]:
        column.justify = "right"
    for row in rows:
        table.add_row(*_cells(row))
    out.print(table)
    out.print(f"verdict: [bold {_COLOURS[verdict.outcome]}]{verdict.outcome}[/]")
    for reason in verdict.reasons:
        out.print(f"  {escape(reason)}", soft_wrap=True)


def _cells(row: Row) -> tuple[str, ...]:
    difference = _number(row.difference, "+.4f")
    if row.lower is not None and row.upper is not None:
        difference += f" ({row.lower:+.4f} to {row.upper:+.4f})"
    says = f"[{_COLOURS[row.outcome]}]{row.outcome}[/]"
    plain = (row.metric, row.slice, row.reference or row.rule, _number(row.candidate_value), _number(row.reference_value))
    return (*map(escape, plain), difference, says)


def _interval(found: Mapping[str, Any] | None) -> str:
    return f"{found['mean']:.4f} ({found['lower']:.4f} to {found['upper']:.4f})" if found else ""


def _number(value: float | None, form: str = ".4f") -> str:
    return "" if value is None else format(value, form)
