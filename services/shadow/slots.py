"""Which two releases there are to compare."""

import json
import logging
from typing import NamedTuple, Protocol

import msgspec

from rankloop.errors import PartMissing, RankloopError
from services.edge import Slots
from services.ranking.part import SlotClient
from services.ranking.schemas import Readiness
from services.settings import Settings

__all__ = ["EdgeSlots", "Pair", "Pairs"]

log = logging.getLogger(__name__)

_SECONDS = 2.0


class Pair(NamedTuple):
    """Two releases.

    Attributes:
        stable: the release that people see.
        other: the release in the other slot.
        slot: that slot.
    """

    stable: str
    other: str
    slot: str


class Pairs(Protocol):
    """Says what there is to compare."""

    async def now(self) -> Pair | None:
        """The pair; None where the other slot is empty or holds the same release."""

    def client(self, slot: str) -> SlotClient:
        """Asks a slot."""


class EdgeSlots:
    """What the edge has recorded, and what the slots say of themselves.

    Args:
        settings: where the edge is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clients: dict[str, SlotClient] = {}

    async def now(self) -> Pair | None:
        """The pair; None where the other slot is empty or holds the same release."""
        try:
            slots = Slots.read(self._settings.home / "edge" / "slots.json")
        except (OSError, json.JSONDecodeError, TypeError, RankloopError) as error:
            log.warning("the record of the slots cannot be read: %s", error)
            return None
        stable, other = await self._release(slots.stable), await self._release(slots.idle)
        if stable is None or other is None or stable == other:
            return None
        return Pair(stable, other, slots.idle)

    def client(self, slot: str) -> SlotClient:
        """Asks a slot through the edge's inner listener."""
        if slot not in self._clients:
            self._clients[slot] = SlotClient(self._settings.slot_url(slot))
        return self._clients[slot]

    async def _release(self, slot: str) -> str | None:
        try:
            reply = await (await self.client(slot).ask("/readyz", seconds=_SECONDS)).reply(_SECONDS)
            return msgspec.json.decode(reply.body, type=Readiness).release_id if reply.status == 200 else None
        except (PartMissing, msgspec.DecodeError):
            return None
