"""The idle slot without a canary: a release to compare with or to interleave, which serves nobody by itself."""

from msgspec.structs import replace

from rankloop.errors import Conflict
from services.control import database as db
from services.control.commands import Commands, Told, assert_free, servable

__all__ = ["SlotCommands"]


class SlotCommands(Commands):
    """The commands, and those for shadows and interleaving."""

    def hold(self, release_id: str, *, who: str, why: str = "") -> Told:
        """Puts a release into the idle slot, where nobody gets it, until something else takes the slot.

        Raises:
            Conflict: the idle slot is in use, or the release serves.
            ControlError: the release is not registered, or has no Bento.
        """
        with self._plane.change("held") as session:
            change = self._change(session, who, why)
            assert_free(session)
            servable(session, release_id, force="nobody gets it")
            now = change.now
            if now.release(now.stable) is None:
                raise Conflict(f"nothing serves yet beside which {release_id} could be held; let it serve instead")
            if now.release(now.stable) == release_id:
                raise Conflict(f"{release_id} serves already; hold another release")
            idle = now.slots().idle
            change.reserve(idle, release_id, "slots.filled", "kept warm")
        return Told(self._plane.tell(), f"{release_id} is being loaded into slot {idle}, where nobody gets it")

    def interleave(self, interleave_bp: int, *, who: str, why: str = "") -> Told:
        """Gives a share of the units both slots' lists, interleaved; 0 ends that.

        Raises:
            Conflict: a canary runs, or the idle slot does not answer with its release.
            StackError: the share cannot be; or an edge did not take it, and the leader goes on trying.
        """
        held = self._plane.server.holds() if interleave_bp else {}
        with self._plane.change("interleaved") as session:
            change = self._change(session, who, why)
            now, canary = change.now, db.active_canary(session)
            idle = now.slots().idle
            if interleave_bp and canary is not None:
                raise Conflict(f"canary {canary.canary_id} is {canary.status}; its lists are compared whole, so end it first")
            if interleave_bp and (now.release(idle) is None or held[idle] != now.release(idle)):
                raise Conflict(
                    f"slot {idle} does not answer with a release yet; hold one there first: `rankloop slots fill RELEASE`"
                )
            new = replace(now, interleave_bp=interleave_bp, kept_until=None if interleave_bp else now.kept_until)
            change.put(new, "slots.interleaved", now.release(idle) or idle)
        return Told(self._plane.tell(), f"{interleave_bp} basis points of the units get interleaved lists")

    def empty(self, *, who: str, why: str = "") -> Told:
        """Ends what the idle slot holds.

        Raises:
            Conflict: it is in use.
        """
        with self._plane.change("emptied") as session:
            change = self._change(session, who, why)
            assert_free(session)
            now = change.now
            idle = now.slots().idle
            change.move(now.release(idle), "retired", only_from=("kept warm",))
            change.put(replace(now, **{idle: None}, kept_until=None), "slots.emptied", now.release(idle) or idle)
        return Told(self._plane.tell(), f"slot {idle} is emptied")
