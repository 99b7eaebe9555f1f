"""Ends of alerts that nobody told: of one that ends while it is inhibited, or while nobody watches, Alertmanager says nothing."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, Final

import httpx

from rankloop.errors import DataError
from services.control.database import Database, open_incidents
from services.control.incident import AlertKept
from services.control.moments import moment
from services.control.pager import Pager
from services.control.plane import now
from services.control.wire import Alert, Alerts

__all__ = ["Unheard", "ended"]

_LOOK_EVERY: Final = timedelta(seconds=30)
_SETTLED: Final = timedelta(minutes=5)
"""After its start, Alertmanager has heard of all that fires: Prometheus repeats each alert once a minute."""

_SECONDS: Final = 5.0


class Unheard:
    """Compares the alerts of open incidents with those that Alertmanager holds, told or inhibited or silenced.

    Where no Alertmanager answers, nothing is known, and nothing ends.

    Args:
        database: the record.
        pager: is told of ends as by a webhook.
        url: Alertmanager's; empty: there is none to ask.
        clock: the present moment, UTC.
        transport: instead of the network.
    """

    def __init__(
        self,
        database: Database,
        pager: Pager,
        url: str,
        *,
        clock: Callable[[], datetime] = now,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._database, self._pager, self._url, self._clock = database, pager, url, clock
        self._http = httpx.Client(base_url=url, timeout=_SECONDS, transport=transport)
        self._next = clock()

    def tick(self) -> int:
        """Looks, at most every 30 seconds, and only where an alert of an incident fires.

        Returns:
            How many alerts were found to have ended.

        Raises:
            ControlError: the database does not answer.
        """
        at = self._clock()
        if not self._url or at < self._next:
            return 0
        self._next = at + _LOOK_EVERY
        with self._database.read() as session:
            firing = [own for one in open_incidents(session) for own in one.firing()]
        held = self._held(at) if firing else None
        over = [] if held is None else ended(firing, held, at)
        if over:
            self._pager.receive(Alerts(over), who="Alertmanager, asked")
        return len(over)

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()

    def _held(self, at: datetime) -> set[str] | None:
        """Fingerprints of what Alertmanager holds; None where it does not answer, or has only just started."""
        try:
            status: dict[str, Any] = self._http.get("/api/v2/status").raise_for_status().json()
            if at - moment(status["uptime"]) < _SETTLED:
                return None
            return {own["fingerprint"] for own in self._http.get("/api/v2/alerts").raise_for_status().json()}
        except (httpx.HTTPError, ValueError, KeyError, TypeError, DataError):
            return None


def ended(firing: Collection[AlertKept], held: Collection[str], at: datetime) -> list[Alert]:
    """The ends of alerts that are not held any more; of what began just now, nothing is said yet.

    Args:
        firing: alerts of open incidents, as they were heard last.
        held: fingerprints of what Alertmanager holds.
        at: the present moment, UTC.
    """
    return [
        Alert("resolved", own.labels, startsAt=own.since.isoformat(), endsAt=at.isoformat(), fingerprint=own.fingerprint)
        for own in firing
        if own.fingerprint not in held and at - own.since >= _SETTLED
    ]
