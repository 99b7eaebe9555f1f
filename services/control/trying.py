"""A release is tried before its first unit: it is put into a slot that nobody gets, and asked what people asked before."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from rankloop.errors import StackError
from services.control.changes import Change, Waiting, waiting
from services.control.database import Lease, Release, desired, release
from services.control.drivers.warming import Warmth
from services.control.faults import Faults
from services.control.jobs import Jobs
from services.control.plane import LOOP, Plane
from services.control.reconciling import Reconciler

__all__ = ["ATTEMPTS", "Filled", "Try", "Trying"]

Try = Callable[[str, Release], Warmth]
"""Asks a release in a slot what people asked, before the first of them gets it."""

ATTEMPTS: Final = 3
"""How often a release is put into a slot before it is given up."""

_PAUSE: Final = timedelta(seconds=10)


class Filled(NamedTuple):
    """What came of putting a release into a slot to try it.

    Attributes:
        warmth: how it took the requests; None: it does not answer.
        refused: why nobody may get it; empty: it may serve.
    """

    warmth: Warmth | None
    refused: str


class Trying:
    """Fills slots with releases on trial.

    Args:
        plane: the record and the world.
        faults: where what goes wrong is told.
        jobs: does what takes minutes.
        reconciler: knows whether anybody is sent to a slot, and fills it.
        tried: tries a release.
        slowest_ms: the p95 of an answer above which a release is refused, milliseconds.
    """

    def __init__(
        self, plane: Plane, faults: Faults, jobs: Jobs, reconciler: Reconciler, tried: Try, *, slowest_ms: float
    ) -> None:
        self._plane, self._faults, self._jobs, self._reconciler = plane, faults, jobs, reconciler
        self._tried, self._slowest_ms = tried, slowest_ms
        self._failed: dict[object, tuple[int, datetime]] = {}

    def outcome(self, slot: str, release_id: str, asked: str) -> Filled | None:
        """Puts a release into a slot that nobody gets, and tries it.

        Args:
            slot: which.
            release_id: which.
            asked: names the trial, such as a canary's name: another trial of the same release is another one.

        Returns:
            What came of it; None: not yet.
        """
        key = ("try", slot, release_id, asked)
        with self._plane.database.read() as session:
            found, serves = release(session, release_id), desired(session).stable == slot
        times, after = self._failed.get(key, (0, self._plane.clock()))
        if self._plane.clock() < after or not (serves or self._reconciler.is_quiet(slot)):
            return None
        try:
            ended, warmth = self._jobs.outcome(key, lambda: self._filled_and_tried(slot, found))
        except StackError as error:
            self._failed[key] = times + 1, self._plane.clock() + _PAUSE
            self._faults.met(f"slot {slot}", str(error))
            return Filled(None, str(error)) if times + 1 >= ATTEMPTS else None
        if not ended:
            return None
        self._failed.pop(key, None)
        self._faults.over(f"slot {slot}")
        return Filled(warmth, self._refused(warmth))

    def put_in(self, asked: Waiting, lease: Lease, *, keep: float) -> None:
        """Lets a release serve that was asked for without a canary, once it answers; or gives it up.

        Raises:
            Conflict: another process leads.
        """
        filled = self.outcome(asked.slot, asked.release_id, asked.why)
        if filled is None:
            return
        with self._plane.change("refused" if filled.refused else "served", lease) as session:
            if waiting(session) != asked:
                return
            if filled.refused:
                Change(session, LOOP, filled.refused, self._plane.clock()).give_up(asked, "release.refused")
            else:
                Change(session, asked.who, asked.why, self._plane.clock()).serve(asked, keep=keep)
        self._plane.tell()

    def _filled_and_tried(self, slot: str, found: Release) -> Warmth:
        self._reconciler.fill(slot, found)
        with self._plane.transition("trial"):
            return self._tried(slot, found)

    def _refused(self, warmth: Warmth) -> str:
        if not warmth.is_well:
            told = f": {'; '.join(warmth.worst)}" if warmth.worst else ""
            return (
                f"of {warmth.requests} requests to try it by, {warmth.failed} failed and {warmth.empty} were answered with "
                f"an empty list{told}"
            )
        if warmth.p95_ms is not None and warmth.p95_ms > self._slowest_ms:
            return f"one answer of twenty took longer than {warmth.p95_ms:.0f} ms; at most {self._slowest_ms:.0f} ms are allowed"
        return ""
