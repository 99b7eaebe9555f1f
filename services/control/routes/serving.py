"""Who serves: go back, serve at once; and the history of it all."""

from typing import Any, Final

from litestar import get, post

from services.auth import Scope
from services.control.answering import MOST, body, number, present, text, when, who, worked
from services.control.wire import EventList, Scores, Told, Why
from services.control.wire_changes import ServeRelease
from services.http import Asked

__all__ = ["SERVING"]


@post("/v1/rollback", status_code=200, scope=Scope.ADMIN)
async def _rollback(request: Asked) -> Told:
    asked, name, state = await body(request, Why), who(request), request.app.state
    return await worked(request, lambda: state.views.told(state.commands.rollback(who=name, why=asked.why)))


@post("/v1/serve", status_code=200, scope=Scope.ADMIN)
async def _serve(request: Asked) -> Told:
    asked, name, state = await body(request, ServeRelease), who(request), request.app.state

    def work() -> Told:
        present(request, "release", asked.release_id)
        return state.views.told(state.commands.serve_now(asked.release_id, who=name, why=asked.why, force=asked.force))

    return await worked(request, work)


@get("/v1/events", scope=Scope.READ)
async def _events(request: Asked) -> EventList:
    given = request.query_params
    chosen: dict[str, Any] = {"kind": text(request, "kind", 128), "subject": text(request, "subject", 256)}
    chosen |= {name: when(request, name) for name in ("since", "until")}
    chosen |= {name: number(request, name, 0, 0, 2**62) if name in given else None for name in ("before", "after")}
    limit = number(request, "limit", 100, 1, MOST)
    return await worked(request, lambda: request.app.state.views.events(**chosen, limit=limit))


@get("/v1/scoreboard", scope=Scope.READ)
async def _scoreboard(request: Asked) -> Scores:
    return await worked(request, request.app.state.views.scoreboard)


SERVING: Final = (_rollback, _serve, _events, _scoreboard)
"""The handlers."""
