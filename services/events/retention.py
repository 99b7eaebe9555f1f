"""Deletes hours of the log that are over their time."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from monitoring.metrics import CuratorMetrics
from rankloop.sources.log_layout import hour_of
from services.events.uploading import LogPlace

__all__ = ["Retention"]

_HOUR: Final = timedelta(hours=1)


class Retention:
    """Keeps each table for its days, in every place.

    Args:
        days: table to days.
        places: where the log lies.
        metrics: of the curator.
    """

    def __init__(self, days: Mapping[str, int], places: Iterable[LogPlace], metrics: CuratorMetrics) -> None:
        self._days, self._places, self._metrics = days, tuple(places), metrics

    def step(self, now: datetime | None = None) -> None:
        """Deletes every hour that ended longer ago than its table's days."""
        moment = now or datetime.now(UTC)
        for table, days in self._days.items():
            for place in self._places:
                self._delete(place, table, moment - timedelta(days=days))

    def _delete(self, place: LogPlace, table: str, until: datetime) -> None:
        hours = {file.rpartition("/")[0] for file in place.files(table) if _ended(f"/{file}", until)}
        for hour in sorted(hours):
            place.remove(hour)
            place.remove_if_empty(hour.rpartition("/")[0])
            self._metrics.deleted_partitions.labels(table).inc()


def _ended(file: str, until: datetime) -> bool:
    hour = hour_of(file)
    return hour is not None and hour + _HOUR <= until
