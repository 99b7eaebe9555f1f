"""Two slots: fill the idle one, give it a share, make it the stable one, empty it. Each is one act, checked before and after.

Where a control plane has decided something, it is asked, and its history keeps who asked and why; else the edge is told.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from components.serve_api import put_into_service
from rankloop.errors import StackError
from services.control.wire import Told
from services.edge import Edge, Slots
from services.settings import Settings
from services.stack.children import Children
from services.stack.decided import Decided, bento_of, decided, wait_until_ended
from services.stack.place import Place
from services.stack.serve_api import ServeApi
from services.stack.watch import as_started, release_in

__all__ = ["clear", "fill", "interleave", "reload", "swap", "weigh"]

_SILENT: Final = "by hand, no reason was given"


def fill(settings: Settings, release_id: str, *, say: Callable[[str], None], why: str = _SILENT) -> str:
    """Deploys a release into the idle slot, where only those reach it who ask the slot by name.

    Args:
        settings: where the stack is.
        release_id: a release whose Bento is in the store.
        say: takes one line of progress.
        why: for whoever reads the control plane's history.

    Returns:
        The slot.

    Raises:
        StackError: there is no such release, the idle slot has a weight, the release does not start, or a canary is active.
    """
    place, settings, edge = _running(settings)
    with decided(settings, edge) as control:
        if control is not None:
            return control.fill(release_id, why=why, say=say)
    with place.locked():
        slots = edge.slots()
        _assert_no_weight(slots)
        put_into_service(
            bento_of(settings, release_id),
            release_id,
            serve_api=settings.dashboard_url,
            serve_url=settings.slot_url(slots.idle),
            say=say,
            seconds=settings.start_seconds,
        )
        place.write("applications", {"applications": ServeApi(settings).applications()})
        return slots.idle


def weigh(settings: Settings, canary_bp: int, *, why: str = _SILENT) -> Slots:
    """Gives the idle slot a share of the units, from the next request on.

    Raises:
        StackError: the idle slot is empty, the share is none, or a canary is active.
    """
    return _change(
        settings, lambda slots: replace(slots, canary_bp=canary_bp), lambda control: control.client.weigh(canary_bp, why=why)
    )


def interleave(settings: Settings, interleave_bp: int, *, why: str = _SILENT) -> Slots:
    """Gives a share of the units both slots' lists, interleaved, from the next request on.

    Raises:
        StackError: the idle slot is empty, the share is none, or a canary is active.
    """
    return _change(
        settings,
        lambda slots: replace(slots, interleave_bp=interleave_bp),
        lambda control: control.client.interleave(interleave_bp, why=why),
    )


def swap(settings: Settings, *, why: str = _SILENT) -> Slots:
    """Makes the idle slot the stable one: from the next request on it has everybody, and no weight is left.

    Raises:
        StackError: the idle slot is empty, or a canary is active.
    """
    return _change(settings, Slots.swapped, lambda control: control.client.swap(why=why))


def clear(settings: Settings, *, why: str = _SILENT) -> str | None:
    """Ends the release in the idle slot.

    Returns:
        The slot; None where it was empty.

    Raises:
        StackError: it has a weight, Serve does not end it, or a canary is active.
    """
    place, settings, edge = _running(settings)
    with decided(settings, edge) as control:
        if control is not None:
            return control.clear(why=why)
    with place.locked():
        slots, api = edge.slots(), ServeApi(settings)
        _assert_no_weight(slots)
        declared = api.applications()
        kept = [own for own in declared if own["name"] != slots.idle]
        if len(kept) == len(declared):
            return None
        api.declare(kept)
        wait_until_ended(settings, slots.idle)
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


def _change(settings: Settings, change: Callable[[Slots], Slots], ask: Callable[[Decided], Told]) -> Slots:
    place, settings, edge = _running(settings)
    with decided(settings, edge) as control:
        if control is not None:
            change(edge.slots())  # a share that cannot be is refused here, in the same words
            return control.split(ask(control))
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
