"""Experiments: two releases interleaved for a time that was fixed before, and what came of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from rankloop.errors import Conflict
from services.control.database import tables
from services.control.database.events import record
from services.control.database.releases import release
from services.control.database.rows import all_of, one, one_or_none
from services.control.database.types import new_id, utc

__all__ = [
    "Experiment",
    "ExperimentStatus",
    "active_experiment",
    "end_experiment",
    "experiment",
    "experiments",
    "new_experiment",
    "read_experiment",
]

ExperimentStatus = Literal["running", "ended", "read"]


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """Two releases in one list.

    Attributes:
        experiment_id: its name.
        release_id: the release on trial, in the idle slot.
        against: the stable release.
        share_bp: of how many units the lists are interleaved, basis points.
        status: `running`; `ended`, while late outcomes may still come; `read`, with its readout.
        design: `services.control.readout.Design`, as JSON has it: what was fixed before anybody looked.
        readout: `rankloop.experiment.Readout`, as JSON has it; None before it is read.
        created_at: when it began.
        ended_at: when it ended.
        who: who began it.
        why: the sentence that was given.
    """

    experiment_id: str
    release_id: str
    against: str
    share_bp: int
    status: ExperimentStatus
    design: dict[str, Any]
    readout: dict[str, Any] | None
    created_at: datetime
    ended_at: datetime | None
    who: str
    why: str


def new_experiment(
    session: Session,
    *,
    release_id: str,
    against: str,
    share_bp: int,
    design: Mapping[str, Any],
    who: str,
    why: str,
    at: datetime,
) -> Experiment:
    """Begins an experiment.

    Raises:
        Conflict: one is under way.
        Missing: a release is not registered.
    """
    under_way = active_experiment(session)
    if under_way is not None:
        raise Conflict(f"experiment {under_way.experiment_id} of {under_way.release_id} runs; end it first")
    for wanted in (release_id, against):
        release(session, wanted)
    name = new_id("experiment", at)
    what = {"release_id": release_id, "against": against, "share_bp": share_bp, "design": dict(design)}
    rest = {"status": "running", "active": True, "created_at": utc(at), "who": who, "why": why}
    try:
        with session.begin_nested():
            session.execute(insert(tables.experiments).values(experiment_id=name, **what, **rest))
    except IntegrityError:
        raise Conflict(f"an experiment with {release_id} cannot be: another one began meanwhile; look again") from None
    record(session, kind="experiment.started", subject=name, who=who, why=why, at=at, facts=what)
    return experiment(session, name)


def experiment(session: Session, experiment_id: str) -> Experiment:
    """One experiment.

    Raises:
        Missing: there is none of that name.
    """
    own = tables.experiments.c
    query = select(*_shown()).where(own.experiment_id == experiment_id)
    return one(session, Experiment, query, f"there is no experiment {experiment_id!r}; list them with rankloop experiments")


def experiments(session: Session, *, status: ExperimentStatus | None = None, limit: int = 100) -> list[Experiment]:
    """Experiments, the newest first.

    Args:
        session: of `Database.read` or `Database.begin`.
        status: only those that stand there.
        limit: the most.
    """
    own = tables.experiments.c
    wanted = [] if status is None else [own.status == status]
    newest = select(*_shown()).where(*wanted).order_by(own.created_at.desc(), own.experiment_id.desc()).limit(limit)
    return all_of(session, Experiment, newest)


def active_experiment(session: Session) -> Experiment | None:
    """The experiment under way, if any."""
    return one_or_none(session, Experiment, select(*_shown()).where(tables.experiments.c.active.is_(True)))


def end_experiment(session: Session, experiment_id: str, *, who: str, why: str, at: datetime) -> Experiment:
    """Ends the experiment under way; its readout comes when its outcomes have.

    Raises:
        Conflict: it ended before.
        Missing: there is none of that name.
    """
    return _change(session, experiment_id, "running", "ended", who=who, why=why, at=at, active=None, ended_at=utc(at))


def read_experiment(
    session: Session, experiment_id: str, readout: Mapping[str, Any], *, who: str, why: str, at: datetime
) -> Experiment:
    """Keeps the readout of an experiment that ended.

    Raises:
        Conflict: it runs, or was read before.
        Missing: there is none of that name.
    """
    return _change(session, experiment_id, "ended", "read", who=who, why=why, at=at, readout=dict(readout))


def _change(
    session: Session,
    experiment_id: str,
    before: ExperimentStatus,
    after: ExperimentStatus,
    *,
    who: str,
    why: str,
    at: datetime,
    **fields: Any,
) -> Experiment:
    known = experiment(session, experiment_id)
    if known.status != before:
        raise Conflict(f"experiment {experiment_id} is {known.status}; this takes one that is {before}")
    own = tables.experiments.c.experiment_id == experiment_id
    session.execute(update(tables.experiments).where(own).values(status=after, **fields))
    record(session, kind=f"experiment.{after}", subject=experiment_id, who=who, why=why, at=at, facts={"from": before})
    return experiment(session, experiment_id)


def _shown() -> list[Any]:
    return [tables.experiments.c[name] for name in Experiment.__struct_fields__]
