"""The routes about experiments, as the OpenAPI document has them."""

from typing import Final

from rankloop.experiment import Liking, Readout
from services.control import wire, wire_experiments
from services.control.describing import changes, in_path, shows
from services.control.moments import moment
from services.openapi import Operation

__all__ = ["EXPERIMENTS"]

_READ: Final = Readout(
    requests=5210,
    people=1830,
    likings=(
        Liking(
            kind="click",
            outcome="tried",
            wins=402,
            losses=318,
            ties=55,
            silent=1055,
            delta=0.054,
            lower=0.019,
            upper=0.09,
            p_value=0.0019,
        ),
    ),
    planned=True,
    says="people prefer r20261116-3fa9c1d0 to r20261102-77b0c2aa by click: 402 to 318, p = 0.0019",
)
_SHOWN: Final = wire_experiments.ExperimentShown(
    experiment_id="experiment-20261117-140500-3fa9c1",
    release_id="r20261116-3fa9c1d0",
    against="r20261102-77b0c2aa",
    share_bp=1000,
    status="read",
    design={"seconds": 604800.0, "ripe_seconds": 86400.0, "kinds": ["click"], "level": 0.95},
    until=moment("2026-11-24 14:05"),
    readout=_READ,
    created_at=moment("2026-11-17 14:05"),
    ended_at=moment("2026-11-24 14:05"),
    who="ada",
    why="which ranker do people prefer",
)
_NONE: Final = {404: "There is no such experiment."}

EXPERIMENTS: Final[tuple[Operation, ...]] = (
    shows("/v1/experiments", "Every experiment, the newest first.", wire_experiments.ExperimentList, "experiments"),
    changes(
        "/v1/experiments",
        "Begins an experiment: a share of the units get both slots' lists, interleaved.",
        wire_experiments.ExperimentShown,
        wire_experiments.NewExperiment,
        "begin_experiment",
        wire_experiments.NewExperiment(share_bp=1000, why="which ranker do people prefer"),
        _SHOWN,
    ),
    shows(
        "/v1/experiments/{experiment_id}",
        "One experiment, with its readout once its outcomes have come.",
        wire_experiments.ExperimentShown,
        "experiment",
        parameters=in_path("experiment_id"),
        problems=_NONE,
    ),
    changes(
        "/v1/experiments/{experiment_id}/end",
        "Ends an experiment before its time; its numbers are read, and nothing is decided.",
        wire_experiments.ExperimentShown,
        wire.Why,
        "end_experiment",
        wire.Why("a release has to go out"),
        _SHOWN,
        parameters=in_path("experiment_id"),
        problems=_NONE,
    ),
)
"""The routes."""
