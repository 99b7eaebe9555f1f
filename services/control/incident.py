"""What is kept of an incident: its alerts, and what was found out about it."""

from datetime import datetime
from typing import Literal

import msgspec

__all__ = ["Act", "AlertKept", "Change", "Context", "Example", "IncidentStatus", "Severity"]

Severity = Literal["page", "ticket", "info"]
IncidentStatus = Literal["firing", "acknowledged", "quiet", "resolved"]


class AlertKept(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of an incident, as it was heard last.

    Attributes:
        fingerprint: names it.
        name: its `alertname`.
        status: firing or resolved.
        severity: page, ticket or info.
        since: when it began to fire, UTC.
        until: when it ended; None: it fires.
        summary: what broke, in one line.
        description: the numbers.
        runbook_url: where it is explained.
        dashboard_url: where it is seen.
        command: the one that mends it, or looks further.
        generator_url: the rule, in Prometheus.
        labels: all of them.
    """

    fingerprint: str
    name: str
    status: Literal["firing", "resolved"]
    severity: Severity
    since: datetime
    until: datetime | None = None
    summary: str = ""
    description: str = ""
    runbook_url: str = ""
    dashboard_url: str = ""
    command: str = ""
    generator_url: str = ""
    labels: dict[str, str] = {}


class Change(msgspec.Struct, frozen=True):
    """Something that was changed shortly before an incident.

    Attributes:
        at: when, UTC.
        kind: as the history has it, such as `release.served`.
        subject: what was changed.
        who: by whom.
        why: in their words.
    """

    at: datetime
    kind: str
    subject: str
    who: str
    why: str


class Example(msgspec.Struct, frozen=True):
    """A request to look at.

    Attributes:
        request_id: names it in every log.
        at: when it was answered, UTC.
        release_id: what answered.
        says: what is remarkable about it.
    """

    request_id: str
    at: datetime
    release_id: str
    says: str


class Act(msgspec.Struct, frozen=True):
    """What the control plane did of itself about an incident.

    Attributes:
        at: when, UTC.
        act: `run` or `roll back`.
        said: what came of it.
    """

    at: datetime
    act: str
    said: str


class Context(msgspec.Struct, kw_only=True):
    """What was found out about an incident.

    Attributes:
        serving: the release that served everybody when it began; empty: none.
        serving_since: since when it does; None: not known.
        released: how lately it began to serve, where that was shortly before; empty: it was not.
        changes: what was changed in the hours before, the newest first.
        slice: the worst one; empty: none is known.
        upstream: raw columns that changed, `table.column`.
        drift: the cause in the newest drift report that matches, in a sentence; empty: none.
        drift_report: that report's id.
        examples: requests to look at.
        command: the one to run first.
        because: why that one.
        acts: what was done about it without a person.
        missing: what could not be looked up, in sentences.
    """

    serving: str = ""
    serving_since: datetime | None = None
    released: str = ""
    changes: list[Change] = []
    slice: str = ""
    upstream: list[str] = []
    drift: str = ""
    drift_report: str = ""
    examples: list[Example] = []
    command: str = ""
    because: str = ""
    acts: list[Act] = []
    missing: list[str] = []
