"""What goes over the wire about experiments."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from rankloop.experiment import Readout
from services.control.readout import Design
from services.control.wire import Id, Moment, Text

__all__ = ["ExperimentList", "ExperimentShown", "NewExperiment"]


class NewExperiment(Design, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Begins an experiment: both slots' lists, interleaved. What it says is fixed before anybody looks.

    Attributes:
        share_bp: of how many units, basis points.
        why: for whoever reads the history.
    """

    share_bp: Annotated[int, Meta(ge=1, le=10_000)]
    why: Text


class ExperimentShown(Struct, kw_only=True):
    """One experiment.

    Attributes:
        experiment_id: its name.
        release_id: the release on trial.
        against: the stable release.
        share_bp: of how many units the lists are interleaved, basis points.
        status: running; ended, while outcomes are waited for; read, with its readout.
        design: what was fixed before: seconds, ripe_seconds, kinds, level.
        until: when it ends, or would have ended.
        readout: what came of it; null before it is read.
        created_at: when it began.
        ended_at: when it ended; null while it runs.
        who: who began it.
        why: the sentence that was given.
    """

    experiment_id: Id
    release_id: str
    against: str
    share_bp: int
    status: str
    design: dict[str, Any]
    until: Moment
    readout: Readout | None
    created_at: Moment
    ended_at: Moment | None
    who: str
    why: str


class ExperimentList(Struct):
    """Experiments, the newest first."""

    experiments: list[ExperimentShown]
