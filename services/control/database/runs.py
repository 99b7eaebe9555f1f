"""Runs of the pipelines: queued, under way and ended, one at a time for each surface and pipeline."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypedDict, Unpack

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from rankloop.errors import Conflict
from services.control.database import tables
from services.control.database.events import record
from services.control.database.rows import all_of, one, one_or_none
from services.control.database.types import new_id, utc

__all__ = ["FINISHED", "Run", "RunFields", "RunState", "Trigger", "Where", "add_run", "change_run", "next_queued", "run", "runs"]

RunState = Literal["queued", "running", "succeeded", "failed", "cancelled", "lost"]
Trigger = Literal["api", "cli", "schedule", "new data", "alert"]
Where = Literal["local", "kfp"]

FINISHED: Final = ("succeeded", "failed", "cancelled", "lost")
"""States that a run does not leave."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a pipeline.

    Attributes:
        run_id: its name.
        surface: the product place it is for.
        pipeline: `release` or `drift_watch`.
        order: what was asked for.
        trigger: what started it.
        state: where it stands; `lost`: its process vanished without a word.
        where: on this machine, or on a cluster's KFP.
        pid: its process, on this machine.
        external_id: its name in KFP.
        folder: where its artifacts and logs are.
        release_id: the release it made.
        verdict: the gate's outcome, or the watch's.
        error: why it failed, in a sentence.
        retry_of: the run whose finished steps it goes on from.
        created_at: when it was asked for.
        started_at: when its first step began.
        ended_at: when it ended.
        who: who asked for it.
        why: the sentence that was given.
    """

    run_id: str
    surface: str
    pipeline: str
    order: dict[str, Any]
    trigger: Trigger
    state: RunState
    where: Where
    pid: int | None
    external_id: str | None
    folder: str | None
    release_id: str | None
    verdict: str | None
    error: str | None
    retry_of: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    who: str
    why: str


class RunFields(TypedDict, total=False):
    """What may change of a run."""

    state: RunState
    where: Where
    pid: int | None
    external_id: str | None
    folder: str | None
    release_id: str | None
    verdict: str | None
    error: str | None
    started_at: datetime | None
    ended_at: datetime | None


def add_run(
    session: Session,
    *,
    surface: str,
    order: Mapping[str, Any],
    trigger: Trigger,
    who: str,
    why: str,
    at: datetime,
    where: Where = "local",
    retry_of: str | None = None,
    run_id: str | None = None,
    pipeline: str = "release",
) -> Run:
    """Queues a run.

    Raises:
        Missing: `retry_of` names no run.
    """
    if retry_of is not None:
        run(session, retry_of)
    name = run_id or new_id("run", at)
    values = {"run_id": name, "surface": surface, "order": dict(order), "trigger": trigger, "state": "queued"}
    rest = {"pipeline": pipeline, "where": where, "retry_of": retry_of, "created_at": utc(at), "who": who, "why": why}
    session.execute(insert(tables.runs).values(**values, **rest))
    told = {"surface": surface, "pipeline": pipeline, "trigger": trigger, "retry_of": retry_of, "order": dict(order)}
    record(session, kind="run.queued", subject=name, who=who, why=why, at=at, facts=told)
    return run(session, name)


def run(session: Session, run_id: str) -> Run:
    """One run.

    Raises:
        Missing: there is none of that name.
    """
    query = select(tables.runs).where(tables.runs.c.run_id == run_id)
    return one(session, Run, query, f"there is no run {run_id!r}; see rankloop runs list")


def runs(
    session: Session,
    *,
    surface: str | None = None,
    pipeline: str | None = None,
    state: RunState | None = None,
    before: datetime | None = None,
    limit: int = 100,
) -> list[Run]:
    """Runs, those asked for last first.

    Args:
        session: of `Database.read` or `Database.begin`.
        surface: only those for it.
        pipeline: only its runs.
        state: only those that stand there.
        before: only those asked for before this moment: that of the last one of the page before.
        limit: the most a page holds.
    """
    own = tables.runs.c
    query = select(tables.runs).order_by(own.created_at.desc(), own.run_id.desc()).limit(limit)
    if surface is not None:
        query = query.where(own.surface == surface)
    if pipeline is not None:
        query = query.where(own.pipeline == pipeline)
    if state is not None:
        query = query.where(own.state == state)
    if before is not None:
        query = query.where(own.created_at < utc(before))
    return all_of(session, Run, query)


def next_queued(session: Session, surface: str, pipeline: str = "release") -> Run | None:
    """The run that may start: the one that waits longest, where none of the surface and the pipeline is under way."""
    own = tables.runs.c
    of_both = (own.surface == surface, own.pipeline == pipeline)
    if session.execute(select(own.run_id).where(*of_both, own.state == "running")).first() is not None:
        return None
    waiting = select(tables.runs).where(*of_both, own.state == "queued")
    return one_or_none(session, Run, waiting.order_by(own.created_at, own.run_id).limit(1))


def change_run(
    session: Session,
    run_id: str,
    *,
    from_states: Collection[str],
    who: str,
    why: str,
    at: datetime,
    **fields: Unpack[RunFields],
) -> Run:
    """Changes a run, with the event that says why: `run.` and its new state, else `run.changed`.

    Args:
        session: of `Database.begin`.
        run_id: which.
        from_states: where it must stand.
        who: who changes it.
        why: a sentence.
        at: when; also when it started or ended, unless `fields` say otherwise.
        fields: what changes.

    Raises:
        Conflict: it stands elsewhere, or another run of its pipeline for its surface is under way.
        Missing: there is none of that name.
    """
    known = run(session, run_id)
    if known.state not in from_states:
        raise Conflict(f"run {run_id} is {known.state}; this takes one that is {' or '.join(sorted(from_states))}")
    state = fields.get("state", known.state)
    values: dict[str, Any] = {**_moments(known, state, utc(at)), **fields}
    try:
        with session.begin_nested():
            session.execute(update(tables.runs).where(tables.runs.c.run_id == run_id).values(values))
    except IntegrityError:
        raise Conflict(f"another run of {known.surface} is under way; run {run_id} waits until it has ended") from None
    kind = f"run.{state}" if state != known.state else "run.changed"
    told = {name: value for name, value in fields.items() if name != "state"}
    record(session, kind=kind, subject=run_id, who=who, why=why, at=at, facts=told)
    return run(session, run_id)


def _moments(known: Run, state: str, at: datetime) -> dict[str, datetime]:
    started = {"started_at": at} if state == "running" and known.started_at is None else {}
    ended = {"ended_at": at} if state in FINISHED and known.ended_at is None else {}
    return started | ended
