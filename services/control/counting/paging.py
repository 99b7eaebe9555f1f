"""Incidents and notices as series."""

from monitoring.metrics import ControlMetrics
from services.control.counting.drawing import Drawing
from services.control.database import Session
from services.control.database.incidents import incident_counts
from services.control.database.notices import notice_counts

__all__ = ["PagingSeries"]


class PagingSeries:
    """Open incidents, and notices that came to an end since this was made.

    Args:
        metrics: what is brought up to date.
        session: of the record.
    """

    def __init__(self, metrics: ControlMetrics, session: Session) -> None:
        self._metrics, self._incidents = metrics, Drawing(metrics.incidents)
        self._before = notice_counts(session)

    def update(self, session: Session) -> None:
        """Brings them up to date."""
        self._incidents.draw({labels: float(count) for labels, count in incident_counts(session).items()})
        now = notice_counts(session)
        for labels, count in now.items():
            # one that was dropped may have been sent after all, so that a count of before can fall
            if (more := count - self._before.get(labels, 0)) > 0:
                self._metrics.notices.labels(*labels).inc(more)
        self._before = now
