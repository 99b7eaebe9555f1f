"""A report of drift in words: what stands above Evidently's charts."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rankloop.drift.report import Cause, ColumnDrift, DriftReport, Performance

__all__ = ["causes_table", "columns_table", "facts", "performance_table", "share"]

_SHOWN: Final = ("js", "psi", "wasserstein")

Table = tuple[list[str], list[list[str]]]
"""Heads of columns, and rows."""


def facts(report: DriftReport) -> list[tuple[str, str]]:
    """What a report is about, name and value."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report.counts.items() if count)
    return [
        ("Verdict", report.verdict),
        ("Finding", report.says),
        ("Surface", report.surface),
        ("Release", report.release_id),
        ("Window", f"{_minute(report.window_from)} to {_minute(report.window_until)} UTC, {report.rows:,} rows"),
        ("Reference", _reference(report)),
        ("Columns", counts or "none compared"),
    ]


def causes_table(causes: tuple[Cause, ...]) -> Table:
    """What is wrong, where and since when; the one with most impact first."""
    heads = ["cause", "where", "impact", "since", "slice", "what happened", "what to do"]
    rows = [[own.cause, own.component, share(own.impact), _minute(own.since), own.slice, own.says, own.command] for own in causes]
    return heads, rows


def columns_table(columns: tuple[ColumnDrift, ...]) -> Table:
    """Every column that was compared; the one with most impact first."""
    heads = [
        "column",
        "verdict",
        "change",
        "impact",
        "importance",
        "js",
        "psi",
        "wasserstein",
        "nulls before",
        "nulls now",
        "says",
    ]
    rows = [
        [
            own.name,
            own.verdict,
            own.change,
            share(own.impact),
            share(own.importance),
            *(_number(own.measures.get(name)) for name in _SHOWN),
            *(share(nulls) for nulls in own.null_share),
            own.says,
        ]
        for own in columns
    ]
    return heads, rows


def performance_table(performance: tuple[Performance, ...]) -> Table:
    """Each metric in the window beside the reference."""
    heads = ["metric", "kind", "window", "reference", "ratio", "95 % interval", "requests", "people", "says"]
    rows = [
        [
            own.metric,
            own.kind,
            _number(own.value),
            _number(own.reference),
            _number(own.ratio),
            " to ".join(_between(own)),
            f"{own.requests:,}",
            f"{own.people:,}",
            own.says,
        ]
        for own in performance
    ]
    return heads, rows


def share(value: float) -> str:
    """A share in percent.

    Example:
        >>> share(0.1234), share(0.0)
        ('12.3 %', '0.0 %')
    """
    return f"{value:.1%}".replace("%", " %")


def _between(own: Performance) -> Iterator[str]:
    if own.lower is not None and own.upper is not None:
        yield from (_number(own.lower), _number(own.upper))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""


def _reference(report: DriftReport) -> str:
    if report.reference_from is None:
        return "none: the release carries no reference"
    return f"{_minute(report.reference_from)} to {_minute(report.reference_until)} UTC, {report.reference_rows:,} rows"
