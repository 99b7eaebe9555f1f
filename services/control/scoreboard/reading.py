"""The scoreboard out of the control plane's record."""

from typing import Any, Final

import msgspec
import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from rankloop.experiment import Effect, Readout, Scoreboard, Trial, scoreboard
from services.control import database as db
from services.control.comparing.facts import metrics_of
from services.control.database import tables
from services.control.database.canaries import ENDED

__all__ = ["ONLINE", "PREFERS", "read_scoreboard", "trial_of", "trial_of_experiment"]

ONLINE: Final = ("ctr@10", "apply_rate", "ndcg@10", "coverage")
"""Metrics of people and lists of which more is better; a canary's other guardrails say nothing of quality."""

PREFERS: Final = "prefer by "
"""Before a kind of outcome: the share of people who prefer the tried release by it, above a half; no relative difference."""

_MOST: Final = 1000
_LAST: Final = 100
_SEED: Final = 5


def read_scoreboard(session: Session) -> Scoreboard:
    """Every canary that ended after people's acts were judged, and every experiment that was read; the oldest first.

    The newest thousand where there are more.

    Args:
        session: of `Database.read` or `Database.begin`.
    """
    ended = [own for own in db.canaries(session, limit=_MOST) if own.status in ENDED]
    tried = [(own.created_at, trial_of(own, _evidence(session, own.canary_id), *_both(session, own))) for own in ended]
    read = db.experiments(session, status="read", limit=_MOST)
    tried += [(own.created_at, trial_of_experiment(own, *_both(session, own))) for own in read]
    ordered = sorted((pair for pair in tried if pair[1].online), key=lambda pair: (pair[0], pair[1].name))
    return scoreboard([trial for _, trial in ordered[-_MOST:]], rng=np.random.default_rng(_SEED))


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
    return Trial(
        name=canary.canary_id,
        release_id=canary.release_id,
        against=canary.against,
        ended=canary.status,
        offline=_offline(before, after),
        online=online,
    )


def trial_of_experiment(experiment: db.Experiment, before: db.ReleaseFacts, after: db.ReleaseFacts) -> Trial:
    """One experiment that was read as a trial: by kind of outcome, how many more people prefer the tried release.

    Args:
        experiment: the experiment.
        before: the release it was tried against.
        after: the release that was tried.
    """
    read = msgspec.convert(experiment.readout, Readout)
    return Trial(
        name=experiment.experiment_id,
        release_id=experiment.release_id,
        against=experiment.against,
        ended="interleaved" if read.planned else "cut short",
        offline=_offline(before, after),
        online={f"{PREFERS}{own.kind}": Effect(own.delta, own.lower, own.upper) for own in read.likings if own.delta is not None},
    )


def _offline(before: db.ReleaseFacts, after: db.ReleaseFacts) -> dict[str, Effect]:
    return {
        row.metric: Effect(row.difference, row.lower, row.upper, row.paired)
        for row in metrics_of(before, after)
        if row.difference is not None
    }


def _both(session: Session, canary: db.Canary | db.Experiment) -> tuple[db.Release, db.Release]:
    return db.release(session, canary.against), db.release(session, canary.release_id)


def _evidence(session: Session, canary_id: str) -> list[dict[str, Any]]:
    """Of the newest look that saw something: the last ones may have seen nothing, as when the edge was down."""
    own = tables.observations.c
    newest = select(own.decision).where(own.canary_id == canary_id).order_by(own.number.desc()).limit(_LAST)
    rows = (decision.get("evidence") for decision in session.execute(newest).scalars())
    return next((list(evidence) for evidence in rows if evidence), [])
