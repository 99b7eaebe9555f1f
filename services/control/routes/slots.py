"""The slots: what is beside what should be; fill, weigh, interleave, swap and clear them by hand."""

from collections.abc import Callable
from typing import Any, Final

from litestar import get, post

from services.auth import Scope
from services.control.answering import body, present, who, worked
from services.control.wire import SlotsShown, Told, Why
from services.control.wire_changes import FillSlot, GiveShare
from services.http import Asked

__all__ = ["SLOTS"]


@get("/v1/slots", scope=Scope.READ)
async def _show(request: Asked) -> SlotsShown:
    return await worked(request, request.app.state.slots)


@post("/v1/slots/fill", status_code=200, scope=Scope.ADMIN)
async def _fill(request: Asked) -> Told:
    asked, name = await body(request, FillSlot), who(request)

    def change(commands: Any) -> Any:
        return commands.hold(present(request, "release", asked.release_id), who=name, why=asked.why)

    return await _changed(request, change)


@post("/v1/slots/weight", status_code=200, scope=Scope.ADMIN)
async def _weigh(request: Asked) -> Told:
    asked, name = await body(request, GiveShare), who(request)
    return await _changed(request, lambda commands: commands.weigh(asked.share_bp, who=name, why=asked.why))


@post("/v1/slots/interleave", status_code=200, scope=Scope.ADMIN)
async def _interleave(request: Asked) -> Told:
    asked, name = await body(request, GiveShare), who(request)
    return await _changed(request, lambda commands: commands.interleave(asked.share_bp, who=name, why=asked.why))


@post("/v1/slots/swap", status_code=200, scope=Scope.ADMIN)
async def _swap(request: Asked) -> Told:
    asked, name = await body(request, Why), who(request)
    return await _changed(request, lambda commands: commands.swap(who=name, why=asked.why))


@post("/v1/slots/clear", status_code=200, scope=Scope.ADMIN)
async def _clear(request: Asked) -> Told:
    asked, name = await body(request, Why), who(request)
    return await _changed(request, lambda commands: commands.empty(who=name, why=asked.why))


async def _changed(request: Asked, change: Callable[[Any], Any]) -> Told:
    state = request.app.state
    return await worked(request, lambda: state.views.told(change(state.commands)))


SLOTS: Final = (_show, _fill, _weigh, _interleave, _swap, _clear)
"""The handlers."""
