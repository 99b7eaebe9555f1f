"""The control plane's series, brought up to date from the record after each round of the loop."""

import re
from typing import Final

from sqlalchemy import func, select

from monitoring.metrics import ControlMetrics
from services.control.controller import Status
from services.control.counting.drawing import Drawing
from services.control.counting.drifting import DriftSeries
from services.control.counting.paging import PagingSeries
from services.control.counting.running import RunSeries, Steps
from services.control.counting.serving import ServingSeries
from services.control.database import Database, Session, events, tables
from services.control.database.drift import newest_drift_reports

__all__ = ["Counting"]

_PAGE: Final = 1000
_RUN: Final = re.compile(r"\brun \S+")


class Counting:
    """Counts what came into the record since this process began; the loop that put it there may be another's.

    Args:
        database: the record.
        metrics: what is brought up to date.
        steps: a run's steps, by its name.
    """

    def __init__(self, database: Database, metrics: ControlMetrics, steps: Steps) -> None:
        self._database, self._metrics = database, metrics
        self._faults, self._runs, self._drift = Drawing(metrics.faults), RunSeries(metrics, steps), DriftSeries(metrics)
        with database.read() as session:
            self._event = session.execute(select(func.max(tables.events.c.id))).scalar() or 0
            self._serving, self._paging = ServingSeries(metrics, session), PagingSeries(metrics, session)
        self._drifted = True

    def update(self, status: Status) -> None:
        """Brings every series up to date.

        Args:
            status: of this process.

        Raises:
            ControlError: the database does not answer; everything stays as it was.
        """
        with self._database.read() as session:
            self._serving.update(session)
            self._follow(session)
            newest = self._runs.update(session)
            self._paging.update(session)
            if self._drifted:
                self._drift.show(newest_drift_reports(session))
                self._drifted = False
        self._runs.show_steps(newest)
        self._metrics.leader.set(status.leads)
        if status.last_tick is not None:
            self._metrics.tick.set(status.last_tick.timestamp())
        self._faults.draw({(_RUN.sub("a run", part),): 1 for part in status.faults})

    def _follow(self, session: Session) -> None:
        """What happened since the last look."""
        for event in events(session, after=self._event, limit=_PAGE):
            self._runs.count(session, event)
            self._drifted |= event.kind == "drift.reported"
            self._event = event.id
