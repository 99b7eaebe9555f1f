"""Reports of drift: kept, listed, shown, with their pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from rankloop.drift.report import DriftReport
from rankloop.errors import Missing
from services.control.database import Database, database_url, open_database
from services.control.database.drift import DriftRow, add_drift_report, drift_report, drift_reports
from services.control.wire_drift import DriftList, DriftShown
from services.settings import Settings

__all__ = ["Drift"]

_PAGE: Final = "report.html"


class Drift:
    """The record's reports of drift.

    Args:
        database: the record.
        settings: the home folder, below which pages lie.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._pages = database, settings.home.resolve() / "drift"

    @classmethod
    @contextmanager
    def open(cls, settings: Settings) -> "Iterator[Drift]":
        """Those of the record that the settings name."""
        with open_database(database_url(settings)) as database:
            yield cls(database, settings)

    def add(self, report: DriftReport, *, who: str, why: str = "", run_id: str | None = None) -> DriftShown:
        """Keeps a report; the same one again changes nothing.

        Raises:
            Conflict: another report has its name.
        """
        folder = self._pages / report.report_id
        place = str(folder) if (folder / _PAGE).is_file() else ""
        said = why.strip() or report.says or f"a watch over {report.surface}: {report.verdict}"
        with self._database.begin() as session:
            return self._shown(add_drift_report(session, report, who=who, why=said, folder=place, run_id=run_id))

    def reports(
        self,
        *,
        surface: str | None = None,
        verdict: str | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> DriftList:
        """Reports, those made last first."""
        with self._database.read() as session:
            found = drift_reports(session, surface=surface, verdict=verdict, before=before, limit=limit)
        return DriftList([self._shown(own) for own in found], found[-1].at if len(found) == limit else None)

    def report(self, report_id: str) -> DriftReport:
        """One report, whole.

        Raises:
            Missing: there is none of that name.
        """
        with self._database.read() as session:
            return drift_report(session, report_id).whole()

    def page(self, report_id: str) -> Path:
        """The file of a report's page.

        Raises:
            Missing: there is no such report, or its page is not kept here.
        """
        with self._database.read() as session:
            file = self._file(drift_report(session, report_id))
        if file is None:
            raise Missing(
                f"the page of drift report {report_id!r} is not kept here; the report itself is at /v1/drift/{report_id}"
            )
        return file

    def _file(self, own: DriftRow) -> Path | None:
        """Only what lies below the home folder's `drift` is shown, whatever the record or a link says."""
        file = (self._pages / own.report_id / _PAGE).resolve()
        return file if file.is_relative_to(self._pages) and file.is_file() else None

    def _shown(self, own: DriftRow) -> DriftShown:
        whole = own.whole()
        given = {name: getattr(own, name) for name in ("report_id", "surface", "release_id", "at", "verdict", "run_id")}
        return DriftShown(
            **given,
            window_from=own.window_from,
            window_until=own.window_until,
            rows=whole.rows,
            causes=[f"{cause.cause} {cause.component}" for cause in whole.causes],
            says=whole.says,
            page=f"/v1/drift/{own.report_id}/report" if self._file(own) else None,
        )
