"""Evidently metrics whose verdicts are ours: it draws the sample and shows the tests, and decides nothing.

Evidently's own tests would judge the sample by other measures, so a person would read two verdicts on one column.
"""

from typing import Final

from evidently._pydantic_compat import PrivateAttr
from evidently.core.datasets import Dataset, DatasetColumn
from evidently.core.metric_types import (
    ColumnMetric,
    MetricTestResult,
    SingleValue,
    SingleValueCalculation,
    SingleValueMetric,
)
from evidently.core.report import Context
from evidently.legacy.model.widget import BaseWidgetInfo
from evidently.legacy.renderers.html_widgets import CounterData, counter, table_data
from evidently.legacy.tests.base_test import TestStatus
from evidently.metrics.column_statistics import distribution

from monitoring.drift.words import causes_table, columns_table, facts, performance_table, share
from rankloop.drift.report import ColumnDrift, DriftReport, Verdict

__all__ = ["STATUS", "Finding", "VerdictOn"]

STATUS: Final[dict[Verdict, TestStatus]] = {
    "stable": TestStatus.SUCCESS,
    "drifted": TestStatus.FAIL,
    "broken": TestStatus.FAIL,
    "not enough rows": TestStatus.SKIPPED,
}
"""Each verdict as the status of an Evidently test."""


class Finding(SingleValueMetric):
    """The report's causes, performance and columns, as tables; its value is the number of causes."""

    verdict: str
    """The report's."""
    _report: DriftReport = PrivateAttr()

    @classmethod
    def of(cls, report: DriftReport) -> "Finding":
        """The finding of a report."""
        own = cls(verdict=report.verdict)
        own._report = report
        return own


class FindingCalculation(SingleValueCalculation[Finding]):
    """Shows a finding; it measures nothing."""

    def calculate(self, context: Context, current_data: Dataset, reference_data: Dataset | None) -> SingleValue:
        """The tables."""
        report = self.metric._report
        result = self.result(len(report.causes))
        tables = {"Causes": causes_table(report.causes), "Performance": performance_table(report.performance)}
        tables["Columns, the one with most impact first"] = columns_table(report.columns)
        result.widget = [
            table_data(title="Drift report", column_names=["", ""], data=[list(fact) for fact in facts(report)]),
            *(table_data(title=title, column_names=heads, data=rows) for title, (heads, rows) in tables.items() if rows),
        ]
        return result

    def display_name(self) -> str:
        """In words."""
        return "Causes of drift"


class VerdictOn(ColumnMetric, SingleValueMetric):
    """One column: our effect size and verdict over all rows, above Evidently's chart of the sample."""

    verdict: str
    """The column's."""
    change: str
    """What kind of change it is."""
    _drift: ColumnDrift = PrivateAttr()

    @classmethod
    def of(cls, drift: ColumnDrift) -> "VerdictOn":
        """The verdict on a column."""
        own = cls(column=drift.name, verdict=drift.verdict, change=drift.change)
        own._drift = drift
        return own


class VerdictOnCalculation(SingleValueCalculation[VerdictOn]):
    """Shows a verdict; it decides nothing."""

    def calculate(self, context: Context, current_data: Dataset, reference_data: Dataset | None) -> SingleValue:
        """The value is the Jensen-Shannon distance over all rows."""
        own = self.metric._drift
        result = self.result(own.measures.get("js", 0.0))
        result.widget = [_head(own), *_chart(own, current_data, reference_data)]
        test = MetricTestResult(
            id="verdict",
            name=f"{own.name}: {own.verdict}",
            description=own.says or own.verdict,
            status=STATUS[own.verdict],
            metric_config=self.to_metric_config(),
            test_config={"verdict": own.verdict, "change": own.change, "measures": own.measures},
        )
        result.set_tests([test])
        return result

    def display_name(self) -> str:
        """In words."""
        return f"Drift of {self.metric.column}"


def _head(own: ColumnDrift) -> BaseWidgetInfo:
    measures = ", ".join(f"{name} {value:.3f}" for name, value in own.measures.items())
    before, now = map(share, own.null_share)
    rows = f"{own.reference_rows:,} rows before, {own.window_rows:,} now; without a value {before} and {now}"
    label = own.says or (f"change: {own.change}" if own.change else own.verdict)
    figures = [CounterData(label, own.verdict), CounterData(rows, measures or "not measured")]
    return counter(counters=figures, title=f"{own.name}, impact {share(own.impact)}")


def _chart(own: ColumnDrift, current: Dataset, reference: Dataset | None) -> list[BaseWidgetInfo]:
    """Both samples, where both have a value to draw."""
    drawn = [_values(dataset, own.name) for dataset in (current, reference)]
    if any(column is None for column in drawn):
        return []
    return distribution(f"{own.name}, a sample of both", *drawn)  # type: ignore[arg-type]


def _values(dataset: Dataset | None, name: str) -> DatasetColumn | None:
    if dataset is None or name not in dataset.as_dataframe().columns:
        return None
    column = dataset.column(name)
    data = column.data.dropna()
    return DatasetColumn(column.type, data) if len(data) else None
