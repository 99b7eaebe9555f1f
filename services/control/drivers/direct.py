"""The rollback where no control plane answers: the edges are told at once, and an order makes the record follow."""

import logging
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from rankloop.errors import RankloopError, StackError
from rankloop.files import write_aside
from services.control.drivers.base import Edges
from services.control.drivers.opening import open_edges, open_server
from services.edge.slots import Slots
from services.settings import Settings

__all__ = ["Order", "done", "read_orders", "take_back"]

log = logging.getLogger(__name__)

_SUFFIX: Final = ".json"
_REFUSED: Final = ".refused"
_NEVER_SERVED: Final = ("registered", "warming", "canary", "rolled back")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to the edges past the control plane, which its record is to follow.

    Attributes:
        stable: the slot that serves everybody from then on.
        release_id: the release that answered in that slot; None where none did.
        to_previous: whether the idle slot became the stable one; else a canary was ended.
        who: ordered it.
        why: its reason.
        at: when, UTC.
        file: where the order lies; empty before it is written.
    """

    stable: str
    release_id: str | None
    to_previous: bool
    who: str
    why: str
    at: datetime
    file: str = ""

    @property
    def slots(self) -> Slots:
        """Who gets which release by it, with the usual seeds."""
        return Slots(stable=self.stable)


def take_back(
    settings: Settings, *, who: str, why: str, now: datetime, to_previous: bool = False, edges: Edges | None = None
) -> Slots:
    """Gives everybody the stable slot, in one write to each edge's socket; it needs no control plane.

    The order is on the disk before the first edge is told: whatever happens then, the control plane carries it out at its
    next tick, and records who gave it and why.

    Args:
        settings: where the edges are.
        who: orders it.
        why: its reason.
        now: the present moment, timezone-aware.
        to_previous: give everybody the idle slot instead, which holds the release that served before.
        edges: those to tell; None: the settings'.

    Returns:
        What every edge does now.

    Raises:
        StackError: no edge answers; the idle slot holds no release that served before; some edges did not take it, which
            are named, and all others have; or they have it and the order could not be kept.
    """
    told = edges or open_edges(settings)
    before = _agreed(told)
    wanted = before.swapped() if to_previous else replace(before, canary_bp=0, interleave_bp=0)
    release_id = open_server(settings).holds()[wanted.stable] if to_previous else None
    if to_previous:
        _assert_served(settings, wanted.stable, release_id)
    order = Order(stable=wanted.stable, release_id=release_id, to_previous=to_previous, who=who, why=why, at=now.astimezone(UTC))
    unkept = _kept(settings.home, order)
    told.apply(wanted)
    if unkept:
        raise StackError(
            f"the edges were told, and slot {wanted.stable} has everybody; but the order could not be kept ({unkept}), so a "
            "control plane that starts will undo it: mend that, then `rankloop rollback` again"
        )
    return wanted


def read_orders(home: Path) -> list[Order]:
    """The orders that wait, oldest first; one that cannot be read is put aside, and the log says so."""
    found = []
    for file in sorted(_folder(home).glob(f"*{_SUFFIX}")):
        try:
            order = msgspec.json.decode(file.read_bytes(), type=Order)
            Slots(stable=order.stable)
        except FileNotFoundError:  # another one carried it out
            continue
        except (msgspec.DecodeError, StackError) as error:
            file.replace(file.with_suffix(_REFUSED))
            log.error("%s is no order and was put aside as %s: %s", file, file.with_suffix(_REFUSED).name, error)
            continue
        found.append(msgspec.structs.replace(order, file=str(file)))
    return found


def done(order: Order) -> None:
    """Forgets an order that was carried out; to forget it twice is no error."""
    Path(order.file).unlink(missing_ok=True)


def _assert_served(settings: Settings, slot: str, release_id: str | None) -> None:
    """Refuses a release that nobody should get: the idle slot may hold the canary that was just taken back.

    Raises:
        StackError: the slot is empty, an order waits that ended a canary, or the record says that its release did not serve.
    """
    why = None
    if release_id is None:
        why = "it holds no release that answers"
    elif any(not order.to_previous for order in read_orders(settings.home)):
        why = f"its release {release_id} was a canary, which was just ended and is not recorded yet"
    elif (state := _state(settings, release_id)) in _NEVER_SERVED:
        why = f"its release {release_id} is {state!r} in the record, so it is not what served before"
    if why:
        raise StackError(
            f"slot {slot} cannot be gone back to: {why}; the other slot goes on: bring a release with `rankloop run`"
        )


def _state(settings: Settings, release_id: str) -> str | None:
    """Where a release stands; None where the record does not say, and then whoever ordered this is believed."""
    from services.control.database.engine import Database, connect, database_url  # to end a canary takes no database
    from services.control.database.releases import release

    try:
        with Database(connect(database_url(settings))) as database, database.read() as session:
            return release(session, release_id).state
    except RankloopError as error:
        log.warning("the record does not say whether %s served before: %s", release_id, error)
        return None


def _folder(home: Path) -> Path:
    return home / "control" / "orders"


def _kept(home: Path, order: Order) -> OSError | None:
    """Puts an order on the disk; else gives what keeps it from there, since no disk may keep anybody from rolling back."""
    name = f"{order.at.strftime('%Y%m%dT%H%M%S.%f')}-{os.getpid()}{_SUFFIX}"
    try:
        write_aside(_folder(home) / name, msgspec.json.encode(order).decode(), mode=0o600, durable=True)
    except OSError as error:
        return error
    return None


def _agreed(edges: Edges) -> Slots:
    """Who gets which release now, by the first edge that answers.

    Raises:
        StackError: none does.
    """
    found = edges.read()
    answered = next((slots for slots in found.values() if slots is not None), None)
    if answered is None:
        raise StackError(f"no edge answers ({', '.join(found)}); nothing was changed: is the stack up? `rankloop up`")
    return answered
