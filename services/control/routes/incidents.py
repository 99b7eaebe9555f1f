"""Incidents: Alertmanager's webhook, what is wrong, and what people do about it."""

from typing import Any, Final

from litestar import Response, get, post

from rankloop.contracts import SURFACES
from services.auth import Scope
from services.control.answering import MOST, body, choice, name_in_path, number, when, who, worked
from services.control.pager import Received
from services.control.routes.runs import shown_run
from services.control.wire import Alerts, Why
from services.control.wire_incidents import AlertsTaken, IncidentList, IncidentShown, NewNote, Silence, StillGoing
from services.http import Asked

__all__ = ["INCIDENTS"]

_STATUSES: Final = ("open", "firing", "acknowledged", "quiet", "resolved")
_GROUNDS: Final = ("light", "dark")
_SAFE: Final = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
}
"""A page made of what alerts and people wrote runs nothing, and asks nothing."""


@post("/v1/alerts", status_code=200, scope=Scope.ADMIN)
async def _alerts(request: Asked) -> AlertsTaken:
    asked, name = await body(request, Alerts), who(request, otherwise="alertmanager")

    def work() -> AlertsTaken:
        found: Received = request.app.state.pager.receive(asked, who=name)
        going = [StillGoing(own.incident_id, own.status) for own in found.incidents]
        return AlertsTaken([shown_run(own) for own in found.runs], found.rolled_back, going, found.refused)

    return await worked(request, work)


@get("/v1/incidents", scope=Scope.READ)
async def _list(request: Asked) -> IncidentList:
    chosen: dict[str, Any] = {
        "status": choice(request, "status", _STATUSES),
        "surface": choice(request, "surface", (*SURFACES, "all")),
        "before": when(request, "before"),
        "limit": number(request, "limit", 100, 1, MOST),
    }
    return await worked(request, lambda: request.app.state.incidents.incidents(**chosen))


@get("/v1/incidents/{incident_id:str}", scope=Scope.READ)
async def _show(request: Asked) -> IncidentShown:
    incident_id = name_in_path(request, "incident_id")
    return await worked(request, lambda: request.app.state.incidents.incident(incident_id))


@post("/v1/incidents/{incident_id:str}/acknowledge", status_code=200, scope=Scope.ADMIN)
async def _acknowledge(request: Asked) -> IncidentShown:
    asked, name = await body(request, Why), who(request)
    return await _changed(request, lambda pager, own: pager.acknowledge(own, who=name, why=asked.why))


@post("/v1/incidents/{incident_id:str}/silence", status_code=200, scope=Scope.ADMIN)
async def _silence(request: Asked) -> IncidentShown:
    asked, name = await body(request, Silence), who(request)
    return await _changed(request, lambda pager, own: pager.silence(own, asked.seconds, who=name, why=asked.why))


@post("/v1/incidents/{incident_id:str}/resolve", status_code=200, scope=Scope.ADMIN)
async def _resolve(request: Asked) -> IncidentShown:
    asked, name = await body(request, Why), who(request)
    return await _changed(request, lambda pager, own: pager.resolve(own, who=name, why=asked.why))


@post("/v1/incidents/{incident_id:str}/notes", status_code=200, scope=Scope.ADMIN)
async def _note(request: Asked) -> IncidentShown:
    asked, name = await body(request, NewNote), who(request)
    return await _changed(request, lambda pager, own: pager.note(own, asked.text, who=name))


@get("/v1/incidents/{incident_id:str}/page", scope=Scope.READ)
async def _page(request: Asked) -> Response[bytes]:
    incident_id = name_in_path(request, "incident_id")
    page = await worked(request, lambda: request.app.state.incidents.page(incident_id))
    return Response(page.encode(), media_type="text/html; charset=utf-8", headers=_SAFE)


@get("/v1/incidents/{incident_id:str}/charts/{name:str}", scope=Scope.READ)
async def _chart(request: Asked) -> Response[bytes]:
    incident_id, name = name_in_path(request, "incident_id"), name_in_path(request, "name")
    dark = choice(request, "ground", _GROUNDS) == "dark"
    drawn = await worked(request, lambda: request.app.state.incidents.chart(incident_id, name, dark=dark))
    return Response(drawn, media_type="image/png", headers=_SAFE)


async def _changed(request: Asked, change: Any) -> IncidentShown:
    incident_id, state = name_in_path(request, "incident_id"), request.app.state

    def work() -> IncidentShown:
        change(state.pager, incident_id)
        shown: IncidentShown = state.incidents.incident(incident_id)
        return shown

    return await worked(request, work)


INCIDENTS: Final = (_alerts, _list, _show, _acknowledge, _silence, _resolve, _note, _page, _chart)
"""The handlers."""
