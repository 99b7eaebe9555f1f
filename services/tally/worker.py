"""Follows the spools, keeps the tally, puts it away, and says what there is."""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

from monitoring.metrics import TallyMetrics
from rankloop.canary import Coverage
from rankloop.errors import DataError
from services.events.records import ErasureRecord, EventRecord, ImpressionRecord
from services.settings import Settings
from services.tally.following import Following
from services.tally.keeping import write_positions
from services.tally.phase import Phase
from services.tally.slots import EdgePhases, Phases
from services.tally.snapshot import new_tally, read, write
from services.tally.tally import WINDOW
from services.tally.telling import Board

__all__ = ["Worker"]

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.2
_SAVE_SECONDS: Final = 5.0
_TELL_SECONDS: Final = 1.0
_COVERAGE_SECONDS: Final = 5.0
_SHARE: Final = 20
"""Putting away, and comparing coverage, take at most a twentieth of the time each."""

_OLD_SECONDS: Final = WINDOW + 600.0


class Worker:
    """The tally of one machine.

    Args:
        settings: where the home folder is.
        metrics: where it is shown.
        phases: what holds; None: what the edge has recorded.
        clock: Unix time, seconds.
    """

    def __init__(
        self, settings: Settings, metrics: TallyMetrics, phases: Phases | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.file = settings.home / "tally" / "tally.msgpack"
        self._clock, positions = clock, None
        self.tally, self._confirmed = new_tally(), 0.0
        if self.file.exists():
            try:
                self.tally, positions = read(self.file)
                self._confirmed = self.file.stat().st_mtime
            except DataError as error:
                log.warning("%s", error)
                self.file.replace(self.file.with_suffix(".unreadable"))
        self._phases = phases or EdgePhases(settings, self.tally.phase)
        self._following = Following(settings.home / "spool", positions, clock() - _OLD_SECONDS)
        self.board = Board(metrics, clock)
        self._coverage: Coverage | None = None
        self._look_at = self._save_at = self._tell_at = self._compare_at = 0.0

    def run(self, stopping: threading.Event) -> None:
        """Works until it is told to stop, and keeps what it has."""
        while not stopping.is_set():
            if not self.step():
                stopping.wait(_LOOK_SECONDS)
        self.save()

    def step(self) -> bool:
        """Takes what is new in the spools, or a part of it; gives whether there is more already."""
        now = self._clock()
        if now >= self._look_at:
            self._look(now)
        records, reached, more = self._following.read(now)
        for record in records:
            if isinstance(record, ImpressionRecord):
                self.tally.take_list(record)
            elif isinstance(record, EventRecord):
                self.tally.take_event(record)
            elif isinstance(record, ErasureRecord):
                self.tally.forget(record.user_id, secrets.randbits(64))
        self.tally.advance(reached)
        self.board.reached = reached
        if now >= self._tell_at:
            self.tell()
        if now >= self._save_at:
            self.save()
        return more

    def tell(self) -> None:
        """Shows what there is."""
        now = self._clock()
        self._tell_at = now + _TELL_SECONDS
        if now >= self._compare_at:
            began = time.perf_counter()
            self._coverage = self.tally.coverage()
            self._compare_at = now + max(_COVERAGE_SECONDS, _SHARE * (time.perf_counter() - began))
        self.board.show(self.tally, self._coverage)

    def save(self) -> None:
        """Puts the tally away, with where it stands."""
        began = time.perf_counter()
        write(self.tally, self._following.positions, self.file)
        write_positions(self.file.parent, self._following.positions)
        self._save_at = self._clock() + max(_SAVE_SECONDS, _SHARE * (time.perf_counter() - began))

    def _look(self, now: float) -> None:
        """Another share, stable slot or release begins another phase."""
        self._look_at = now + _LOOK_SECONDS
        held, found = self.tally.phase, self._phases.now()
        if found is None:
            return
        changed_unseen = self._confirmed and found.began > self._confirmed
        self._confirmed = 0.0
        if found.same(held) and not changed_unseen:
            return
        phase = Phase(now, found.slots, found.releases, found.canary_bp)
        self.tally.begin(phase)
        self._coverage, self._compare_at, self._tell_at = None, 0.0, 0.0
        self.save()
        log.info("a phase begins: %s serves %s, %s has %d bp: %s", *_told(phase))


def _told(phase: Phase) -> tuple[str, str, str, int, str]:
    return phase.slots[0], phase.releases[0] or "nothing", phase.slots[1], phase.canary_bp, phase.releases[1] or "nothing"
