"""How alerts become an incident, and how the next ones change it; pure, so that a webhook heard twice changes nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from services.control.database import Incident
from services.control.incident import AlertKept, IncidentStatus, Severity
from services.control.pager.receiving import SEVERITIES

__all__ = ["Turn", "described", "merged", "release_of", "standing", "turned"]


class Turn(NamedTuple):
    """How an incident changes.

    Attributes:
        kind: of its event.
        why: a sentence.
        fields: of the incident that change.
    """

    kind: str
    why: str
    fields: dict[str, Any]


def merged(known: Sequence[AlertKept], heard: Sequence[AlertKept]) -> list[AlertKept]:
    """The alerts of an incident after a webhook: each as it was heard last; one that ended unknown stays unknown.

    What an alert says is kept from when it began; numbers in its sentences change with every repetition.
    """
    after = {own.fingerprint: own for own in known}
    for one in heard:
        old = after.get(one.fingerprint)
        if one.status == "resolved":
            if old is not None and old.status == "firing":
                after[one.fingerprint] = msgspec.structs.replace(old, status="resolved", until=one.until)
        elif old is None or (old.status, old.severity, old.since) != ("firing", one.severity, one.since):
            after[one.fingerprint] = one
    return list(after.values())


def described(alerts: Sequence[AlertKept]) -> dict[str, Any]:
    """What an incident says of itself by its alerts: severity, title, owner and release.

    Of alerts that fire, else of all. The title is the worst one's summary.
    """
    firing = [own for own in alerts if own.status == "firing"] or list(alerts)
    worst = min(firing, key=lambda own: (SEVERITIES.index(own.severity), own.since, own.fingerprint))
    severity: Severity = worst.severity
    release = next((own for one in (worst, *firing) if (own := release_of(one)) != "none"), "none")
    title = worst.summary or f"{worst.name} fires"
    return {"severity": severity, "title": title, "owner": worst.labels.get("owner", ""), "release_id": release}


def release_of(alert: AlertKept) -> str:
    """The release that an alert names; `none` where it names none."""
    return alert.labels.get("release") or alert.labels.get("release_id") or "none"


def turned(known: Incident, heard: Sequence[AlertKept], now: datetime) -> Turn | None:
    """How a webhook changes an open incident; None where it says nothing new.

    Args:
        known: the incident.
        heard: alerts of its cause.
        now: the present moment, UTC.
    """
    after = merged(known.alerts, heard)
    if after == known.alerts:
        return None
    before = {own.fingerprint for own in known.firing()}
    firing = {own.fingerprint: own for own in after if own.status == "firing"}
    said = described(after) if firing else {}
    worse = bool(said) and SEVERITIES.index(said["severity"]) < SEVERITIES.index(known.severity)
    if not worse:
        said = {name: own for name, own in said.items() if name not in ("title", "owner")}
    fields: dict[str, Any] = {"alerts": after, "quiet_since": None if firing else known.quiet_since or now, **said}
    fields["status"] = standing(msgspec.structs.replace(known, quiet_since=fields["quiet_since"]))
    fields["since"] = min([known.since, *(own.since for own in firing.values())])
    new = sorted({own.name for key, own in firing.items() if key not in before})
    if not firing:
        return Turn("quieted", "nothing fires any more", fields)
    if known.quiet_since is not None:
        return Turn("fired_again", f"{', '.join(new)} fires again, before the incident ended", fields)
    if worse:
        return Turn("worsened", f"{', '.join(new) or 'it'} makes it a {said['severity']}", fields)
    if new:
        return Turn("joined", f"{', '.join(new)} fires for the same cause", fields)
    ended = sorted({own.name for own in known.firing() if own.fingerprint not in firing})
    return Turn(
        "eased", f"{', '.join(ended)} ended; {len(firing)} of {len(after)} alerts fire" if ended else "an alert changed", fields
    )


def standing(known: Incident) -> IncidentStatus:
    """Where an incident stands by its own moments."""
    if known.resolved_at is not None:
        return "resolved"
    if known.quiet_since is not None:
        return "quiet"
    return "firing" if known.acknowledged_at is None else "acknowledged"
