"""The control plane: commands for everybody, and the loop for whoever leads."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from rankloop.errors import Conflict
from services.control.changes import Waiting, waiting
from services.control.database import Canary, Database, Desired, Lease, active_canary, desired, leader
from services.control.drivers.base import Edges, Server
from services.control.experimenting import ExperimentCommands, Experimenting
from services.control.faults import Faults, recorded
from services.control.jobs import Jobs
from services.control.leading import LEASE, Leading
from services.control.observing import Observer
from services.control.ordering import take_orders
from services.control.plane import LOOP, Plane, nothing, now
from services.control.progress import OBSERVATION, Progress
from services.control.readout import Readouts
from services.control.reconciling import Reconciler
from services.control.trying import Try, Trying

__all__ = ["Controller", "Status"]

log: Final = logging.getLogger("services.control")

_RECORD: Final = "record"


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How this process is doing.

    Attributes:
        leads: whether its loop runs.
        holder: whose loop runs; None: nobody's.
        last_tick: when its last round ended, UTC; None: not yet.
        faults: by part, what is not well, for this process or the leader; empty: everything is.
        waiting: the release that serves as soon as it answers; None: there is none.
    """

    leads: bool
    holder: str | None
    last_tick: datetime | None
    faults: dict[str, str]
    waiting: str | None


class Controller(ExperimentCommands):
    """Commands, and one round of the loop as `tick`; several processes on one record choose a leader.

    Args:
        database: the record.
        edges: who gets which release.
        server: which release is in which slot.
        observer: counts what both slots did.
        tried: tries a release before its first unit.
        readouts: reads experiments that ended.
        clock: the present moment, UTC.
        passed: is told of each transition; a test ends the process there.
        holder: this process's name; empty: a new one.
        home: where orders of direct rollbacks lie; None: none are taken.
        lease_seconds: how long the lease holds unless it is renewed.
        keep_warm_seconds: how long a slot stays warm that was left without a canary.
        slowest_ms: the p95 of an answer above which a release is refused, milliseconds.
        start_seconds: the longest wait for a slot to be filled or emptied.
        beside: False does what takes minutes within the tick.
    """

    def __init__(
        self,
        database: Database,
        edges: Edges,
        server: Server,
        observer: Observer,
        tried: Try,
        *,
        readouts: Readouts,
        clock: Callable[[], datetime] = now,
        passed: Callable[[str], None] = nothing,
        holder: str = "",
        home: Path | None = None,
        lease_seconds: float = 10.0,
        keep_warm_seconds: float = 3600.0,
        slowest_ms: float = 1000.0,
        start_seconds: float = 120.0,
        beside: bool = True,
    ) -> None:
        plane = Plane(database, edges, server, clock, passed)
        super().__init__(plane, keep_warm_seconds=keep_warm_seconds)
        self._home, jobs = home, Jobs(beside=beside)
        self._leading = Leading(database, seconds=lease_seconds, holder=holder)
        self._faults = Faults(database, LOOP, clock)
        self._reconciler = Reconciler(plane, self._faults, jobs, seconds=start_seconds)
        self._trying = Trying(plane, self._faults, jobs, self._reconciler, tried, slowest_ms=slowest_ms)
        self._progress = Progress(plane, self._faults, self._trying, observer)
        self._experimenting = Experimenting(plane, readouts, beside=beside)
        self._last: datetime | None = None

    @property
    def lease(self) -> Lease | None:
        """What makes this process leader; None: it follows."""
        return self._leading.lease

    def tick(self) -> bool:
        """One round: leads or follows, and does all that is due; what goes wrong in one part stops no other.

        Returns:
            Whether it leads.
        """
        lease = None
        try:
            with self._faults.of(_RECORD):
                lease = self._lease()
                self._orders()
                if lease is not None:
                    self._round(lease)
        except Conflict as error:
            log.info("%s", error)  # the next round reads the record again
        self._last = self._plane.clock()
        return lease is not None

    def run(self, stopping: threading.Event, *, seconds: float = 1.0) -> None:
        """Ticks until it is told to end, then gives the lease back.

        Args:
            stopping: set to end it.
            seconds: between two ticks.
        """
        while not stopping.is_set():
            self.tick()
            stopping.wait(seconds)
        with self._faults.of(_RECORD):
            self._leading.leave()

    def status(self) -> Status:
        """How this process is doing.

        Raises:
            ControlError: the database does not answer.
        """
        with self._plane.database.read() as session:
            leads, asked, told = leader(session, LEASE), waiting(session), recorded(session)
        holder = leads.holder if leads else None
        return Status(
            leads=holder == self._leading.holder,
            holder=holder,
            last_tick=self._last,
            faults=told | self._faults.standing(),
            waiting=asked.release_id if asked else None,
        )

    def _lease(self) -> Lease | None:
        led = self._leading.lease is not None
        with self._plane.transition("lease"):
            lease = self._leading.take()
        if lease is not None and not led:
            self._faults.recall()
        return lease

    def _orders(self) -> None:
        if self._home is not None:
            with self._faults.of("orders"):
                take_orders(self._plane, self._home, keep=self._keep)

    def _round(self, lease: Lease) -> None:
        wanted, _, _ = self._look()
        if wanted.version == 0:
            return  # nothing was decided yet, so nothing is touched
        with self._faults.of("edges"):
            self._reconciler.edges_follow(lease)
        with self._faults.of("serve"):
            self._reconciler.slots_follow()
        wanted, canary, asked = self._look()
        if canary is None:
            self._faults.over(OBSERVATION)
        with self._faults.of("canary"):
            if canary is not None:
                self._progress.follow(canary, lease)
            elif asked is not None:
                self._trying.put_in(asked, lease, keep=self._keep)
            else:
                self._progress.retire(wanted, lease)
        with self._faults.of("experiment"):
            self._experimenting.follow(lease)

    def _look(self) -> tuple[Desired, Canary | None, Waiting | None]:
        with self._plane.database.read() as session:
            return desired(session), active_canary(session), waiting(session)
