"""Incidents as answers and pages have them: read only."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from sqlalchemy import select

from rankloop.drift.report import DriftReport
from rankloop.errors import Missing
from services.control.database import Database, Event, Incident, Notice, events, incident, incidents, notices, tables
from services.control.pager.writing import links_of
from services.control.plane import now
from services.control.wire import EventShown
from services.control.wire_incidents import IncidentList, IncidentShown, NoticeShown
from services.settings import Settings

if TYPE_CHECKING:
    from services.control.pager.charting import Charts

__all__ = ["Incidents"]

_HEAVY: Final = ("alerts", "context", "timeline", "notices")
_T = TypeVar("_T")


class Incidents:
    """What the record holds of incidents.

    Args:
        database: the record.
        settings: where dashboards and docs are shown, and where Prometheus answers.
        clock: the present moment, UTC.
    """

    def __init__(self, database: Database, settings: Settings, *, clock: Callable[[], datetime] = now) -> None:
        self._database, self._settings, self._clock = database, settings, clock

    def incidents(self, *, limit: int = 100, **chosen: Any) -> IncidentList:
        """Incidents, the newest first, without what makes them long."""
        with self._database.read() as session:
            found = incidents(session, limit=limit, **chosen)
        following: datetime | None = found[-1].opened_at if len(found) == limit else None
        return IncidentList([_shown(own) for own in found], following)

    def incident(self, incident_id: str) -> IncidentShown:
        """One incident, with its alerts, what was found out, its timeline and its messages.

        Raises:
            Missing: there is none of that name.
        """
        own, timeline, sent = self.whole(incident_id)
        shown = _shown(own)
        shown.alerts, shown.context = own.alerts, own.context
        shown.timeline = [_as(EventShown, one) for one in timeline]
        shown.notices = [_as(NoticeShown, one) for one in sent]
        return shown

    def page(self, incident_id: str) -> str:
        """An incident's page, HTML, with the charts that Prometheus has.

        Raises:
            Missing: there is none of that name.
        """
        from services.control.pager.page import incident_page  # matplotlib is loaded for a page alone

        at, shown = self._clock(), self.incident(incident_id)
        own, _, _ = self.whole(incident_id)
        return incident_page(shown, self._charts(shown, at), at=at, links=links_of(own, self._settings), drift=self._drift(own))

    def chart(self, incident_id: str, name: str, *, dark: bool = False) -> bytes:
        """One chart of an incident as PNG, for mail and chat.

        Raises:
            Missing: there is no such incident or chart, or Prometheus has no value for it.
        """
        from monitoring.charts import chart_png  # matplotlib is loaded for a picture alone

        charts = self._charts(self.incident(incident_id), self._clock(), only=name)
        drawn = chart_png(charts.drawn[0], dark=dark) if charts.drawn else None
        if drawn is None:
            raise Missing(f"chart {name} of {incident_id} cannot be drawn: {' '.join(charts.missing)}")
        return drawn

    def _charts(self, shown: IncidentShown, at: datetime, *, only: str = "") -> "Charts":
        from services.control.pager.charting import charts_of

        url = self._settings.prometheus_url or f"http://127.0.0.1:{self._settings.prometheus_port}"
        return charts_of(shown, url, at.timestamp(), scrape_seconds=self._settings.scrape_seconds, only=only)

    def _drift(self, own: Incident) -> DriftReport | None:
        """The report of drift that an incident's context was found in; None where it was not, or is gone."""
        if not own.context.drift_report:
            return None
        with self._database.read() as session:
            found = select(tables.drift_reports.c.report).where(tables.drift_reports.c.report_id == own.context.drift_report)
            row = session.execute(found).first()
        return msgspec.convert(row.report, DriftReport) if row else None

    def whole(self, incident_id: str) -> tuple[Incident, list[Event], list[Notice]]:
        """One incident, its events and its messages, the oldest first.

        Raises:
            Missing: there is none of that name.
        """
        with self._database.read() as session:
            own = incident(session, incident_id)
            return own, events(session, subject=incident_id, after=0, limit=1000), notices(session, incident_id)


def _shown(own: Incident) -> IncidentShown:
    return IncidentShown(**{name: getattr(own, name) for name in IncidentShown.__struct_fields__ if name not in _HEAVY})


def _as(kind: type[_T], own: Any) -> _T:
    return msgspec.convert(own, kind, from_attributes=True)
