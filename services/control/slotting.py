"""The slots by hand: a release to compare with, a share of the units without a canary, interleaved lists, and a swap."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from msgspec.structs import replace

from rankloop.errors import Conflict
from services.control import database as db
from services.control.changes import Change
from services.control.commands import Commands, Told, assert_free, assert_settled, servable
from services.control.database import Desired

__all__ = ["SlotCommands", "assert_answers"]


class SlotCommands(Commands):
    """The commands, and those that change the slots without a canary: no policy judges what they do."""

    def hold(self, release_id: str, *, who: str, why: str = "") -> Told:
        """Puts a release into the idle slot, where nobody gets it, until something else takes the slot.

        Raises:
            Conflict: the idle slot is in use or has a share, or the release serves.
            ControlError: the release is not registered, or has no Bento.
        """
        with self._by_hand("held", who, why) as change:
            assert_free(change.session)
            servable(change.session, release_id, force="nobody gets it")
            now = change.now
            if now.release(now.stable) is None:
                raise Conflict(f"nothing serves yet beside which {release_id} could be held; let it serve instead")
            if now.release(now.stable) == release_id:
                raise Conflict(f"{release_id} serves already; hold another release")
            idle = now.slots().idle
            change.reserve(idle, release_id, "slots.filled", "kept warm")
        return Told(self._plane.tell(), f"{release_id} is being loaded into slot {idle}, where nobody gets it")

    def weigh(self, canary_bp: int, *, who: str, why: str = "") -> Told:
        """Gives the idle slot's release a share of the units, with no canary to judge it; 0 takes it away.

        Raises:
            Conflict: a canary or a release on its way decides the share, or the idle slot does not answer with its release.
            StackError: the share cannot be; or an edge did not take it, and the leader goes on trying.
        """
        held = self._plane.server.holds() if canary_bp else {}
        with self._by_hand("weighed", who, why) as change:
            assert_settled(change.session)
            now = change.now
            if canary_bp:
                assert_answers(now, held)
            idle = now.slots().idle
            new = replace(now, canary_bp=canary_bp, kept_until=None if canary_bp else now.kept_until)
            change.put(new, "slots.weighted", now.release(idle) or idle)
        return Told(self._plane.tell(), f"slot {idle} gets {canary_bp} basis points of the units, slot {now.stable} the rest")

    def interleave(self, interleave_bp: int, *, who: str, why: str = "") -> Told:
        """Gives a share of the units both slots' lists, interleaved; 0 ends that.

        Raises:
            Conflict: a canary or an experiment runs, a release is on its way, or the idle slot does not answer with its
                release.
            StackError: the share cannot be; or an edge did not take it, and the leader goes on trying.
        """
        held = self._plane.server.holds() if interleave_bp else {}
        with self._by_hand("interleaved", who, why) as change:
            now, canary = change.now, db.active_canary(change.session)
            idle = now.slots().idle
            if interleave_bp and canary is not None:
                raise Conflict(f"canary {canary.canary_id} is {canary.status}; its lists are compared whole, so end it first")
            running = db.active_experiment(change.session)
            if interleave_bp and running is not None:
                raise Conflict(f"experiment {running.experiment_id} has {running.share_bp} basis points; end it first")
            if interleave_bp:
                assert_settled(change.session)
                assert_answers(now, held)
            new = replace(now, interleave_bp=interleave_bp, kept_until=None if interleave_bp else now.kept_until)
            change.put(new, "slots.interleaved", now.release(idle) or idle)
        return Told(self._plane.tell(), f"{interleave_bp} basis points of the units get both slots' lists, interleaved")

    def swap(self, *, who: str, why: str = "") -> Told:
        """Makes the idle slot the stable one, which has everybody; the other one stays warm, so that a swap goes back.

        Raises:
            Conflict: a canary or a release on its way decides who serves, or the idle slot does not answer with its release.
            StackError: an edge did not take it; the record stands, and the leader goes on trying.
        """
        held = self._plane.server.holds()
        with self._by_hand("swapped", who, why) as change:
            assert_settled(change.session)
            now = change.now
            assert_answers(now, held)
            serves, left = now.release(now.slots().idle), now.release(now.stable)
            change.swap("slots.swapped", left="kept warm", keep=self._keep)
        warm = f"{left} stays warm in slot {now.stable}" if left else f"slot {now.stable} is empty"
        return Told(self._plane.tell(), f"{serves} serves everybody; {warm}")

    def empty(self, *, who: str, why: str = "") -> Told:
        """Ends what the idle slot holds.

        Raises:
            Conflict: it is in use, or has a share.
        """
        with self._by_hand("emptied", who, why) as change:
            assert_free(change.session)
            now = change.now
            idle = now.slots().idle
            change.move(now.release(idle), "retired", only_from=("kept warm",))
            change.put(replace(now, **{idle: None}, kept_until=None), "slots.emptied", now.release(idle) or idle)
        return Told(self._plane.tell(), f"slot {idle} is emptied")

    @contextmanager
    def _by_hand(self, name: str, who: str, why: str) -> Iterator[Change]:
        """One transaction; where nothing was decided yet, what is there becomes the record first."""
        found = self._found()
        with self._plane.change(name) as session:
            change = self._change(session, who, why)
            change.adopt(found)
            yield change


def assert_answers(now: Desired, held: Mapping[str, str | None]) -> None:
    """Whether the idle slot answers with the release that it should hold.

    Raises:
        Conflict: it is empty, or its release is not loaded yet.
    """
    idle = now.slots().idle
    wanted = now.release(idle)
    if wanted is None:
        raise Conflict(f"slot {idle} holds no release that answers; fill it first: `rankloop slots fill RELEASE`")
    if held[idle] != wanted:
        raise Conflict(f"slot {idle} holds no release that answers: {wanted} is being loaded; wait until `rankloop slots` has it")
