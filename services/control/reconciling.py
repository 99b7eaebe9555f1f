"""Makes the world equal to the record: first who gets which release, then what is in the slots."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from rankloop.errors import StackError
from services.control.changes import waiting
from services.control.database import Canary, Desired, Lease, Release, Session, active_canary, desired, record, release
from services.control.faults import Faults
from services.control.jobs import Jobs
from services.control.plane import LOOP, Plane
from services.edge.slots import Slots

__all__ = ["Reconciler"]


class Reconciler:
    """Puts right what differs from the record, for whatever reason it does.

    Args:
        plane: the record and the world.
        faults: where what cannot be put right is told.
        jobs: does what takes minutes.
        seconds: the longest wait for a slot to be filled or emptied.
    """

    def __init__(self, plane: Plane, faults: Faults, jobs: Jobs, *, seconds: float) -> None:
        self._plane, self._faults, self._jobs, self._seconds = plane, faults, jobs, seconds
        self._seen: dict[str, Slots] = {}
        self._emptied: set[str] = set()

    def edges_follow(self, lease: Lease) -> None:
        """Puts right every edge that does not split as the record says.

        Raises:
            StackError: one does not answer, or did not take it.
        """
        wanted = self._plane.wanted()
        found = self._read()
        strays = {name: slots for name, slots in found.items() if slots not in (None, wanted.slots())}
        if strays and self._plane.wanted().version == wanted.version:  # else somebody who changed the record tells them now
            try:
                self._plane.tell()
            finally:
                after = self._read()
                self._corrected({name: slots for name, slots in strays.items() if after[name] != slots}, wanted, lease)
        if silent := sorted(name for name, slots in found.items() if slots is None):
            raise StackError(f"{', '.join(silent)} does not answer, and splits as it was told last; see that it runs")

    def slots_follow(self) -> None:
        """Fills a slot that does not hold what it should, the stable one first, and empties one that should be empty.

        Raises:
            StackError: Serve does not answer.
        """
        held = self._plane.server.holds()
        with self._plane.database.read() as session:
            wanted, canary, asked = desired(session), active_canary(session), waiting(session)
            needed = {slot: _needed(session, slot, wanted, canary) for slot in (wanted.stable, wanted.slots().idle)}
        on_trial = canary.slot if canary and canary.status == "warming" else asked.slot if asked else None
        for slot, own in needed.items():
            if slot == on_trial:
                continue  # it is filled and tried in one
            used = slot == wanted.stable or wanted.canary_bp > 0 or wanted.interleave_bp > 0
            if own is not None and held[slot] != own.release_id and (used or self.is_quiet(slot)):
                return self._do(slot, ("fill", slot, own.release_id), partial(self.fill, slot, own))
            if wanted.release(slot) is None and (held[slot] or slot not in self._emptied) and self.is_quiet(slot):
                return self._do(slot, ("clear", slot), partial(self._clear, slot))
            self._faults.over(f"slot {slot}")

    def is_quiet(self, slot: str) -> bool:
        """Whether no edge sends anybody to a slot: each was read, and what was read last says so."""
        splits = [self._seen.get(name) for name in self._plane.edges.names()]
        return all(own is not None and own.idle == slot and not own.canary_bp and not own.interleave_bp for own in splits)

    def fill(self, slot: str, found: Release) -> None:
        """Puts a release into a slot and waits until it answers.

        Raises:
            StackError: it does not.
        """
        self._emptied.discard(slot)
        with self._plane.transition("fill"):
            self._plane.server.fill(slot, found.release_id, found.bento, say=lambda _: None, seconds=self._seconds)

    def _clear(self, slot: str) -> None:
        with self._plane.transition("clear"):
            self._plane.server.clear(slot, seconds=self._seconds)
        self._emptied.add(slot)

    def _read(self) -> dict[str, Slots | None]:
        found = self._plane.edges.read()
        self._seen |= {name: slots for name, slots in found.items() if slots is not None}
        return found

    def _corrected(self, strays: dict[str, Slots | None], wanted: Desired, lease: Lease) -> None:
        if not strays:
            return
        with self._plane.change("corrected", lease) as session:
            why = f"{', '.join(sorted(strays))} did not split as version {wanted.version} of the record says"
            facts = {name: msgspec.to_builtins(slots) for name, slots in strays.items()}
            record(session, kind="edges.corrected", subject="edges", who=LOOP, why=why, at=self._plane.clock(), facts=facts)

    def _do(self, slot: str, key: tuple[str, ...], work: Callable[[], Any]) -> None:
        """Mends a slot beside the loop; until then it is a fault."""
        part = f"slot {slot}"
        try:
            ended, _ = self._jobs.outcome(key, work)
        except StackError as error:
            return self._faults.met(part, str(error))
        if ended:
            self._faults.over(part)
        elif key[0] == "fill":
            self._faults.met(part, f"no answer of {key[2]} in it; it is being filled again")


def _needed(session: Session, slot: str, wanted: Desired, canary: Canary | None) -> Release | None:
    """The release that must answer in a slot; a release that is kept only to be looked at is not put back."""
    release_id = wanted.release(slot)
    if release_id is None:
        return None
    found = release(session, release_id)
    on_trial = canary is not None and canary.slot == slot
    return found if on_trial or found.state in ("serving", "kept warm") else None
