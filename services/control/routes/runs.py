"""Pipeline runs: start, watch, cancel, try again; and what starts them: schedules and alerts."""

from typing import Any, Final

import msgspec
from litestar import delete, get, post, put

from pipelines.events import PIPELINES
from rankloop.errors import Missing
from services.auth import Scope
from services.control.answering import MOST, body, choice, name_in_path, number, when, who, worked
from services.control.wire import Why
from services.control.wire_runs import (
    LogShown,
    NewRun,
    NewSchedule,
    Removed,
    RunList,
    RunShown,
    ScheduleList,
    ScheduleShown,
    StepShown,
)
from services.http import Asked

__all__ = ["RUNS", "shown_run"]

_STATES: Final = ("queued", "running", "succeeded", "failed", "cancelled", "lost")
_STEPS: Final = tuple(dict.fromkeys(step for steps in PIPELINES.values() for step in steps))
_SURFACES: Final = ("job_feed", "job_search", "talent_search")


@post("/v1/runs", status_code=200, scope=Scope.ADMIN)
async def _start(request: Asked) -> RunShown:
    asked, name, runs = await body(request, NewRun), who(request), request.app.state.runs
    order = msgspec.to_builtins(asked.order)
    trigger = "cli" if request.headers.get("user-agent", "").startswith("rankloop-terminal") else "api"
    return await worked(
        request, lambda: shown_run(runs.start(order, surface=asked.surface, trigger=trigger, who=name, why=asked.why))
    )


@get("/v1/runs", scope=Scope.READ)
async def _list(request: Asked) -> RunList:
    chosen: dict[str, Any] = {"surface": choice(request, "surface", _SURFACES), "state": choice(request, "state", _STATES)}
    chosen["pipeline"] = choice(request, "pipeline", tuple(PIPELINES))
    before, limit = when(request, "before"), number(request, "limit", 100, 1, MOST)

    def work() -> RunList:
        found = request.app.state.runs.runs(**chosen, before=before, limit=limit)
        return RunList([shown_run(own) for own in found], found[-1].created_at if len(found) == limit else None)

    return await worked(request, work)


@get("/v1/runs/{run_id:str}", scope=Scope.READ)
async def _show(request: Asked) -> RunShown:
    run_id, runs = name_in_path(request, "run_id"), request.app.state.runs
    return await worked(request, lambda: shown_run(runs.run(run_id), runs.steps(run_id)))


@get("/v1/runs/{run_id:str}/steps/{step:str}/log", scope=Scope.READ)
async def _log(request: Asked) -> LogShown:
    run_id, step = name_in_path(request, "run_id"), name_in_path(request, "step")
    after = number(request, "after", 0, 0, 2**62)

    def work() -> LogShown:
        if step not in (*_STEPS, "all"):
            raise Missing(f"there is no step {step[:64]!r}; the steps are {', '.join(_STEPS)}, and `all` for the whole log")
        part = request.app.state.runs.log(run_id, None if step == "all" else step, after=after)
        return LogShown(part.text, part.next)

    return await worked(request, work)


@post("/v1/runs/{run_id:str}/cancel", status_code=200, scope=Scope.ADMIN)
async def _cancel(request: Asked) -> RunShown:
    asked, name, run_id = await body(request, Why), who(request), name_in_path(request, "run_id")
    return await worked(request, lambda: shown_run(request.app.state.runs.cancel(run_id, name, asked.why)))


@post("/v1/runs/{run_id:str}/retry", status_code=200, scope=Scope.ADMIN)
async def _retry(request: Asked) -> RunShown:
    asked, name, run_id = await body(request, Why), who(request), name_in_path(request, "run_id")
    return await worked(request, lambda: shown_run(request.app.state.runs.retry(run_id, name, asked.why)))


@get("/v1/schedules", scope=Scope.READ)
async def _schedules(request: Asked) -> ScheduleList:
    triggers = request.app.state.triggers
    return await worked(request, lambda: ScheduleList([_schedule(own) for own in triggers.schedules()]))


@get("/v1/schedules/{name:str}", scope=Scope.READ)
async def _schedule_shown(request: Asked) -> ScheduleShown:
    name = name_in_path(request, "name")
    return await worked(request, lambda: _schedule(request.app.state.triggers.schedule(name)))


@put("/v1/schedules/{name:str}", scope=Scope.ADMIN)
async def _put(request: Asked) -> ScheduleShown:
    asked, by, name = await body(request, NewSchedule), who(request), name_in_path(request, "name")
    more: dict[str, Any] = {own: getattr(asked, own) for own in ("surface", "cron", "watch", "enabled", "why")}
    order = msgspec.to_builtins(asked.order)
    return await worked(request, lambda: _schedule(request.app.state.triggers.put(name, order, who=by, **more)))


@delete("/v1/schedules/{name:str}", status_code=200, scope=Scope.ADMIN)
async def _remove(request: Asked) -> Removed:
    by, name = who(request), name_in_path(request, "name")
    await worked(request, lambda: request.app.state.triggers.remove(name, who=by))
    return Removed(name)


def shown_run(own: Any, steps: Any = ()) -> RunShown:
    """A run as answers have it."""
    given = {name: getattr(own, name) for name in RunShown.__struct_fields__ if name != "steps"}
    shown = [StepShown(one.name, one.state, one.seconds, one.peak_mb, list(one.said), dict(one.facts)) for one in steps]
    return RunShown(**given, steps=shown)


def _schedule(own: Any) -> ScheduleShown:
    return ScheduleShown(**{name: getattr(own, name) for name in ScheduleShown.__struct_fields__})


RUNS: Final = (_start, _list, _show, _log, _cancel, _retry, _schedules, _schedule_shown, _put, _remove)
"""The handlers."""
