"""Releases: register, list, show, compare; and what was serving when."""

from typing import Final

from litestar import get, post

from services.auth import Scope
from services.control.answering import body, name_in_path, number, present, when, who, worked
from services.control.registering import facts_of
from services.control.wire import Diff, NewRelease, Registered, ReleaseList, ReleaseShown, ServingShown
from services.http import Asked

__all__ = ["RELEASES"]

_MOST_REQUESTS: Final = 10_000


@get("/v1/releases", scope=Scope.READ)
async def _list(request: Asked) -> ReleaseList:
    return await worked(request, request.app.state.views.releases)


@post("/v1/releases", status_code=200, scope=Scope.ADMIN)
async def _register(request: Asked) -> Registered:
    asked, name, state = await body(request, NewRelease), who(request), request.app.state

    def work() -> Registered:
        facts = facts_of(state.settings, asked)
        release_id, told = facts.release_id, {"who": name, "why": asked.why}
        state.commands.register(facts, **told)
        canary, said = None, f"{release_id} is registered"
        if asked.then == "canary":
            canary = state.views.canary(state.commands.start_canary(release_id, asked.policy, **told, force=asked.force))
            said = f"canary {canary.canary_id} of {release_id} begins as soon as it answers"
        elif asked.then == "serve":
            said = state.commands.serve_now(release_id, **told, force=asked.force).said
        return Registered(state.views.release(release_id), said, canary)

    return await worked(request, work)


@get("/v1/releases/{release_id:str}", scope=Scope.READ)
async def _show(request: Asked) -> ReleaseShown:
    release_id = name_in_path(request, "release_id")
    return await worked(request, lambda: request.app.state.views.release(present(request, "release", release_id)))


@get("/v1/releases/{before_id:str}/diff/{after_id:str}", scope=Scope.READ)
async def _diff(request: Asked) -> Diff:
    before, after = name_in_path(request, "before_id"), name_in_path(request, "after_id")
    requests = number(request, "requests", 0, 0, _MOST_REQUESTS)

    def work() -> Diff:
        for release_id in (before, after):
            present(request, "release", release_id)
        return request.app.state.views.diff(before, after, requests=requests)

    return await worked(request, work)


@get("/v1/serving", scope=Scope.READ)
async def _serving(request: Asked) -> ServingShown:
    at = when(request, "at")
    return await worked(request, lambda: request.app.state.views.serving(at))


RELEASES: Final = (_list, _register, _show, _diff, _serving)
"""The handlers."""
