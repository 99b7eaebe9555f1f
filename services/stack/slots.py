"""Two slots: fill the idle one, give it a share, make it the stable one, empty it. Each is one act, checked before and after."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from components.serve_api import put_into_service
from rankloop.errors import StackError
from services.edge import Edge, Slots
from services.settings import Settings
from services.stack.children import Children
from services.stack.place import Place
from services.stack.serve_api import ServeApi
from services.stack.watch import as_started, release_in

__all__ = ["clear", "fill", "interleave", "reload", "swap", "weigh"]

_BENTO: Final = "rankloop-ranking"
_POLL_SECONDS: Final = 0.2


def fill(settings: Settings, release_id: str, *, say: Callable[[str], None]) -> str:
    """Deploys a release into the idle slot, where only those reach it who ask the slot by name.

    Args:
        settings: where the stack is.
        release_id: a release whose Bento is in the store.
        say: takes one line of progress.

    Returns:
        The slot.

    Raises:
        StackError: there is no such release, the idle slot has a weight, or the release does not start.
    """
    place, settings, edge = _running(settings)
    with place.locked():
        slots = edge.slots()
        _assert_no_weight(slots)
        folder = settings.bento_store / "bentos" / _BENTO / release_id
        if not folder.is_dir():
            there = sorted(own.name for own in folder.parent.glob("*") if own.is_dir())
            raise StackError(
                f"there is no release {release_id!r} in {settings.bento_store}; there is {', '.join(there) or 'none'}"
            )
        put_into_service(
            str(folder.resolve()),
            release_id,
            serve_api=settings.dashboard_url,
            serve_url=settings.slot_url(slots.idle),
            say=say,
            seconds=settings.start_seconds,
        )
        place.write("applications", {"applications": ServeApi(settings).applications()})
        return slots.idle


def weigh(settings: Settings, canary_bp: int) -> Slots:
    """Gives the idle slot a share of the units, from the next request on.

    Raises:
        StackError: the idle slot is empty, or the share is none.
    """
    return _change(settings, lambda slots: replace(slots, canary_bp=canary_bp))


def interleave(settings: Settings, interleave_bp: int) -> Slots:
    """Gives a share of the units both slots' lists, interleaved, from the next request on.

    Raises:
        StackError: the idle slot is empty, or the share is none.
    """
    return _change(settings, lambda slots: replace(slots, interleave_bp=interleave_bp))


def swap(settings: Settings) -> Slots:
    """Makes the idle slot the stable one: from the next request on it has everybody, and no weight is left.

    Raises:
        StackError: the idle slot is empty.
    """
    return _change(settings, Slots.swapped)


def clear(settings: Settings) -> str | None:
    """Ends the release in the idle slot.

    Returns:
        The slot; None where it was empty.

    Raises:
        StackError: it has a weight, or Serve does not end it.
    """
    place, settings, edge = _running(settings)
    with place.locked():
        slots, api = edge.slots(), ServeApi(settings)
        _assert_no_weight(slots)
        declared = api.applications()
        kept = [own for own in declared if own["name"] != slots.idle]
        if len(kept) == len(declared):
            return None
        api.declare(kept)
        end = time.monotonic() + settings.start_seconds
        while slots.idle in ((api.details() or {}).get("applications") or {}):
            if time.monotonic() > end:
                raise StackError(
                    f"Ray Serve did not end slot {slots.idle} within {settings.start_seconds:.0f} s; see `rankloop logs`"
                )
            time.sleep(_POLL_SECONDS)
        place.write("applications", {"applications": kept})
        return slots.idle


def reload(settings: Settings) -> None:
    """Gives the running edge its limits and its certificate anew, without losing a request; ports stay as they are.

    Raises:
        StackError: the configuration is refused; the edge goes on as it was.
    """
    place, _, edge = _running(settings)
    with place.locked():
        edge.reload()


def _change(settings: Settings, change: Callable[[Slots], Slots]) -> Slots:
    place, settings, edge = _running(settings)
    with place.locked():
        before = edge.slots()
        wanted = change(before)
        moves = wanted.stable != before.stable or wanted.canary_bp > 0 or wanted.interleave_bp > 0
        if moves and release_in(settings, before.idle) is None:
            raise StackError(f"slot {before.idle} holds no release that answers; fill it first: `rankloop slots fill RELEASE`")
        edge.set_slots(wanted)
        return wanted


def _assert_no_weight(slots: Slots) -> None:
    if slots.canary_bp or slots.interleave_bp:
        raise StackError(
            f"slot {slots.idle} has {slots.canary_bp} basis points of the units and {slots.interleave_bp} interleaved; "
            "take them away first: `rankloop slots weight 0`, `rankloop slots interleave 0`"
        )


def _running(settings: Settings) -> tuple[Place, Settings, Edge]:
    place = Place(settings.home)
    started = as_started(settings, place.read("state"))
    return place, started, Children(place, started).edge
