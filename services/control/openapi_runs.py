"""The routes about pipeline runs, as the OpenAPI document has them."""

from typing import Final

from services.auth import Scope
from services.control import wire, wire_runs
from services.control.describing import LIMIT, MOMENT, NUMBER, changes, in_path, in_query, shows
from services.control.moments import moment
from services.openapi import Operation

__all__ = ["RUNS"]

_ORDER: Final = wire_runs.RunOrderGiven("contract", "/data/log")
_RUN: Final = wire_runs.RunShown(
    run_id="run-20261117-140200-3fa9c1",
    surface="job_feed",
    pipeline="release",
    order={"source": "contract", "path": "/data/log"},
    trigger="api",
    state="queued",
    where="local",
    pid=None,
    external_id=None,
    release_id=None,
    verdict=None,
    error=None,
    retry_of=None,
    created_at=moment("2026-11-17 14:02"),
    started_at=None,
    ended_at=None,
    who="ada",
    why="new views",
)
_SCHEDULE: Final = wire_runs.ScheduleShown(
    name="nightly",
    surface="job_feed",
    order={"source": "contract", "path": "/data/log"},
    cron="30 2 * * *",
    watch=None,
    enabled=True,
    next_at=moment("2026-11-18 02:30"),
    last_at=None,
)
_STATES: Final = ["queued", "running", "succeeded", "failed", "cancelled", "lost"]
_PIPELINES: Final = ["release", "drift_watch"]
_SURFACES: Final = ["job_feed", "job_search", "talent_search"]
_NO_RUN: Final = {404: "There is no such run."}
_WHY: Final = wire.Why("it reads the wrong log")
_CHOSEN: Final = (
    in_query("surface", {"type": "string", "enum": _SURFACES}, "Only those for it."),
    in_query("pipeline", {"type": "string", "enum": _PIPELINES}, "Only its runs."),
    in_query("state", {"type": "string", "enum": _STATES}, "Only those that stand there."),
    in_query("before", MOMENT, "Only those asked for before this moment: the `next` of the answer before."),
    LIMIT,
)
_SCHEDULED: Final = wire_runs.NewSchedule(_ORDER, "what people did yesterday", cron="30 2 * * *")

RUNS: Final[tuple[Operation, ...]] = (
    changes(
        "/v1/runs",
        "Queues a run of a pipeline.",
        wire_runs.RunShown,
        wire_runs.NewRun,
        "start_run",
        asks=wire_runs.NewRun(_ORDER, "new views"),
        answers=_RUN,
    ),
    shows("/v1/runs", "Runs, those asked for last first.", wire_runs.RunList, "runs", parameters=_CHOSEN),
    shows(
        "/v1/runs/{run_id}",
        "One run, with its steps.",
        wire_runs.RunShown,
        "run",
        parameters=in_path("run_id"),
        problems={409: "It was made elsewhere."},
    ),
    shows(
        "/v1/runs/{run_id}/steps/{step}/log",
        "What a step of a run wrote; of the step `all` the whole log.",
        wire_runs.LogShown,
        "run_log",
        parameters=(*in_path("run_id", "step"), in_query("after", NUMBER, "From this offset on: the `next` before.")),
        problems={409: "It was made elsewhere."},
    ),
    changes(
        "/v1/runs/{run_id}/cancel",
        "Takes a run out of the queue, or ends it.",
        wire_runs.RunShown,
        wire.Why,
        "cancel_run",
        asks=_WHY,
        answers=_RUN,
        parameters=in_path("run_id"),
        problems=_NO_RUN,
    ),
    changes(
        "/v1/runs/{run_id}/retry",
        "Queues a run that goes on from the step at which another one stopped.",
        wire_runs.RunShown,
        wire.Why,
        "retry_run",
        asks=_WHY,
        answers=_RUN,
        parameters=in_path("run_id"),
        problems=_NO_RUN,
    ),
    shows("/v1/schedules", "What starts runs by itself.", wire_runs.ScheduleList, "schedules"),
    shows("/v1/schedules/{name}", "One schedule.", wire_runs.ScheduleShown, "schedule", parameters=in_path("name")),
    changes(
        "/v1/schedules/{name}",
        "Makes or replaces a schedule: by time, or by new data.",
        wire_runs.ScheduleShown,
        wire_runs.NewSchedule,
        "put_schedule",
        asks=_SCHEDULED,
        answers=_SCHEDULE,
        parameters=in_path("name"),
        method="put",
    ),
    Operation(
        "delete",
        "/v1/schedules/{name}",
        "Removes a schedule; runs it started go on.",
        wire_runs.Removed,
        problems={404: "There is none of that name.", 422: "A value breaks a rule; the detail names it."},
        parameters=in_path("name"),
        name="remove_schedule",
        scope=Scope.ADMIN,
    ),
)
"""Every route about runs and schedules."""
