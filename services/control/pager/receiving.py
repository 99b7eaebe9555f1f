"""Alerts as Alertmanager sends them, grouped by cause: what an incident is made of."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from rankloop.errors import DataError
from services.control.incident import AlertKept, Severity
from services.control.moments import moment
from services.control.wire import Alert

__all__ = ["SEVERITIES", "Heard", "by_cause", "fingerprint", "kept"]

SEVERITIES: Final[tuple[Severity, ...]] = ("page", "ticket", "info")
"""The worst first."""

_LONGEST: Final = 2000


class Heard(NamedTuple):
    """All alerts of one cause in one webhook.

    Attributes:
        fingerprint: of cause, surface and component.
        cause: what is wrong; the alert's name where no label says.
        surface: the product place, or `all`.
        component: where; the label `job` where no label says, else nothing.
        alerts: as they are now.
        sent: as Alertmanager sent them.
    """

    fingerprint: str
    cause: str
    surface: str
    component: str
    alerts: Sequence[AlertKept]
    sent: Sequence[Alert]


def fingerprint(cause: str, surface: str, component: str) -> str:
    """What names a cause: SHA-256, 64 hexadecimal digits.

    Example:
        >>> fingerprint("error-burst", "all", "edge")[:12]
        '7728451c4038'
        >>> fingerprint("a", "b c", "") == fingerprint("a", "b", "c")
        False
    """
    return hashlib.sha256("\0".join((cause, surface, component)).encode()).hexdigest()


def by_cause(alerts: Iterable[Alert], now: datetime) -> list[Heard]:
    """The alerts by cause, in the order in which the causes come.

    Args:
        alerts: of a webhook.
        now: the present moment, UTC; no alert began after it.
    """
    groups: dict[tuple[str, str, str], list[Alert]] = {}
    for alert in alerts:
        labels = alert.labels
        cause = labels.get("cause") or labels.get("alertname") or "unnamed"
        key = (cause, labels.get("surface") or "all", labels.get("component") or labels.get("job") or "")
        groups.setdefault(key, []).append(alert)
    return [Heard(fingerprint(*key), *key, [kept(one, now) for one in own], own) for key, own in groups.items()]


def kept(alert: Alert, now: datetime) -> AlertKept:
    """What is kept of an alert; a time that is none is the present one, so that no alert is lost for it."""
    said, labels = alert.annotations, alert.labels
    since = min(_moment(alert.startsAt) or now, now)
    severity: Severity = next((own for own in SEVERITIES if own == labels.get("severity")), "ticket")
    return AlertKept(
        fingerprint=alert.fingerprint or hashlib.sha256(repr(sorted(labels.items())).encode()).hexdigest()[:16],
        name=labels.get("alertname", "unnamed"),
        status=alert.status,
        severity=severity,
        since=since,
        until=max(since, min(_moment(alert.endsAt) or now, now)) if alert.status == "resolved" else None,
        summary=said.get("summary", "")[:_LONGEST],
        description=said.get("description", "")[:_LONGEST],
        runbook_url=said.get("runbook_url", "")[:_LONGEST],
        dashboard_url=said.get("dashboard_url", "")[:_LONGEST],
        command=said.get("command", "")[:_LONGEST],
        generator_url=alert.generatorURL[:_LONGEST],
        labels=labels,
    )


def _moment(text: str | None) -> datetime | None:
    """A time of the webhook; None where it says none: Alertmanager's for "not yet" lies in the year 1."""
    if not text:
        return None
    try:
        found = moment(text)
    except DataError:
        return None
    return found if found > datetime(1970, 1, 1, tzinfo=UTC) else None
