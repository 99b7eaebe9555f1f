"""The control plane over HTTP: one Litestar application on the record and the commands."""

from collections.abc import Callable
from typing import Any

from litestar import HttpMethod, Litestar, Response, get
from litestar.handlers import HTTPRouteHandler

from monitoring.metrics import HttpMetrics
from services.auth import Tokens
from services.control.answering import worked
from services.control.drivers import Edges, Server
from services.control.openapi import OPERATIONS, document
from services.control.pager import Incidents, Pager
from services.control.routes import CANARIES, DRIFT, EXPERIMENTS, INCIDENTS, RELEASES, RUNS, SERVING, SLOTS, TARGETS
from services.control.runs import Runs, Triggers
from services.control.targets import targets
from services.control.views import Views
from services.control.wire import ControlReadiness
from services.http import Asked, application
from services.settings import Settings

__all__ = ["build_control"]


def build_control(
    settings: Settings,
    *,
    views: Views,
    commands: Any,
    runs: Runs,
    triggers: Triggers,
    pager: Pager,
    incidents: Incidents,
    edges: Edges,
    server: Server,
    readiness: Callable[[], ControlReadiness],
    tokens: Tokens,
    metrics: HttpMetrics,
    **hooks: Any,
) -> Litestar:
    """The ASGI application.

    Args:
        settings: the home folder, below which releases must lie, and the limits.
        views: reads the record.
        commands: change it.
        runs: the queue of pipeline runs.
        triggers: what starts runs by itself.
        pager: takes alerts, and what people do about incidents.
        incidents: shows them.
        edges: asked what they do.
        server: asked what is in the slots.
        readiness: who leads, and what is not well.
        tokens: who may ask.
        metrics: what `/metrics` shows.
        hooks: Litestar's `on_startup` and `on_shutdown`.
    """
    return application(
        [*_options(), *RELEASES, *CANARIES, *EXPERIMENTS, *SERVING, *SLOTS, *RUNS, *INCIDENTS, *DRIFT, *TARGETS, _readyz],
        OPERATIONS,
        metrics=metrics,
        tokens=tokens,
        openapi=document(),
        max_body_bytes=settings.max_body_bytes,
        settings=settings,
        views=views,
        commands=commands,
        drift=views.drift,
        runs=runs,
        triggers=triggers,
        pager=pager,
        incidents=incidents,
        slots=lambda: views.slots(edges, server),
        targets=lambda: targets(edges.servers()),
        readiness=readiness,
        **hooks,
    )


def _options() -> list[HTTPRouteHandler]:
    """What paths of several methods answer to OPTIONS; the framework's own answer names the methods of one handler alone.

    Where it finds a handler of OPTIONS it makes none itself.
    """
    methods: dict[str, list[str]] = {}
    for operation in OPERATIONS:
        methods.setdefault(operation.path.replace("}", ":str}"), []).append(operation.method.upper())
    return [_allow(path, [*own, "OPTIONS"]) for path, own in methods.items() if len(own) > 1]


def _allow(path: str, methods: list[str]) -> HTTPRouteHandler:
    async def answer() -> Response[None]:
        return Response(None, status_code=204, headers={"Allow": ", ".join(sorted(methods))})

    return HTTPRouteHandler(path, http_method=HttpMethod.OPTIONS, scope=None)(answer)


@get("/readyz", scope=None)
async def _readyz(request: Asked) -> ControlReadiness:
    return await worked(request, request.app.state.readiness)
