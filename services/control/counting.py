"""The control plane's series, brought up to date from the record after each round of the loop."""

from typing import Final

from sqlalchemy import func, select

from monitoring.metrics import ControlMetrics
from services.control.controller import Status
from services.control.database import Database, Session, active_canary, desired, events, run, tables

__all__ = ["Counting"]

_PAGE: Final = 1000
_BUCKETS: Final = 10_000


class Counting:
    """Counts what came into the record since this process began; the loop that put it there may be another's.

    Args:
        database: the record.
        metrics: what is brought up to date.
    """

    def __init__(self, database: Database, metrics: ControlMetrics) -> None:
        self._database, self._metrics = database, metrics
        with database.read() as session:
            self._event = session.execute(select(func.max(tables.events.c.id))).scalar() or 0
            self._step = session.execute(select(func.max(tables.observations.c.number))).scalar() or 0

    def update(self, status: Status) -> None:
        """Brings every series up to date.

        Args:
            status: of this process.

        Raises:
            ControlError: the database does not answer; everything stays as it was.
        """
        with self._database.read() as session:
            self._stands(session)
            self._count_decisions(session)
            self._count_runs(session)
        self._metrics.leader.set(status.leads)
        if status.last_tick is not None:
            self._metrics.tick.set(status.last_tick.timestamp())
        self._metrics.faults.clear()
        for part in status.faults:
            self._metrics.faults.labels(part).set(1)

    def _stands(self, session: Session) -> None:
        canary, wanted = active_canary(session), desired(session)
        self._metrics.canary.clear()
        if canary is not None:
            self._metrics.canary.labels(canary.release_id, canary.status).set(1)
        self._metrics.canary_share.set(wanted.canary_bp / _BUCKETS)

    def _count_decisions(self, session: Session) -> None:
        own = tables.observations.c
        fresh = select(own.number, own.decision).where(own.number > self._step).order_by(own.number).limit(_PAGE)
        for number, decision in session.execute(fresh):
            self._metrics.decisions.labels(decision.get("action", "none")).inc()
            self._step = number

    def _count_runs(self, session: Session) -> None:
        for event in events(session, after=self._event, limit=_PAGE):
            noun, _, state = event.kind.partition(".")
            if noun == "run" and state != "changed":
                own = run(session, event.subject)
                self._metrics.runs.labels(own.surface, own.order.get("pipeline", "release"), state).inc()
            self._event = event.id
