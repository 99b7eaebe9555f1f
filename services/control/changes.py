"""Changes of what should be, each for a transaction of whoever makes it: the loop, a command, or an order left on the disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Unpack

from msgspec.structs import replace

from rankloop.errors import Conflict, ControlError
from services.control.database import (
    Canary,
    CanaryFields,
    CanaryStatus,
    Desired,
    Experiment,
    ReleaseState,
    Session,
    active_canary,
    active_experiment,
    change_canary,
    change_desired,
    desired,
    end_canary,
    end_experiment,
    events,
    move_release,
    record,
    release,
    releases,
)
from services.edge.slots import Slots

__all__ = ["BACK", "WANTED", "Change", "Found", "Waiting", "previous", "waiting"]

WANTED: Final = "release.wanted"
"""The event of a release that is to serve at once, as soon as it answers."""

BACK: Final = "rollback.wanted"
"""The same, of one that served before."""

_SLOT_STATES: Final[tuple[ReleaseState, ...]] = ("kept warm", "warming")
_PAGE: Final = 500
_MOST: Final = 100_000


class Found(NamedTuple):
    """What was there before the first decision.

    Attributes:
        slots: what the edges do.
        held: by slot, the release that answers.
    """

    slots: Slots
    held: Mapping[str, str | None]


class Waiting(NamedTuple):
    """A release that serves everybody as soon as it answers.

    Attributes:
        slot: where it is put.
        release_id: which.
        back: whether it served before, and the one that serves now is rolled back.
        who: asked for it.
        why: the sentence that was given.
    """

    slot: str
    release_id: str
    back: bool
    who: str
    why: str


def waiting(session: Session) -> Waiting | None:
    """The release that is being put into service without a canary, if any."""
    if active_canary(session) is not None:
        return None
    now = desired(session)
    for slot in (now.stable, now.slots().idle):
        release_id = now.release(slot)
        if release_id is None or release(session, release_id).state != "warming":
            continue
        asked = [own for own in events(session, subject=release_id) if own.kind in (WANTED, BACK)]
        if asked:
            return Waiting(slot, release_id, asked[0].kind == BACK, asked[0].who, asked[0].why)
    return None


def previous(session: Session) -> str | None:
    """The last release that served before the present one, less those that were rolled back."""
    now = desired(session)
    before: int | None = None
    while page := events(session, kind="release.moved", before=before, limit=_PAGE):
        for own in page:
            served = own.facts.get("to") == "serving" and own.subject != now.release(now.stable)
            if served and release(session, own.subject).state != "rolled back":
                return own.subject
        before = page[-1].id
    return None


@dataclass(frozen=True)
class Change:
    """Who changes what should be, why and when; each method is part of one transaction.

    Attributes:
        session: of the transaction.
        who: changes it.
        why: a sentence.
        at: when, UTC.
    """

    session: Session
    who: str
    why: str
    at: datetime

    @property
    def now(self) -> Desired:
        """What should be before the change."""
        return desired(self.session)

    def put(self, new: Desired, kind: str, subject: str, **facts: Any) -> Desired:
        """Records what should be from now on; an experiment ends with a share or a release that is taken away."""
        running = active_experiment(self.session)
        ends = running is not None and not _goes_on(running, new)
        if running is not None and ends:
            end_experiment(self.session, running.experiment_id, who=self.who, why=self.why, at=self.at)
        return change_desired(
            self.session,
            replace(new, interleave_bp=0) if ends else new,
            expected_version=self.now.version,
            who=self.who,
            why=self.why,
            kind=kind,
            at=self.at,
            subject=subject,
            facts=facts,
        )

    def move(self, release_id: str | None, state: ReleaseState, *, only_from: tuple[ReleaseState, ...] = ()) -> None:
        """A release stands elsewhere from now on."""
        if release_id is None or (only_from and release(self.session, release_id).state not in only_from):
            return
        move_release(self.session, release_id, state, who=self.who, why=self.why, at=self.at)

    def note(self, kind: str, subject: str, facts: Mapping[str, Any] | None = None) -> None:
        """Records an event that changes nothing of what should be."""
        record(self.session, kind=kind, subject=subject, who=self.who, why=self.why, at=self.at, facts=facts)

    def adopt(self, found: Found | None) -> None:
        """Where nothing was decided yet, what is there becomes the record: the slot that serves stays the one that serves.

        Raises:
            ControlError: a release serves that is not registered, so that nobody could go back to it.
        """
        if found is None or self.now.version:
            return
        serving, idle = found.held.get(found.slots.stable), found.slots.idle
        known, beside = {own.release_id for own in releases(self.session, limit=_MOST)}, found.held.get(idle)
        if serving is not None and serving not in known:
            raise ControlError(
                f"{serving} serves in slot {found.slots.stable} and is not registered; register it, to go back to it"
            )
        beside = beside if beside in known else None  # what else is in the idle slot serves nobody, and is emptied
        held = {found.slots.stable: serving, idle: beside}
        wanted = Desired(
            stable=found.slots.stable,
            split_seed=found.slots.split_seed,
            interleave_seed=found.slots.interleave_seed,
            blue=held.get("blue"),
            green=held.get("green"),
        )
        self.put(wanted, "slots.adopted", serving or found.slots.stable)
        self.move(serving, "serving")
        self.move(beside, "kept warm")

    def turn(self, canary: Canary, kind: str, **fields: Unpack[CanaryFields]) -> Canary:
        """Changes an active canary.

        Raises:
            Conflict: it stands elsewhere by now.
        """
        return change_canary(
            self.session,
            canary.canary_id,
            from_statuses=(canary.status,),
            kind=kind,
            who=self.who,
            why=self.why,
            at=self.at,
            **fields,
        )

    def reserve(self, slot: str, release_id: str, kind: str, state: ReleaseState = "warming") -> Desired:
        """A slot is to hold another release, which nobody gets yet."""
        now = self.now
        if now.release(slot) != release_id:
            self.move(now.release(slot), "retired", only_from=_SLOT_STATES)
        self.move(release_id, state)
        new = replace(now, **{slot: release_id}, canary_bp=0, interleave_bp=0, kept_until=None)
        return self.put(new, kind, release_id, slot=slot)

    def want(self, release_id: str, *, back: bool) -> Desired:
        """A release is to serve everybody as soon as it answers: in the idle slot, or where nothing serves in the stable one."""
        now = self.now
        serving = now.release(now.stable)
        serves = serving is not None and release(self.session, serving).state == "serving"
        return self.reserve(now.slots().idle if serves else now.stable, release_id, BACK if back else WANTED)

    def give_up(self, asked: Waiting, kind: str) -> Desired | None:
        """A release that waits will not serve; its slot is emptied, unless it is the stable one, where nothing serves then."""
        self.move(asked.release_id, "rolled back" if asked.back else "registered")
        now = self.now
        if asked.slot == now.stable:
            self.note(kind, asked.release_id)
            return None
        return self.put(replace(now, **{asked.slot: None}, kept_until=None), kind, asked.release_id)

    def swap(self, kind: str, *, left: ReleaseState, keep: float, subject: str | None = None) -> Desired:
        """Everybody gets the idle slot's release; the other one stays warm.

        Args:
            kind: of the event.
            left: where the release stands then that served until now.
            keep: how long it stays warm, seconds.
            subject: of the event; None: the release that serves now.
        """
        now = self.now
        slots = now.slots().swapped()
        kept = self.at + timedelta(seconds=keep)
        new = replace(now, stable=slots.stable, canary_bp=0, interleave_bp=0, kept_until=kept)
        told = self.put(new, kind, subject or new.release(new.stable) or new.stable)
        self.move(now.release(now.stable), left)
        self.move(new.release(new.stable), "serving")
        return told

    def serve(self, asked: Waiting, *, keep: float) -> Desired:
        """A release that waited serves everybody."""
        if asked.slot == self.now.stable:
            self.move(asked.release_id, "serving")
            return self.put(self.now, "release.served", asked.release_id)
        return self.swap("release.served", left="rolled back" if asked.back else "kept warm", keep=keep)

    def withdraw(
        self, canary: Canary, status: CanaryStatus, kind: str, *, keep: float, state: Mapping[str, Any] | None = None
    ) -> Desired:
        """A canary ends; the stable release has everybody. One that answered stays warm, to be looked at.

        Args:
            canary: which.
            status: how it ends.
            kind: of the second event, that of what should be.
            keep: how long its slot stays warm, seconds.
            state: the canary's last state; None: as it was.

        Raises:
            Conflict: it ended before.
        """
        end_canary(self.session, canary.canary_id, status, who=self.who, why=self.why, at=self.at, state=state)
        now = self.now
        answered = canary.status != "warming"
        kept = {"kept_until": self.at + timedelta(seconds=keep)} if answered else {"kept_until": None, canary.slot: None}
        told = self.put(replace(now, canary_bp=0, interleave_bp=0, **kept), kind, canary.canary_id)
        self.move(canary.release_id, "rolled back" if status == "rolled back" and answered else "registered")
        return told

    def promote(self, canary: Canary, *, keep: float, state: Mapping[str, Any] | None = None) -> Desired:
        """A canary's release serves everybody.

        Raises:
            Conflict: it ended before, or does not run yet.
        """
        if canary.status == "warming":
            raise Conflict(f"canary {canary.canary_id} is warming: it has answered nobody yet; wait until it runs")
        end_canary(self.session, canary.canary_id, "promoted", who=self.who, why=self.why, at=self.at, state=state)
        return self.swap("slots.swapped", left="kept warm", keep=keep, subject=canary.canary_id)


def _goes_on(running: Experiment, new: Desired) -> bool:
    """Whether lists of both releases of an experiment are still interleaved, for as many units."""
    both = {new.release(new.stable): running.against, new.release(new.slots().idle): running.release_id}
    return new.interleave_bp == running.share_bp and all(has == wanted for has, wanted in both.items())
