"""Which release is in which slot, and which share of the units the other one has."""

import json
import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

import httpx
import msgspec

from rankloop.errors import RankloopError
from services.edge import AdminSocket, Slots
from services.ranking.schemas import Readiness
from services.settings import Settings
from services.tally.phase import Phase

__all__ = ["EdgePhases", "Phases"]

log = logging.getLogger(__name__)

_SECONDS: Final = 1.0
_ASK_EVERY: Final = 2.0


class Phases(Protocol):
    """Says what holds now."""

    def now(self) -> Phase | None:
        """What holds; None where that cannot be told. `began` is when it was last changed, if that is known, else 0."""


class EdgePhases:
    """What the edge has recorded, and what the slots say of themselves.

    Args:
        settings: where the edge is.
        known: what held when a former process ended: a slot that is not asked in time has the release it had.
        clock: seconds that only grow.
    """

    def __init__(self, settings: Settings, known: Phase | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._file = settings.home / "edge" / "slots.json"
        self._known = dict(zip(known.slots, known.releases, strict=True)) if known else {}
        headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
        self._client = httpx.Client(timeout=_SECONDS, headers=headers, trust_env=False)
        self._sockets = [AdminSocket(one.strip()) for one in settings.edges.split(",") if one.strip()]
        self._asked: tuple[Slots, float] | None = None

    def now(self) -> Phase | None:
        """What holds; None where the record cannot be read."""
        try:
            slots, changed = self._recorded()
        except (OSError, json.JSONDecodeError, TypeError, RankloopError) as error:
            log.warning("who gets which slot cannot be read: %s", error)
            return None
        if self._asked is None or self._asked[0] != slots or self._clock() - self._asked[1] >= _ASK_EVERY:
            for slot in (slots.stable, slots.idle):
                self._ask(slot, needed=slot == slots.stable or slots.canary_bp > 0)
            self._asked = (slots, self._clock())
        stable, other = (self._known.get(slot, "") for slot in (slots.stable, slots.idle))
        return Phase(changed, (slots.stable, slots.idle), (stable, "" if other == stable else other), slots.canary_bp)

    def _recorded(self) -> tuple[Slots, float]:
        """The slots, and when their record was written: this machine's, or what the first of several edges does."""
        if self._sockets:
            return self._sockets[0].weights(), 0.0
        return Slots.read(self._file), self._file.stat().st_mtime if self._file.exists() else 0.0

    def _ask(self, slot: str, *, needed: bool) -> None:
        """A slot that has a weight and does not answer is being started again; it is not another one."""
        try:
            reply = self._client.get(f"{self._settings.slot_url(slot)}/readyz")
            found = msgspec.json.decode(reply.content, type=Readiness).release_id if reply.status_code == 200 else ""
        except (httpx.HTTPError, msgspec.DecodeError):
            found = ""
        if found or not needed:
            self._known[slot] = found
