"""Drift: what watches found, with their pages."""

import re
from typing import Any, Final

from litestar import Response, get, post

from rankloop.contracts import SURFACES
from rankloop.drift.report import VERDICTS, DriftReport
from rankloop.errors import DataError
from services.auth import Scope
from services.control.answering import MOST, body, choice, name_in_path, number, text, when, who, worked
from services.control.runs.orders import known_surface
from services.control.wire_drift import DriftList, DriftShown
from services.http import Asked

__all__ = ["DRIFT"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SAFE: Final = {
    "Content-Security-Policy": "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; font-src data:",
    "X-Content-Type-Options": "nosniff",
}
"""A page made of logged texts runs its own charts, and can neither read nor ask anything."""


@post("/v1/drift", status_code=200, scope=Scope.ADMIN)
async def _add(request: Asked) -> DriftShown:
    report, name, run_id = await body(request, DriftReport), who(request, otherwise="drift watch"), text(request, "run_id", 128)
    if not _NAME.fullmatch(report.report_id):
        raise DataError(f"report_id is {report.report_id[:64]!r}; it has 1 to 128 letters, digits or '._-', no mark first")

    def work() -> DriftShown:
        known_surface(report.surface)
        return request.app.state.drift.add(report, who=name, run_id=run_id or None)

    return await worked(request, work)


@get("/v1/drift", scope=Scope.READ)
async def _list(request: Asked) -> DriftList:
    chosen: dict[str, Any] = {"surface": choice(request, "surface", SURFACES), "verdict": choice(request, "verdict", VERDICTS)}
    chosen |= {"before": when(request, "before"), "limit": number(request, "limit", 100, 1, MOST)}
    return await worked(request, lambda: request.app.state.drift.reports(**chosen))


@get("/v1/drift/{report_id:str}", scope=Scope.READ)
async def _show(request: Asked) -> DriftReport:
    report_id = name_in_path(request, "report_id")
    return await worked(request, lambda: request.app.state.drift.report(report_id))


@get("/v1/drift/{report_id:str}/report", scope=Scope.READ)
async def _page(request: Asked) -> Response[bytes]:
    report_id = name_in_path(request, "report_id")
    page = await worked(request, lambda: request.app.state.drift.page(report_id).read_bytes())
    return Response(page, media_type="text/html", headers=_SAFE)


DRIFT: Final = (_add, _list, _show, _page)
"""The handlers."""
