"""Puts an order into the queue, in the caller's transaction."""

from datetime import datetime
from typing import Final

from rankloop.errors import Conflict, ControlError, Missing
from services.control.database import Run, Session, Trigger, Where, add_run, runs
from services.control.database import run as run_named
from services.control.runs.orders import RunOrder, known_surface

__all__ = ["known_run", "queue", "reason"]

_MOST_QUEUED: Final = 20


def queue(
    session: Session,
    order: RunOrder,
    *,
    surface: str,
    trigger: Trigger,
    where: Where,
    who: str,
    why: str,
    at: datetime,
    retry_of: str | None = None,
) -> Run:
    """The run that does an order: one that is queued already, or a new one.

    Raises:
        Conflict: too many runs of the pipeline wait for the surface.
        ControlError: there is no such surface.
    """
    waiting = runs(session, surface=known_surface(surface), pipeline=order.pipeline, state="queued", limit=_MOST_QUEUED)
    fields = order.fields()
    for known in reversed(waiting):
        if known.order == fields:
            return known
    if len(waiting) == _MOST_QUEUED:
        raise Conflict(f"{_MOST_QUEUED} runs wait for {surface} already; cancel some, or wait")
    return add_run(
        session,
        surface=surface,
        order=fields,
        trigger=trigger,
        where=where,
        who=who,
        why=reason(why, who),
        at=at,
        retry_of=retry_of,
        pipeline=order.pipeline,
    )


def known_run(session: Session, run_id: str) -> Run:
    """One run.

    Raises:
        Missing: there is none of that name.
    """
    try:
        return run_named(session, run_id)
    except ControlError as error:
        raise Missing(str(error)) from error


def reason(why: str, who: str) -> str:
    """Why something was done, also where nobody said."""
    return why.strip() or f"{who} asked for it"
