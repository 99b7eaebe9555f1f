"""The newest report of drift of each surface, as series; the columns and causes with the most impact alone."""

from collections.abc import Iterable, Mapping
from typing import Final

from monitoring.metrics import SHOWN_CAUSES, SHOWN_COLUMNS, ControlMetrics
from rankloop.drift import ColumnDrift, DriftReport
from services.control.counting.drawing import Drawing

__all__ = ["DriftSeries"]

_MEASURES: Final = ("psi", "js")
_CHANGED: Final = ("broken", "drifted")


class DriftSeries:
    """What the newest reports found.

    Args:
        metrics: what is brought up to date.
    """

    def __init__(self, metrics: ControlMetrics) -> None:
        self._at, self._columns, self._scores = map(Drawing, (metrics.drift_at, metrics.drift_columns, metrics.drift_scores))
        self._nulls, self._causes = Drawing(metrics.null_shares), Drawing(metrics.causes)
        self._performance = Drawing(metrics.performance)

    def show(self, reports: Mapping[str, DriftReport]) -> None:
        """Shows the newest report of each surface, and nothing of the ones before."""
        shown = {surface: _foremost(report.columns) for surface, report in reports.items()}
        self._at.draw({(surface,): report.at.timestamp() for surface, report in reports.items()})
        self._columns.draw(
            {(surface, verdict): count for surface, report in reports.items() for verdict, count in report.counts.items()}
        )
        self._scores.draw(
            {
                (surface, column.name, measure): column.measures[measure]
                for surface, columns in shown.items()
                for column in columns
                for measure in _MEASURES
                if measure in column.measures
            }
        )
        self._nulls.draw({(surface, column.name): column.null_share[1] for surface, own in shown.items() for column in own})
        self._causes.draw(
            {
                (surface, cause.cause, cause.component, report.release_id): cause.impact
                for surface, report in reports.items()
                for cause in sorted(report.causes, key=lambda cause: -cause.impact)[:SHOWN_CAUSES]
            }
        )
        self._performance.draw(
            {
                (surface, found.metric, found.kind): found.ratio
                for surface, report in reports.items()
                for found in report.performance
                if found.ratio is not None
            }
        )


def _foremost(columns: Iterable[ColumnDrift]) -> list[ColumnDrift]:
    """Changed columns before the others, each by impact."""
    return sorted(columns, key=lambda column: (column.verdict not in _CHANGED, -column.impact, column.name))[:SHOWN_COLUMNS]
