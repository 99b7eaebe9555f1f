"""Experiments: begun and ended by command, ended when their time is over, and read once their outcomes have come."""

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from rankloop.errors import Conflict
from services.control import database as db
from services.control.changes import Change
from services.control.commands import assert_settled
from services.control.database import Experiment, Lease
from services.control.jobs import Jobs
from services.control.plane import LOOP, Plane
from services.control.readout import Design, Readouts, due
from services.control.slotting import SlotCommands, assert_answers

__all__ = ["ExperimentCommands", "Experimenting"]

_MOST: Final = 100


class ExperimentCommands(SlotCommands):
    """The commands, and those of experiments."""

    def begin_experiment(self, share_bp: int, design: dict[str, Any], *, who: str, why: str = "") -> Experiment:
        """Gives a share of the units the lists of both slots, interleaved, for a time that is fixed now.

        Raises:
            Conflict: a canary or another experiment runs, a release is on its way, or the idle slot does not answer with
                its release.
            ControlError: the design cannot work.
            StackError: an edge did not take the share; the record stands, and the leader goes on trying.
        """
        fixed, held = Design.of(design), self._plane.server.holds()
        with self._by_hand("experiment begun", who, why) as change:
            assert_settled(change.session)
            now = change.now
            assert_answers(now, held)
            tried, stable = now.release(now.slots().idle), now.release(now.stable)
            if stable is None or tried is None:
                raise Conflict("nothing serves yet that a release could be interleaved with; let one serve first")
            begun = db.new_experiment(
                change.session,
                release_id=tried,
                against=stable,
                share_bp=share_bp,
                design=msgspec.to_builtins(fixed),
                who=change.who,
                why=change.why,
                at=change.at,
            )
            change.put(replace(now, interleave_bp=share_bp, kept_until=None), "experiment.weighted", begun.experiment_id)
        self._plane.tell()
        return begun

    def end_experiment(self, experiment_id: str, *, who: str, why: str = "") -> Experiment:
        """Ends an experiment before its time; its numbers are still read, and nothing is decided.

        Raises:
            Conflict: it ended before.
            Missing: there is none of that name.
        """
        with self._by_hand("experiment ended", who, why) as change:
            found = db.experiment(change.session, experiment_id)
            if found.status != "running":
                raise Conflict(f"experiment {experiment_id} is {found.status}; only one that runs can be ended")
            change.put(replace(change.now, interleave_bp=0), "experiment.withdrawn", experiment_id)
            ended = db.experiment(change.session, experiment_id)
        self._plane.tell()
        return ended


class Experimenting:
    """Carries experiments on.

    Args:
        plane: the record and the world.
        readouts: reads an experiment that ended.
        beside: False reads within the tick.
    """

    def __init__(self, plane: Plane, readouts: Readouts, *, beside: bool = True) -> None:
        self._plane, self._readouts, self._jobs = plane, readouts, Jobs(beside=beside)

    def follow(self, lease: Lease) -> None:
        """Ends the experiment whose time is over, and reads the oldest one that is ripe.

        Raises:
            Conflict: a command changed the record meanwhile, or another process leads; the next tick looks again.
            StackError: an edge did not take the share.
            SourceError: the log cannot be read.
        """
        with self._plane.database.read() as session:
            running = db.active_experiment(session)
            ended = db.experiments(session, status="ended", limit=_MOST)
        if running is not None and self._plane.clock() >= due(running):
            self._end(running, lease)
        waits = [own for own in reversed(ended) if self._plane.clock() >= self._readouts.ripe(own)]
        if waits:
            self._take(waits[0], lease)

    def _end(self, running: Experiment, lease: Lease) -> None:
        with self._plane.change("experiment over", lease) as session:
            if db.active_experiment(session) != running:
                raise Conflict(f"experiment {running.experiment_id} was changed by somebody else; it is looked at again")
            change = Change(session, LOOP, "its time is over", self._plane.clock())
            change.put(replace(change.now, interleave_bp=0), "experiment.withdrawn", running.experiment_id)
        self._plane.tell()

    def _take(self, ended: Experiment, lease: Lease) -> None:
        over, found = self._jobs.outcome(ended.experiment_id, lambda: self._readouts.read(ended))
        if not over:
            return
        with self._plane.change("experiment read", lease) as session:
            told = {"who": LOOP, "why": found.says, "at": self._plane.clock()}
            db.read_experiment(session, ended.experiment_id, msgspec.to_builtins(found), **told)
