"""The queue of pipeline runs: one at a time for each surface and pipeline, each found again after a restart."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from pipelines.events import PIPELINES, StepRecord
from rankloop.contracts import SURFACES
from rankloop.errors import Conflict, RankloopError, StackError
from services.control.database import Database, Lease, Run, RunState, Trigger, change_run, next_queued
from services.control.database import runs as recorded
from services.control.database.runs import FINISHED
from services.control.faults import Faults
from services.control.runs.launching import Ended, Launcher, LogPart
from services.control.runs.orders import RunOrder
from services.control.runs.queueing import known_run, queue, reason
from services.control.runs.triggers import Triggers
from services.settings import Settings

__all__ = ["Runs"]

log: Final = logging.getLogger("services.control")

_ITSELF: Final = "rankloop"
_TIDY_WITHIN: Final = timedelta(days=1)
_TIDIED_AT_MOST: Final = 20
_POLL_SECONDS: Final = 0.05
_AFTER_KILL_SECONDS: Final = 5.0


class Runs:
    """Starts, watches, cancels and retries runs; the record says what should be, a tick makes it so.

    Calls may come from any thread of any process that shares the record; ticks only from the leader's, one at a time.

    Args:
        database: the record.
        settings: how long a process may take to end.
        clock: the present moment, UTC.
        launcher: where runs run.
        triggers: what starts runs by itself; None: nothing does.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        clock: Callable[[], datetime],
        launcher: Launcher,
        triggers: Triggers | None = None,
    ) -> None:
        self._database, self._clock, self._launcher, self._triggers = database, clock, launcher, triggers
        self._patience = timedelta(seconds=settings.stop_seconds)
        self._faults = Faults(database, _ITSELF, clock)
        self._tidied: set[str] = set()
        self._lease: Lease | None = None
        self._done: set[str] = set()

    def start(
        self, order: Mapping[str, Any], *, surface: str = SURFACES[0], trigger: Trigger = "api", who: str, why: str = ""
    ) -> Run:
        """Queues a run; an order that waits already is not queued twice.

        Returns:
            The run, queued. It starts with a tick, once no other of its surface and pipeline is under way.

        Raises:
            ControlError: the order cannot be run, or there is no such surface.
            Conflict: too many wait.
        """
        checked = RunOrder.of(order)
        with self._database.begin() as session:
            more: dict[str, Any] = {"trigger": trigger, "where": self._launcher.where, "who": who, "why": why}
            return queue(session, checked, surface=surface, at=self._clock(), **more)

    def cancel(self, run_id: str, who: str, why: str = "") -> Run:
        """Takes a run out of the queue, or ends it with every process it started; returns when they are gone.

        Raises:
            Missing: there is none of that name.
            Conflict: it has ended.
            StackError: the cluster does not answer; the record stands, and ticks go on trying.
        """
        said = reason(why, who)
        with self._database.begin() as session:
            known = known_run(session, run_id)
            fields: dict[str, Any] = {"state": "cancelled", "error": f"cancelled by {who}: {said}"}
            going_on = ("queued", "running")
            run = change_run(session, run_id, from_states=going_on, who=who, why=said, at=self._clock(), **fields)
        if known.state == "running":
            self._end(run)
        return run

    def retry(self, run_id: str, who: str, why: str = "", *, trigger: Trigger = "api") -> Run:
        """Queues a run that goes on from the step at which another one stopped.

        On this machine finished steps are in the cache; a KFP server retries its own run.

        Raises:
            Missing: there is none of that name.
            Conflict: it has not ended, or it succeeded.
        """
        with self._database.begin() as session:
            before = known_run(session, run_id)
            if before.state in ("queued", "running", "succeeded"):
                raise Conflict(f"run {run_id} is {before.state}; only one that failed, was cancelled or was lost is retried")
            said = why.strip() or f"{run_id} {'was ' * (before.state != 'failed')}{before.state}"
            more: dict[str, Any] = {"trigger": trigger, "where": self._launcher.where, "who": who, "why": said}
            order = RunOrder.of(before.order)
            return queue(session, order, surface=before.surface, at=self._clock(), retry_of=run_id, **more)

    def run(self, run_id: str) -> Run:
        """One run.

        Raises:
            Missing: there is none of that name.
        """
        with self._database.read() as session:
            return known_run(session, run_id)

    def runs(self, *, state: RunState | None = None, limit: int = 100, **chosen: Any) -> list[Run]:
        """Runs, those asked for last first, chosen as by `services.control.database.runs`."""
        with self._database.read() as session:
            return recorded(session, state=state, limit=limit, **chosen)

    def steps(self, run_id: str) -> list[StepRecord]:
        """A run's steps as they are now, in the pipeline's order.

        Raises:
            Missing: there is none of that name.
            StackError: the cluster does not answer.
        """
        run = self.run(run_id)
        if run.started_at is None:
            state = "skipped" if run.state in FINISHED else "waiting"
            return [StepRecord(name, state) for name in PIPELINES[run.pipeline]]
        self._assert_here(run)
        return self._launcher.steps(run, self._clock())

    def log(self, run_id: str, step: str | None = None, *, after: int = 0) -> LogPart:
        """What a run wrote after an offset; of one step, or of all.

        Raises:
            Missing: there is none of that name.
            StackError: the cluster does not answer.
        """
        run = self.run(run_id)
        if run.started_at is None:
            return LogPart("", after)
        self._assert_here(run)
        return self._launcher.log(run, step, after)

    def faults(self) -> dict[str, str]:
        """By part, what the last tick could not do."""
        return self._faults.standing()

    def tick(self, lease: Lease | None = None) -> None:
        """Does everything due: notes what ended, ends what should have, lets triggers fire, starts what may start.

        It may take seconds, where a cluster or a bucket is asked, so it wants a thread of its own.

        Args:
            lease: what makes the caller leader; it changes nothing after another took over.
        """
        self._lease, self._done = lease, set()
        for run in self.runs(state="running"):
            with self._told(f"run {run.run_id}"):
                self._settle(run)
        busy = self._tidy()
        if self._triggers:
            with self._told("triggers"):
                self._triggers.tick(lease)
        for surface, pipeline in {(run.surface, run.pipeline) for run in self.runs(state="queued", limit=1000)} - busy:
            with self._told(f"the queue of {surface}, {pipeline}"):
                self._begin(surface, pipeline)
        for part in self._faults.standing().keys() - self._done:  # there is nothing left to do there
            self._faults.over(part)

    def _settle(self, run: Run) -> None:
        """Notes where a run is, or how it ended."""
        if run.where != self._launcher.where:
            self._ended(run, Ended("lost", error=f"it ran on {run.where}, which this control plane does not use any more"))
            return
        if run.pid is None and run.external_id is None:
            run = self._place(run)
        if run.state == "running" and (ended := self._launcher.look(run)):
            self._ended(run, ended)

    def _begin(self, surface: str, pipeline: str) -> None:
        with self._database.begin(self._lease) as session:
            chosen = next_queued(session, surface, pipeline)
            if chosen is None:
                return
            fields: dict[str, Any] = {"where": self._launcher.where, "folder": self._launcher.folder(chosen.run_id)}
            run = self._changed(session, chosen, why="its turn has come", state="running", **fields)
        self._place(run)

    def _place(self, run: Run) -> Run:
        before = self.run(run.retry_of) if run.retry_of else None
        try:
            placed = self._launcher.begin(run, before)
        except StackError:
            raise  # it is asked again at the next tick
        except (RankloopError, OSError) as error:
            return self._ended(run, Ended("failed", error=f"it could not be started: {error}"))
        if placed == (run.pid, run.external_id):
            return run
        why = f"process {placed.pid} runs it" if placed.pid else f"it is {placed.external_id} on the cluster"
        try:
            with self._database.begin(self._lease) as session:
                return self._changed(session, run, why=why, **placed._asdict())
        except Conflict:
            if self.run(run.run_id).state == "cancelled":  # while it was started
                self._launcher.end(replace(run, **placed._asdict()), kill=False)
            raise

    def _ended(self, run: Run, ended: Ended) -> Run:
        verdict = f"; verdict: {ended.verdict}" if ended.verdict else ""
        why = (ended.error.strip().splitlines() or [f"it ended by itself{verdict}"])[0]
        fields: dict[str, Any] = {name: getattr(ended, name) for name in ("state", "verdict", "release_id")}
        fields |= {"error": ended.error or None, "ended_at": ended.at or self._clock()}
        with self._database.begin(self._lease) as session:
            return self._changed(session, run, why=why, **fields)

    def _changed(self, session: Any, run: Run, *, why: str, **fields: Any) -> Run:
        return change_run(session, run.run_id, from_states=(run.state,), who=_ITSELF, why=why, at=self._clock(), **fields)

    def _tidy(self) -> set[tuple[str, str]]:
        """Ends what is left of runs that were cancelled or lost; the surfaces and pipelines where something still is."""
        busy, since = set[tuple[str, str]](), self._clock() - _TIDY_WITHIN
        for run in [*self.runs(state="cancelled", limit=_TIDIED_AT_MOST), *self.runs(state="lost", limit=_TIDIED_AT_MOST)]:
            known = run.run_id in self._tidied or run.started_at is None or run.where != self._launcher.where
            if known or run.ended_at is None or run.ended_at < since:
                continue
            busy.add((run.surface, run.pipeline))
            with self._told(f"the end of run {run.run_id}"):
                if self._launcher.end(run, kill=self._clock() >= run.ended_at + self._patience):
                    self._tidied.add(run.run_id)
                    busy.discard((run.surface, run.pipeline))
        return busy

    def _end(self, run: Run) -> None:
        """Ends a run's processes and waits until they are gone; a cluster is only told."""
        begun, patience = time.monotonic(), self._patience.total_seconds()
        while not self._launcher.end(run, kill=time.monotonic() - begun >= patience):
            if run.where != "local" or time.monotonic() - begun >= patience + _AFTER_KILL_SECONDS:
                return  # ticks go on
            time.sleep(_POLL_SECONDS)

    def _assert_here(self, run: Run) -> None:
        if run.where != self._launcher.where:
            raise Conflict(
                f"run {run.run_id} was made on {run.where}, this control plane uses {self._launcher.where}; look there"
            )

    @contextmanager
    def _told(self, part: str) -> Iterator[None]:
        self._done.add(part)
        try:
            with self._faults.of(part):
                yield
        except Conflict as error:
            log.info("%s: %s", part, error)  # it was changed meanwhile, and is read again at the next tick
