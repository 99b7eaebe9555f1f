"""Experiments: begin, list, show, end."""

from typing import Final

from litestar import get, post

from services.auth import Scope
from services.control.answering import body, name_in_path, who, worked
from services.control.readout import Design
from services.control.wire import Why
from services.control.wire_experiments import ExperimentList, ExperimentShown, NewExperiment
from services.http import Asked

__all__ = ["EXPERIMENTS"]


@get("/v1/experiments", scope=Scope.READ)
async def _list(request: Asked) -> ExperimentList:
    return await worked(request, request.app.state.views.experiments)


@post("/v1/experiments", status_code=200, scope=Scope.ADMIN)
async def _begin(request: Asked) -> ExperimentShown:
    asked, name, state = await body(request, NewExperiment), who(request), request.app.state
    design = {own: getattr(asked, own) for own in Design.__struct_fields__}

    def work() -> ExperimentShown:
        begun = state.commands.begin_experiment(asked.share_bp, design, who=name, why=asked.why)
        return state.views.experiment(begun.experiment_id)

    return await worked(request, work)


@get("/v1/experiments/{experiment_id:str}", scope=Scope.READ)
async def _show(request: Asked) -> ExperimentShown:
    experiment_id = name_in_path(request, "experiment_id")
    return await worked(request, lambda: request.app.state.views.experiment(experiment_id))


@post("/v1/experiments/{experiment_id:str}/end", status_code=200, scope=Scope.ADMIN)
async def _end(request: Asked) -> ExperimentShown:
    asked, name, state = await body(request, Why), who(request), request.app.state
    experiment_id = name_in_path(request, "experiment_id")

    def work() -> ExperimentShown:
        state.commands.end_experiment(experiment_id, who=name, why=asked.why)
        return state.views.experiment(experiment_id)

    return await worked(request, work)


EXPERIMENTS: Final = (_list, _begin, _show, _end)
"""The handlers."""
