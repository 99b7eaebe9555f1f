"""From compared columns to a report: performance, causes, one sentence. The whole of the step `explain_drift`."""

import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from rankloop.bundle import Manifest
from rankloop.contracts import Columns, Tables
from rankloop.drift.causes import Context, causes, ranked
from rankloop.drift.lineage import lineage
from rankloop.drift.performance import Period, measured
from rankloop.drift.report import DriftReport, Performance, Verdict, verdict_of
from rankloop.features import load_views
from rankloop.ranking import RANKERS
from rankloop.watch.comparing import Compared
from rankloop.watch.vectors import with_vectors

__all__ = ["explain", "name_of_report"]


def explain(compared: Compared, tables: Tables, bundle: Path, *, report_id: str, at: datetime) -> DriftReport:
    """The report of a comparison.

    Args:
        compared: what `compare_window` found.
        tables: the contract tables, for what came of the lists.
        bundle: the release's folder: how much its ranker leans on each feature, and what each is made of.
        report_id: what the report is called.
        at: when the comparison was made, UTC.
    """
    record = compared.record
    facts: dict[str, Any] = {
        "report_id": report_id,
        "surface": record.surface,
        "release_id": record.release_id,
        "at": at,
        "window_from": record.since,
        "window_until": record.until,
        "reference_from": record.reference_from,
        "reference_until": record.reference_until,
        "rows": sum(record.rows.values()),
        "reference_rows": sum(record.reference_rows.values()),
    }
    if record.reference_from is None:
        says = f"no reference: {record.release_id} was packed without one, so nothing can be said; the next release has one"
        return DriftReport(**facts, verdict="not enough rows", says=says)
    context = _context(compared, tables, bundle, report_id)
    found = causes(record.columns, context)
    columns = ranked(record.columns, context)
    verdict = verdict_of(columns, found)
    return DriftReport(
        **facts,
        columns=columns,
        causes=found,
        performance=tuple(context.performance),
        verdict=verdict,
        says=found[0].says if found else _quiet(verdict, record.rows),
    )


def name_of_report(at: datetime) -> str:
    """A report's name, which sorts by time and is no other's.

    Example:
        >>> from datetime import UTC
        >>> name_of_report(datetime(2026, 11, 17, 14, 5, tzinfo=UTC))[:22]
        'drift-20261117-140500-'
    """
    return f"drift-{at:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def _context(compared: Compared, tables: Tables, bundle: Path, report_id: str) -> Context:
    manifest = Manifest.read(bundle)
    ranker = RANKERS[manifest.ranker].load(bundle / "ranker")
    return Context(
        importance=ranker.importance(),
        lineage=with_vectors(lineage(load_views(bundle / "features" / "views"), manifest.retrievers)),
        performance=(*_measured(compared, tables), *compared.record.estimates),
        slices=compared.record.slices,
        parts=[(part.at, part.columns) for part in compared.record.parts],
        report_id=report_id,
    )


def _measured(compared: Compared, tables: Tables) -> tuple[Performance, ...]:
    record = compared.record
    assert record.reference_from is not None
    assert record.reference_until is not None
    shown = tables.impressions.filter(pl.col(Columns.SURFACE) == record.surface)
    then, window = Period(record.reference_from, record.reference_until), Period(record.since, record.until)
    return measured(shown, tables.outcomes, reference=then, window=window, now=record.until)


def _quiet(verdict: Verdict, rows: dict[str, int]) -> str:
    """What is said where nothing is wrong, or nothing can be said."""
    counted = ", ".join(f"{count:,} {name}" for name, count in rows.items())
    if verdict == "not enough rows":
        return f"not enough rows to judge any column: {counted}; widen the window with --hours"
    return f"nothing that matters changed: {counted}"
