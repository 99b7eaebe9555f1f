"""Canaries: start, list, show with every decision; pause, resume, promote, abort."""

from typing import Final

from litestar import get, post

from services.auth import Scope
from services.control.answering import MOST, body, name_in_path, number, present, who, worked
from services.control.wire import CanaryList, CanaryShown, DecisionList, Why
from services.control.wire_changes import NewCanary
from services.http import Asked

__all__ = ["CANARIES"]


@get("/v1/canaries", scope=Scope.READ)
async def _list(request: Asked) -> CanaryList:
    return await worked(request, request.app.state.views.canaries)


@post("/v1/canaries", status_code=200, scope=Scope.ADMIN)
async def _start(request: Asked) -> CanaryShown:
    asked, name, state = await body(request, NewCanary), who(request), request.app.state

    def work() -> CanaryShown:
        present(request, "release", asked.release_id)
        told = {"who": name, "why": asked.why, "force": asked.force}
        return state.views.canary(state.commands.start_canary(asked.release_id, asked.policy, **told))

    return await worked(request, work)


@get("/v1/canaries/{canary_id:str}", scope=Scope.READ)
async def _show(request: Asked) -> CanaryShown:
    canary_id = name_in_path(request, "canary_id")
    return await worked(request, lambda: request.app.state.views.canary(present(request, "canary", canary_id)))


@get("/v1/canaries/{canary_id:str}/decisions", scope=Scope.READ)
async def _decisions(request: Asked) -> DecisionList:
    canary_id, after = name_in_path(request, "canary_id"), number(request, "after", 0, 0, 2**62)
    limit = number(request, "limit", 100, 1, MOST)

    def work() -> DecisionList:
        return request.app.state.views.decisions(present(request, "canary", canary_id), after=after, limit=limit)

    return await worked(request, work)


@post("/v1/canaries/{canary_id:str}/pause", status_code=200, scope=Scope.ADMIN)
async def _pause(request: Asked) -> CanaryShown:
    return await _act(request, "pause")


@post("/v1/canaries/{canary_id:str}/resume", status_code=200, scope=Scope.ADMIN)
async def _resume(request: Asked) -> CanaryShown:
    return await _act(request, "resume")


@post("/v1/canaries/{canary_id:str}/promote", status_code=200, scope=Scope.ADMIN)
async def _promote(request: Asked) -> CanaryShown:
    return await _act(request, "promote")


@post("/v1/canaries/{canary_id:str}/abort", status_code=200, scope=Scope.ADMIN)
async def _abort(request: Asked) -> CanaryShown:
    return await _act(request, "abort")


async def _act(request: Asked, act: str) -> CanaryShown:
    asked, name, state = await body(request, Why), who(request), request.app.state
    canary_id = name_in_path(request, "canary_id")

    def work() -> CanaryShown:
        present(request, "canary", canary_id)
        getattr(state.commands, act)(canary_id, who=name, why=asked.why)
        return state.views.canary(canary_id)

    return await worked(request, work)


CANARIES: Final = (_list, _start, _show, _decisions, _pause, _resume, _promote, _abort)
"""The handlers."""
