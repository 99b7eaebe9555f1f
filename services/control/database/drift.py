"""Reports of drift, as the record keeps them."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Select, insert, select
from sqlalchemy.orm import Session

from rankloop.drift.report import DriftReport
from rankloop.errors import Conflict
from services.control.database import tables
from services.control.database.events import record
from services.control.database.rows import all_of, one, one_or_none
from services.control.database.types import utc

__all__ = ["DriftRow", "add_drift_report", "drift_report", "drift_reports", "newest_drift_reports"]


class DriftRow(msgspec.Struct, frozen=True, kw_only=True):
    """One report, with what the record knows of it besides.

    Attributes:
        report_id: its name.
        surface: whose lists.
        release_id: whose reference it was compared with.
        at: when the comparison was made.
        window_from: the window's first moment.
        window_until: its end, itself outside.
        verdict: the report's.
        report: all of it, as JSON has it.
        folder: where its page is kept; empty: nowhere here.
        run_id: the run that made it.
    """

    report_id: str
    surface: str
    release_id: str
    at: datetime
    window_from: datetime
    window_until: datetime
    verdict: str
    report: dict[str, Any]
    folder: str
    run_id: str | None

    def whole(self) -> DriftReport:
        """The report itself."""
        return msgspec.convert(self.report, DriftReport)


def add_drift_report(
    session: Session, report: DriftReport, *, who: str, why: str, folder: str = "", run_id: str | None = None
) -> DriftRow:
    """Keeps a report, with the event that says so; the same report again changes nothing.

    Raises:
        Conflict: another report has its name.
    """
    whole = msgspec.to_builtins(report)
    known = one_or_none(session, DriftRow, _named(report.report_id))
    if known is not None:
        if known.whole() != report:
            raise Conflict(f"there is another drift report {report.report_id!r}; give this one a name of its own")
        return known
    facts = {"surface": report.surface, "release_id": report.release_id, "at": utc(report.at), "verdict": report.verdict}
    window = {"window_from": utc(report.window_from), "window_until": utc(report.window_until)}
    rest = {"report": whole, "folder": folder, "run_id": run_id}
    session.execute(insert(tables.drift_reports).values(report_id=report.report_id, **facts, **window, **rest))
    causes = [f"{cause.cause} {cause.component}" for cause in report.causes]
    told = {name: value for name, value in facts.items() if name != "at"} | {"causes": causes, "run_id": run_id}
    record(session, kind="drift.reported", subject=report.report_id, who=who, why=why, at=report.at, facts=told)
    return drift_report(session, report.report_id)


def drift_report(session: Session, report_id: str) -> DriftRow:
    """One report.

    Raises:
        Missing: there is none of that name.
    """
    return one(session, DriftRow, _named(report_id), f"there is no drift report {report_id!r}; see rankloop drift list")


def drift_reports(
    session: Session,
    *,
    surface: str | None = None,
    verdict: str | None = None,
    before: datetime | None = None,
    limit: int = 100,
) -> list[DriftRow]:
    """Reports, those made last first.

    Args:
        session: of `Database.read` or `Database.begin`.
        surface: only those about it.
        verdict: only those with it.
        before: only those made before this moment: that of the last one of the page before.
        limit: the most a page holds.
    """
    own = tables.drift_reports.c
    query = select(tables.drift_reports).order_by(own.at.desc(), own.report_id.desc()).limit(limit)
    for column, value in ((own.surface, surface), (own.verdict, verdict)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(own.at < utc(before))
    return all_of(session, DriftRow, query)


def newest_drift_reports(session: Session) -> dict[str, DriftReport]:
    """The newest report of each surface, as its series show it."""
    own = tables.drift_reports.c
    surfaces = session.execute(select(own.surface).distinct().order_by(own.surface)).scalars().all()
    return {surface: drift_reports(session, surface=surface, limit=1)[0].whole() for surface in surfaces}


def _named(report_id: str) -> Select[Any]:
    return select(tables.drift_reports).where(tables.drift_reports.c.report_id == report_id)
