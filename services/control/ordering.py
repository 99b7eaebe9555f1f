"""Rollbacks that were done at the edges while no control plane answered become part of the record, once each."""

from pathlib import Path
from typing import Final

from msgspec.structs import replace

from services.control import database as db
from services.control.changes import Change, waiting
from services.control.database import Session
from services.control.drivers.direct import Order, done, read_orders
from services.control.plane import Plane

__all__ = ["ORDERED", "take_orders"]

ORDERED: Final = "rollback.direct"
"""The event's kind; its subject is the order's file."""


def take_orders(plane: Plane, home: Path, *, keep: float) -> int:
    """Carries out what was ordered on this machine, whoever leads: the edges have it already, the record follows.

    Args:
        plane: the record and the world.
        home: of the machine's state.
        keep: how long the slot that is left stays warm, seconds.

    Returns:
        How many orders there were.

    Raises:
        StackError: an edge did not take it; the record stands.
    """
    orders = read_orders(home)
    for order in orders:
        with plane.change("ordered") as session:
            if not db.events(session, kind=ORDERED, subject=Path(order.file).name, limit=1):
                _follow(session, order, keep)
        done(order)
    if orders:
        plane.tell()
    return len(orders)


def _follow(session: Session, order: Order, keep: float) -> None:
    change = Change(session, order.who, order.why.strip() or "no reason was given", order.at)
    change.note(ORDERED, Path(order.file).name, {"stable": order.stable, "release_id": order.release_id})
    if (canary := db.active_canary(session)) is not None:
        change.withdraw(canary, "rolled back", "canary.withdrawn", keep=keep)
    elif (asked := waiting(session)) is not None:
        change.give_up(asked, "release.refused")
    now = change.now
    if order.stable == now.stable:
        if now.canary_bp or now.interleave_bp:
            change.put(replace(now, canary_bp=0, interleave_bp=0), "rollback", now.release(now.stable) or now.stable)
    elif now.release(order.stable) is not None:
        change.swap("rollback", left="rolled back", keep=keep)
