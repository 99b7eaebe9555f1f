"""What people and programs may ask of the control plane; each is one transaction, and the edges are told before it answers."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from rankloop.canary import Policy, State, abort, pause, promote, resume
from rankloop.errors import Conflict, ControlError, StackError
from services.control import database as db
from services.control.changes import Change, Found, previous, waiting
from services.control.database import Canary, CanaryStatus, Desired, Release, ReleaseFacts, Session
from services.control.plane import Plane
from services.edge.slots import Slots

__all__ = ["Commands", "Told", "assert_free", "assert_settled", "servable"]

_SILENT: Final = "no reason was given"
_ASK_SECONDS: Final = 0.5
Turn = Callable[[State, float, str], State]


class Told(NamedTuple):
    """What a command that changes who serves came to.

    Attributes:
        desired: what should be now.
        said: in a sentence, what follows: at once, or as soon as a release answers.
    """

    desired: Desired
    said: str


class Commands:
    """Needs no leader: the record takes turns, and whoever commits tells the edges.

    Args:
        plane: the record and the world.
        keep_warm_seconds: how long the slot that is left by a rollback, or by a release served at once, stays warm.
    """

    def __init__(self, plane: Plane, *, keep_warm_seconds: float = 3600.0) -> None:
        self._plane, self._keep = plane, keep_warm_seconds

    def register(self, facts: ReleaseFacts, *, who: str, why: str = "") -> Release:
        """Makes a release known.

        Raises:
            Conflict: a release of this id has other files.
        """
        with self._plane.change("registered") as session:
            return db.register(session, facts, who=who, why=why.strip() or _SILENT, at=self._plane.clock())

    def start_canary(
        self, release_id: str, policy: Policy | Mapping[str, Any], *, who: str, why: str = "", force: str = ""
    ) -> str:
        """Tries a release beside the one that serves: it is loaded and tried first, and gets its first share then.

        Args:
            release_id: what is tried.
            policy: what decides, or the fields that differ from the default.
            who: asks for it.
            why: a sentence.
            force: why the gate's verdict is passed over; empty: it is not.

        Returns:
            The canary's name.

        Raises:
            SettingsError: the policy cannot work.
            Conflict: another release is on its way, it serves already, nothing serves yet, or the gate said no.
            ControlError: the release is not registered, or has no Bento.
        """
        rules, found = policy if isinstance(policy, Policy) else Policy.of(policy), self._found()
        with self._plane.change("canary asked for") as session:
            change = self._change(session, who, f"{why} (in spite of the gate: {force})" if force else why)
            change.adopt(found)
            assert_free(session)
            servable(session, release_id, force)
            now = change.now
            against = now.release(now.stable)
            if against is None or db.release(session, against).state != "serving":
                raise Conflict(f"nothing serves that {release_id} could be compared with; let it serve at once instead")
            if against == release_id:
                raise Conflict(f"{release_id} serves already; a canary takes another release")
            slot = now.slots().idle
            canary = db.new_canary(
                session,
                release_id=release_id,
                against=against,
                slot=slot,
                policy=msgspec.to_builtins(rules),
                who=change.who,
                why=change.why,
                at=change.at,
            )
            change.reserve(slot, release_id, "slots.reserved")
        self._plane.tell()
        return canary.canary_id

    def pause(self, canary_id: str, *, who: str, why: str = "") -> Canary:
        """Holds a canary's share where it is; its guardrails still roll it back.

        Raises:
            Conflict: it does not run.
            ControlError: there is none of that name.
        """
        return self._turned(canary_id, pause, "paused", who, why)

    def resume(self, canary_id: str, *, who: str, why: str = "") -> Canary:
        """Lets a paused canary go on.

        Raises:
            Conflict: it is not paused.
            ControlError: there is none of that name.
        """
        return self._turned(canary_id, resume, "running", who, why)

    def promote(self, canary_id: str, *, who: str, why: str = "") -> Told:
        """Makes a canary's release serve everybody, whatever the evidence says.

        Raises:
            Conflict: it has ended, or has answered nobody yet.
            ControlError: there is none of that name.
            StackError: an edge did not take it; the record stands, and the leader goes on trying.
        """
        with self._plane.change("promoted") as session:
            canary, change = db.canary(session, canary_id), self._change(session, who, why)
            state = _turn(canary, promote, change) if canary.status != "warming" else None
            change.promote(canary, keep=_keep(canary), state=state)
        return Told(self._plane.tell(), f"{canary.release_id} serves everybody")

    def abort(self, canary_id: str, *, who: str, why: str = "") -> Told:
        """Ends a canary; the stable release has everybody.

        Raises:
            Conflict: it has ended.
            ControlError: there is none of that name.
            StackError: an edge did not take it; the record stands, and the leader goes on trying.
        """
        with self._plane.change("aborted") as session:
            canary, change = db.canary(session, canary_id), self._change(session, who, why)
            self._withdraw(change, canary, "aborted")
        return Told(self._plane.tell(), f"{canary.release_id} has nobody any more; {canary.against} serves everybody")

    def rollback(self, *, who: str, why: str = "") -> Told:
        """Goes back to the last release that served, from any state.

        A canary is ended, as is the loading of a release that was to serve at once, or a share that was given by hand. Where
        there is none of these, the release that served before takes everybody at once if its slot is warm still; else it is
        loaded first, and then takes everybody.

        Raises:
            Conflict: no release served before.
            StackError: an edge did not take it; the record stands, and the leader goes on trying.
        """
        warm = self._warm()
        with self._plane.change("rolled back") as session:
            said = self._back(session, self._change(session, who, why), warm)
        return Told(self._plane.tell(), said)

    def serve_now(self, release_id: str, *, who: str, why: str = "", force: str = "") -> Told:
        """Makes a release serve everybody without a canary, as soon as it answers and was tried.

        Args:
            release_id: what will serve.
            who: asks for it.
            why: a sentence.
            force: why the gate's verdict is passed over; empty: it is not.

        Raises:
            Conflict: another release is on its way, or the gate said no.
            ControlError: the release is not registered, or has no Bento.
            StackError: an edge did not take it; the record stands, and the leader goes on trying.
        """
        warm, found = self._warm(), self._found()
        with self._plane.change("asked to serve") as session:
            change = self._change(session, who, f"{why} (in spite of the gate: {force})" if force else why)
            change.adopt(found)
            said = _already(session, release_id)
            if not said:
                assert_free(session)
                servable(session, release_id, force)
                said = self._given(change, release_id, warm, back=False)
        return Told(self._plane.tell(), said)

    def _back(self, session: Session, change: Change, warm: str | None) -> str:
        canary, asked = db.active_canary(session), waiting(session)
        if canary is not None:
            self._withdraw(change, canary, "rolled back")
            return f"{canary.release_id} has nobody any more; {canary.against} serves everybody"
        if asked is not None and asked.back:
            return f"{asked.release_id} is being loaded already, and serves everybody as soon as it answers"
        if asked is not None:
            change.give_up(asked, "rollback")
            return f"{asked.release_id} will not serve; everything stays as it was"
        now = change.now
        if now.canary_bp or now.interleave_bp:
            stable = now.release(now.stable) or now.stable
            change.put(replace(now, canary_bp=0, interleave_bp=0), "rollback", stable)
            return f"{now.release(now.slots().idle)} has nobody any more; {stable} serves everybody"
        target = previous(session)
        if target is None:
            raise Conflict("no release served before the present one that was not rolled back itself; start a canary of another")
        return self._given(change, target, warm, back=True)

    def _given(self, change: Change, release_id: str, warm: str | None, *, back: bool) -> str:
        """Gives everybody a release: at once where it answers in the idle slot, else as soon as it does."""
        now = change.now
        idle = now.slots().idle
        if warm == release_id == now.release(idle) and _serves(change.session, now.release(now.stable)):
            kind, left = ("rollback", "rolled back") if back else ("release.served", "kept warm")
            change.swap(kind, left=left, keep=self._keep)  # type: ignore[arg-type]
            return f"{release_id} serves everybody"
        wanted = change.want(release_id, back=back)
        slot = next(name for name in (idle, now.stable) if wanted.release(name) == release_id)
        return f"{release_id} is being loaded into slot {slot}, and serves everybody as soon as it answers"

    def _withdraw(self, change: Change, canary: Canary, status: CanaryStatus) -> None:
        state = None
        if canary.status != "warming":
            state = {**_turn(canary, abort, change), "status": status}
        kind = "rollback" if status == "rolled back" else "canary.withdrawn"
        change.withdraw(canary, status, kind, keep=_keep(canary), state=state)

    def _turned(self, canary_id: str, turn: Turn, status: CanaryStatus, who: str, why: str) -> Canary:
        kind = "canary.paused" if status == "paused" else "canary.resumed"
        with self._plane.change(status) as session:
            canary, change = db.canary(session, canary_id), self._change(session, who, why)
            if canary.status not in ("running", "paused"):
                raise Conflict(f"canary {canary_id} is {canary.status}; only one that runs can be paused or resumed")
            return change.turn(canary, kind, status=status, state=_turn(canary, turn, change))

    def _warm(self) -> str | None:
        """The release that answers in the idle slot; asked only where nothing else is under way, and not for long.

        Where the answer takes too long (a slot that serves badly is asked too) a release that is kept warm is taken at the
        record's word: somebody waits for a rollback.
        """
        with self._plane.database.read() as session:
            if db.active_canary(session) is not None or waiting(session) is not None:
                return None
            now = db.desired(session)
            idle = now.slots().idle
            held = now.release(idle)
            warm = held if held is not None and db.release(session, held).state == "kept warm" else None
        if held is None:
            return None
        found: list[str | None] = []

        def ask() -> None:
            with suppress(StackError):
                found.append(self._plane.server.holds().get(idle))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(_ASK_SECONDS)
        return found[0] if found else warm if asking.is_alive() else None

    def _found(self) -> Found | None:
        """What is there; None where something was decided already, so that the record counts."""
        if self._plane.wanted().version:
            return None
        slots = next((own for own in self._plane.edges.read().values() if own is not None), Slots())
        return Found(slots, self._plane.server.holds())

    def _change(self, session: Session, who: str, why: str) -> Change:
        return Change(session, who.strip() or "unknown", why.strip() or _SILENT, self._plane.clock())


def _turn(canary: Canary, turn: Turn, change: Change) -> dict[str, Any]:
    state = msgspec.convert(canary.state, State) if canary.state else None
    if state is None or canary.ended_at is not None:
        raise Conflict(f"canary {canary.canary_id} is {canary.status}; this takes one that is under way")
    turned: dict[str, Any] = msgspec.to_builtins(turn(state, change.at.timestamp(), change.why))
    return turned


def _keep(canary: Canary) -> float:
    return msgspec.convert(canary.policy, Policy).keep_warm_seconds


def _serves(session: Session, release_id: str | None) -> bool:
    return release_id is not None and db.release(session, release_id).state == "serving"


def _already(session: Session, release_id: str) -> str:
    """In a sentence, that nothing is left to do; empty: something is."""
    asked, now = waiting(session), db.desired(session)
    if asked is not None and asked.release_id == release_id:
        return f"{release_id} is being loaded already, and serves everybody as soon as it answers"
    canary = db.active_canary(session)
    shared = canary is not None or now.canary_bp or now.interleave_bp
    if asked is None and not shared and now.release(now.stable) == release_id and _serves(session, release_id):
        return f"{release_id} serves everybody already"
    return ""


def assert_free(session: Session) -> None:
    """Whether the idle slot is free for another release.

    Raises:
        Conflict: a canary or a release that is to serve has it, or it has a share.
    """
    assert_settled(session)
    now = db.desired(session)
    if now.canary_bp or now.interleave_bp:
        raise Conflict(
            f"slot {now.slots().idle} has {now.canary_bp} basis points of the units and {now.interleave_bp} interleaved; "
            "take them away first: `rankloop slots weight 0`, `rankloop slots interleave 0`"
        )


def assert_settled(session: Session) -> None:
    """Whether nothing is under way that changes who serves by itself.

    Raises:
        Conflict: a canary is active, or a release is being loaded to serve.
    """
    if (canary := db.active_canary(session)) is not None:
        raise Conflict(
            f"canary {canary.canary_id} of {canary.release_id} is {canary.status}; end it first with "
            "`rankloop canary abort` or `rankloop rollback`"
        )
    if (asked := waiting(session)) is not None:
        raise Conflict(
            f"{asked.release_id} is being loaded into slot {asked.slot} to serve; wait, or `rankloop rollback` ends that"
        )


def servable(session: Session, release_id: str, force: str) -> Release:
    """A release that may be put into a slot to serve.

    Raises:
        Conflict: the gate said fail, and no reason is given to pass that over.
        ControlError: it is not registered, or has no Bento.
    """
    found = db.release(session, release_id)
    if not found.bento:
        raise ControlError(
            f"release {release_id} was registered without a Bento, so it cannot be loaded; register it with its Bento"
        )
    outcome = (found.verdict or {}).get("outcome", "pass")
    if outcome == "fail" and not force.strip():
        raise Conflict(f"the gate said fail of {release_id}; train a better one, or say why it is tried in spite of that")
    return found
