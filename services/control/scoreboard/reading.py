"""The scoreboard out of the control plane's record."""

from typing import Any, Final

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from rankloop.experiment import Effect, Scoreboard, Trial, scoreboard
from services.control import database as db
from services.control.comparing.facts import metrics_of
from services.control.database import tables
from services.control.database.canaries import ENDED

__all__ = ["ONLINE", "read_scoreboard", "trial_of"]

ONLINE: Final = ("ctr@10", "apply_rate", "ndcg@10", "coverage")
"""Metrics of people and lists of which more is better; a canary's other guardrails say nothing of quality."""

_MOST: Final = 1000
_LAST: Final = 100
_SEED: Final = 5


def read_scoreboard(session: Session) -> Scoreboard:
    """Every canary that ended after people's acts were judged, the oldest first; the newest thousand where there are more.

    Args:
        session: of `Database.read` or `Database.begin`.
    """
    ended = [own for own in db.canaries(session, limit=_MOST) if own.status in ENDED]
    found = (trial_of(own, _evidence(session, own.canary_id), *_both(session, own)) for own in reversed(ended))
    return scoreboard([trial for trial in found if trial.online], rng=np.random.default_rng(_SEED))


def trial_of(canary: db.Canary, evidence: list[dict[str, Any]], before: db.ReleaseFacts, after: db.ReleaseFacts) -> Trial:
    """One ended canary as a trial.

    Args:
        canary: the canary.
        evidence: of its newest decision that had any; of two rows of one metric the first counts, which is the guardrail's.
        before: the release it was tried against.
        after: the release that was tried.
    """
    online: dict[str, Effect] = {}
    for row in evidence:
        if row["metric"] in ONLINE and row["metric"] not in online and row.get("difference") is not None:
            online[row["metric"]] = Effect(row["difference"], row.get("lower"), row.get("upper"))
    offline = {
        row.metric: Effect(row.difference, row.lower, row.upper, row.paired)
        for row in metrics_of(before, after)
        if row.difference is not None
    }
    return Trial(
        name=canary.canary_id,
        release_id=canary.release_id,
        against=canary.against,
        ended=canary.status,
        offline=offline,
        online=online,
    )


def _both(session: Session, canary: db.Canary) -> tuple[db.Release, db.Release]:
    return db.release(session, canary.against), db.release(session, canary.release_id)


def _evidence(session: Session, canary_id: str) -> list[dict[str, Any]]:
    """Of the newest look that saw something: the last ones may have seen nothing, as when the edge was down."""
    own = tables.observations.c
    newest = select(own.decision).where(own.canary_id == canary_id).order_by(own.number.desc()).limit(_LAST)
    rows = (decision.get("evidence") for decision in session.execute(newest).scalars())
    return next((list(evidence) for evidence in rows if evidence), [])
