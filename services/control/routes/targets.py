"""Whom Prometheus should ask: the replicas that live now."""

from typing import Final

from litestar import get

from services.auth import Scope
from services.control.answering import worked
from services.control.targets import Target
from services.http import Asked

__all__ = ["TARGETS"]


@get("/v1/targets", scope=Scope.READ)
async def _targets(request: Asked) -> list[Target]:
    return await worked(request, request.app.state.targets)


TARGETS: Final = (_targets,)
"""The handlers."""
