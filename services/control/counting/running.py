"""Runs of the pipelines as series: how they ended, when, how long their steps took, and what the gate said."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import func, select

from monitoring.metrics import ControlMetrics
from pipelines.events import StepRecord
from rankloop.errors import RankloopError
from services.control.counting.drawing import Drawing
from services.control.database import Event, Run, Session, run, runs, tables
from services.control.database.runs import FINISHED

__all__ = ["RunSeries", "Steps"]

log: Final = logging.getLogger("services.control")

Steps = Callable[[str], Sequence[StepRecord]]
"""A run's steps, by its name."""


class RunSeries:
    """Counts runs as they come to a state, and shows the newest success and the run under way of each pipeline.

    Args:
        metrics: what is brought up to date.
        steps: asked once of each run that succeeds.
    """

    def __init__(self, metrics: ControlMetrics, steps: Steps) -> None:
        self._metrics, self._steps = metrics, steps
        self._step_seconds, self._success = Drawing(metrics.step_seconds), Drawing(metrics.last_success)
        self._running = Drawing(metrics.running_since)
        self._newest: dict[tuple[str, str], str] = {}
        self._told: dict[tuple[str, str], dict[str, float]] = {}

    def count(self, session: Session, event: Event) -> None:
        """Counts a run that came to a state."""
        noun, _, state = event.kind.partition(".")
        if noun != "run" or state == "changed":
            return
        own = run(session, event.subject)
        self._metrics.runs.labels(own.surface, own.pipeline, state).inc()
        if state in FINISHED and own.verdict:
            self._metrics.verdicts.labels(own.surface, own.verdict).inc()

    def update(self, session: Session) -> list[Run]:
        """Brings the times up to date; gives the newest successes whose steps are not shown yet."""
        own = tables.runs.c
        ended = select(own.surface, own.pipeline, func.max(own.ended_at)).where(own.state == "succeeded")
        times = {(surface, pipeline): at for surface, pipeline, at in session.execute(ended.group_by(own.surface, own.pipeline))}
        self._success.draw({which: at.timestamp() for which, at in times.items() if at})
        under_way = [one for one in runs(session, state="running") if one.started_at]
        self._running.draw({(one.surface, one.pipeline): one.started_at.timestamp() for one in under_way if one.started_at})
        newest = [runs(session, surface=name, pipeline=pipeline, state="succeeded", limit=1)[0] for name, pipeline in times]
        return [one for one in newest if self._newest.get((one.surface, one.pipeline)) != one.run_id]

    def show_steps(self, newest: Sequence[Run]) -> None:
        """Shows how long the steps of these runs took; of one that cannot be asked any more, nothing."""
        for one in newest:
            which = (one.surface, one.pipeline)
            self._newest[which] = one.run_id
            try:
                self._told[which] = {step.name: step.seconds for step in self._steps(one.run_id) if step.state == "done"}
            except (RankloopError, OSError) as error:
                log.warning("the steps of run %s are in no series: %s", one.run_id, error)
                self._told.pop(which, None)
        if newest:
            self._step_seconds.draw({(*which, name): took for which, told in self._told.items() for name, took in told.items()})
