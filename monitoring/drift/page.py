"""The report of drift as a page and as JSON, by Evidently."""

import os
from pathlib import Path
from typing import Final

os.environ.setdefault("DO_NOT_TRACK", "1")  # read by Evidently when it is imported

import pandas as pd
import polars as pl
from evidently import DataDefinition, Dataset, Report

from monitoring.drift.metrics import Finding, VerdictOn
from rankloop.drift.report import DriftReport
from rankloop.files import write_aside

__all__ = ["EVIDENTLY", "PAGE", "render"]

PAGE: Final = "report.html"
"""The page, for a person; it needs no network."""

EVIDENTLY: Final = "evidently.json"
"""The same in Evidently's JSON: metrics and tests."""

_DRAWN: Final = 60
"""Columns with a chart, those with most impact; all stand in the table."""


def render(report: DriftReport, reference: pl.DataFrame, window: pl.DataFrame, folder: Path) -> Path:
    """Writes a report of drift as Evidently's page and JSON.

    Verdicts, effect sizes and causes are the report's, over all rows; Evidently draws the samples and shows each verdict as the
    status of a test: SUCCESS where stable, FAIL where drifted or broken, SKIPPED where there were not enough rows.

    Args:
        report: what was found.
        reference: a sample of the reference, one column for each of the report's by its name; numbers and strings. Columns of
            different tables may be of different length, ended by nulls.
        window: a sample of the window, likewise.
        folder: takes `report.html` and `evidently.json`; made where it is missing.

    Returns:
        The page's file.
    """
    drawn = report.columns[:_DRAWN]
    metrics = [Finding.of(report), *(VerdictOn.of(own) for own in drawn)]
    names = [own.name for own in drawn if own.name in reference.columns and own.name in window.columns]
    numbers = [name for name in names if reference[name].dtype.is_numeric() and window[name].dtype.is_numeric()]
    kinds = DataDefinition(numerical_columns=numbers, categorical_columns=[name for name in names if name not in numbers])
    current, before = (Dataset.from_pandas(_wide(frame, names, numbers), data_definition=kinds) for frame in (window, reference))
    snapshot = Report(metrics, include_tests=True).run(current, before, timestamp=report.at, name=report.report_id)
    write_aside(folder / EVIDENTLY, snapshot.json())
    return write_aside(folder / PAGE, _harmless(snapshot.get_html_str(as_iframe=False)))


def _harmless(html: str) -> str:
    """The page with its data as data: Evidently writes texts into a script as they are, and a logged one may hold an end tag."""
    start = html.index("<script>\n    var metric_") + len("<script>")
    end = html.index("</script>\n    </head>", start)  # JSON holds no line break, so no text can look like this
    return html[:start] + html[start:end].replace("<", "\\u003c") + html[end:]


def _wide(frame: pl.DataFrame, names: list[str], numbers: list[str]) -> pd.DataFrame:
    columns = {
        name: frame[name].cast(pl.Float64).to_numpy() if name in numbers else frame[name].cast(pl.String).to_list()
        for name in names
    }
    return pd.DataFrame(columns, index=range(frame.height))
