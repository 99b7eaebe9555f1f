"""The routes about drift, as the OpenAPI document has them."""

from typing import Final

from rankloop.contracts import SURFACES
from rankloop.drift.report import VERDICTS, Cause, DriftReport
from services.auth import Scope
from services.control.describing import LIMIT, MOMENT, changes, in_path, in_query, shows
from services.control.moments import moment
from services.control.wire_drift import DriftList, DriftShown
from services.openapi import Operation

__all__ = ["DRIFT"]

_FROM: Final = moment("2026-11-16 14:00")
_UNTIL: Final = moment("2026-11-17 14:00")
_SAYS: Final = "unit-change at items.budget: it is 100 times what it was"
_REPORT: Final = DriftReport(
    report_id="drift-20261117-140200-3fa9c1",
    surface="job_feed",
    release_id="r20260304-a67b2c06",
    at=_UNTIL,
    window_from=_FROM,
    window_until=_UNTIL,
    verdict="broken",
    rows=48_000,
    causes=(Cause(cause="unit-change", component="items.budget", impact=0.4, says=_SAYS),),
    says=_SAYS,
)
_SHOWN: Final = DriftShown(
    report_id=_REPORT.report_id,
    surface="job_feed",
    release_id=_REPORT.release_id,
    at=_UNTIL,
    window_from=_FROM,
    window_until=_UNTIL,
    verdict="broken",
    rows=48_000,
    causes=["unit-change items.budget"],
    says=_SAYS,
    run_id="run-20261117-140000-3fa9c1",
    page=f"/v1/drift/{_REPORT.report_id}/report",
)
_RUN: Final = in_query("run_id", {"type": "string", "maxLength": 128}, "The run that made it.")
_CHOSEN: Final = (
    in_query("surface", {"type": "string", "enum": list(SURFACES)}, "Only those about it."),
    in_query("verdict", {"type": "string", "enum": list(VERDICTS)}, "Only those with it."),
    in_query("before", MOMENT, "Only those made before this moment: the `next` of the answer before."),
    LIMIT,
)
_OF_ONE: Final = {
    422: "A value breaks a rule; the detail names it.",
    404: "There is no such report, or its page is not kept here.",
}

DRIFT: Final[tuple[Operation, ...]] = (
    changes(
        "/v1/drift",
        "Takes a report of drift into the record; the same one again changes nothing.",
        DriftShown,
        DriftReport,
        "report_drift",
        asks=_REPORT,
        answers=_SHOWN,
        parameters=(_RUN,),
    ),
    shows("/v1/drift", "Reports of drift, those made last first.", DriftList, "drift_reports", parameters=_CHOSEN),
    shows("/v1/drift/{report_id}", "One report of drift, whole.", DriftReport, "drift_report", parameters=in_path("report_id")),
    Operation(
        "get",
        "/v1/drift/{report_id}/report",
        "The page of a report of drift, for a person.",
        None,
        problems=_OF_ONE,
        name="drift_page",
        scope=Scope.READ,
        parameters=in_path("report_id"),
        media="text/html",
    ),
)
