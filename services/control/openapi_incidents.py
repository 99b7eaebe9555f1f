"""The routes about incidents, as the OpenAPI document has them."""

from typing import Any, Final

from msgspec import Struct

from rankloop.contracts import SURFACES
from services.auth import Scope
from services.control import wire, wire_incidents
from services.control.describing import LIMIT, MOMENT, changes, in_path, in_query, shows
from services.control.incident import Context
from services.control.moments import moment
from services.openapi import Operation

__all__ = ["INCIDENTS"]

_AT: Final = moment("2026-11-17 02:05")
_ID: Final = "inc-20261117-020500-3fa9c1"
_LABELS: Final = {
    "alertname": "EdgeErrors",
    "severity": "page",
    "cause": "error-burst",
    "component": "edge",
    "surface": "job_feed",
    "release": "r20260304-a67b2c06",
}
_ALERTS: Final = wire.Alerts(
    [wire.Alert("firing", _LABELS, {"summary": "job_feed answers 14 % with errors"}, "2026-11-17T02:05:00Z", None, "5f2c")]
)
_SHOWN: Final = wire_incidents.IncidentShown(
    incident_id=_ID,
    cause="error-burst",
    component="edge",
    surface="job_feed",
    release_id="r20260304-a67b2c06",
    owner="platform",
    severity="page",
    title="job_feed answers 14 % with errors",
    status="acknowledged",
    since=_AT,
    opened_at=_AT,
    changed_at=_AT,
    acknowledged_at=_AT,
    acknowledged_by="ada",
    fingerprint="5f2c",
    context=Context(command='rankloop rollback --why "error-burst since 02:05 UTC"'),
)
_STATUSES: Final = ["open", "firing", "acknowledged", "quiet", "resolved"]
_CHOSEN: Final = (
    in_query("status", {"type": "string", "enum": _STATUSES}, "Only those that stand there; `open`: those that go on."),
    in_query("surface", {"type": "string", "enum": [*SURFACES, "all"]}, "Only those of it."),
    in_query("before", MOMENT, "Only those opened before this moment: the `next` of the answer before."),
    LIMIT,
)
_WHY: Final = wire.Why("I look at it")


def _does(act: str, summary: str, body: type[Struct], asks: Struct, name: str) -> Operation:
    more: dict[str, Any] = {"parameters": in_path("incident_id"), "problems": {404: "There is no such incident."}}
    path = f"/v1/incidents/{{incident_id}}/{act}"
    return changes(path, summary, wire_incidents.IncidentShown, body, name, asks, _SHOWN, **more)


INCIDENTS: Final[tuple[Operation, ...]] = (
    changes(
        "/v1/alerts",
        "Takes Alertmanager's webhook: alerts become incidents, one for each cause, and what the policy allows is done.",
        wire_incidents.AlertsTaken,
        wire.Alerts,
        "alerts",
        asks=_ALERTS,
        answers=wire_incidents.AlertsTaken([], "", [wire_incidents.StillGoing(_ID, "firing")]),
    ),
    shows("/v1/incidents", "Incidents, the newest first.", wire_incidents.IncidentList, "incidents", parameters=_CHOSEN),
    shows(
        "/v1/incidents/{incident_id}",
        "One incident: its alerts, what was found out, its timeline and its messages.",
        wire_incidents.IncidentShown,
        "incident",
        parameters=in_path("incident_id"),
    ),
    _does("acknowledge", "Says that somebody has it.", wire.Why, _WHY, "acknowledge_incident"),
    _does(
        "silence",
        "Tells nobody anything about it for a while; 0 seconds end that.",
        wire_incidents.Silence,
        wire_incidents.Silence(7200.0, "the upstream team mends it"),
        "silence_incident",
    ),
    _does("resolve", "Ends it by hand.", wire.Why, wire.Why("the table is loaded again"), "resolve_incident"),
    _does(
        "notes",
        "Adds a note to its timeline.",
        wire_incidents.NewNote,
        wire_incidents.NewNote("the export was cut off at midnight"),
        "note_incident",
    ),
    Operation(
        "get",
        "/v1/incidents/{incident_id}/page",
        "The incident's page, for a person.",
        None,
        problems={422: "A value breaks a rule; the detail names it.", 404: "There is none of that name."},
        name="incident_page",
        scope=Scope.READ,
        parameters=in_path("incident_id"),
        media="text/html",
    ),
    Operation(
        "get",
        "/v1/incidents/{incident_id}/charts/{name}",
        "One chart of an incident, for mail and chat, such as `latency`.",
        None,
        problems={422: "A value breaks a rule; the detail names it.", 404: "There is none of that name, or nothing to draw."},
        name="incident_chart",
        scope=Scope.READ,
        parameters=(
            *in_path("incident_id", "name"),
            in_query("ground", {"type": "string", "enum": ["light", "dark"]}, "Behind it."),
        ),
        media="image/png",
    ),
)
"""Every route about alerts and incidents."""
