"""The slots where a control plane has decided something: it is asked, since it would undo what is told to the edge alone."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rankloop.errors import ApiError, StackError, Unavailable
from services.control.client import ControlClient
from services.control.wire import NewRelease, SlotsShown, Told
from services.edge import Edge, Slots
from services.settings import Settings
from services.stack.serve_api import ServeApi

__all__ = ["Decided", "bento_of", "decided", "wait_until_ended"]

_BENTO: Final = "rankloop-ranking"
_POLL_SECONDS: Final = 0.2
_SPLIT_SECONDS: Final = 5.0
_REFUSED: Final = (404, 409, 422)


class Decided:
    """What is asked of the control plane of a stack, each until it is done.

    Args:
        client: of the control plane.
        settings: of the running stack.
        edge: of the stack.
    """

    def __init__(self, client: ControlClient, settings: Settings, edge: Edge) -> None:
        self.client, self._settings, self._edge = client, settings, edge

    def fill(self, release_id: str, *, why: str, say: Callable[[str], None]) -> str:
        """Puts a release into the idle slot and waits until it answers; one that is not registered is registered first.

        Returns:
            The slot.

        Raises:
            StackError: there is no such release, something else takes the slot, or it does not answer in time.
        """
        self._register(release_id, why)
        told = self.client.hold(release_id, why=why)
        say(told.said)
        idle, last, end = _idle(told), "", time.monotonic() + self._settings.start_seconds
        while (now := self.client.slots()).server.get(idle) != release_id:
            if _in(now, idle) != release_id:
                raise StackError(f"slot {idle} shall hold {_in(now, idle) or 'nothing'} by now; `rankloop events` says why")
            if (fault := self.client.ready().faults.get(f"slot {idle}", "")) != last and fault:
                say(fault)
                last = fault
            if time.monotonic() > end:
                raise StackError(
                    f"{release_id} did not answer in slot {idle} within {self._settings.start_seconds:.0f} s"
                    f"{f' ({last})' if last else ''}; see `rankloop logs`, or give it up with `rankloop slots clear`"
                )
            time.sleep(_POLL_SECONDS)
        return idle

    def split(self, told: Told) -> Slots:
        """Waits until this machine's edge does what was decided, and says what it does.

        Raises:
            StackError: it does not, or does not answer.
        """
        wanted, end = told.desired, time.monotonic() + _SPLIT_SECONDS
        while True:
            now = self._edge.slots()
            if (now.stable, now.canary_bp, now.interleave_bp) == (wanted.stable, wanted.canary_bp, wanted.interleave_bp):
                return now
            if time.monotonic() > end:
                raise StackError(f"the control plane said: {told.said}; and the edge does {now}; see `rankloop logs`")
            time.sleep(_POLL_SECONDS)

    def clear(self, *, why: str) -> str | None:
        """Ends what the idle slot holds.

        Returns:
            The slot; None where it was empty.

        Raises:
            StackError: it is in use, or Serve does not end it.
        """
        before = self.client.slots()
        idle = Slots(before.desired.stable).idle
        if _in(before, idle) is None and idle not in (own["name"] for own in ServeApi(self._settings).applications()):
            return None
        idle = _idle(self.client.empty(why=why))
        wait_until_ended(self._settings, idle)
        return idle

    def _register(self, release_id: str, why: str) -> None:
        try:
            self.client.release(release_id)
        except ApiError as error:
            if error.status != 404:
                raise
            bento_of(self._settings, release_id)
            self.client.register(NewRelease(bento=f"{_BENTO}:{release_id}", why=why))


@contextmanager
def decided(settings: Settings, edge: Edge) -> Iterator[Decided | None]:
    """The control plane of a stack; None where none answers, or nothing was decided yet, so that the edge is told itself.

    Raises:
        StackError: it refuses, in its own words.
    """
    with ControlClient.of(settings) as client:
        try:
            yield Decided(client, settings, edge) if _decides(client) else None
        except ApiError as error:
            raise StackError(error.detail if error.status in _REFUSED else str(error)) from error


def bento_of(settings: Settings, release_id: str) -> str:
    """The folder of a release that was packaged here.

    Raises:
        StackError: there is none.
    """
    folder = settings.bento_store / "bentos" / _BENTO / release_id
    if not folder.is_dir():
        there = sorted(own.name for own in folder.parent.glob("*") if own.is_dir())
        raise StackError(f"there is no release {release_id!r} in {settings.bento_store}; there is {', '.join(there) or 'none'}")
    return str(folder.resolve())


def wait_until_ended(settings: Settings, slot: str) -> None:
    """Waits until nothing is left in a slot.

    Raises:
        StackError: Serve does not end it in time.
    """
    api, end = ServeApi(settings), time.monotonic() + settings.start_seconds
    while slot in ((api.details() or {}).get("applications") or {}):
        if time.monotonic() > end:
            raise StackError(f"Ray Serve did not end slot {slot} within {settings.start_seconds:.0f} s; see `rankloop logs`")
        time.sleep(_POLL_SECONDS)


def _decides(client: ControlClient) -> bool:
    try:
        return client.slots().desired.version > 0
    except Unavailable as error:
        if error.status is not None:
            raise
        return False


def _idle(told: Told) -> str:
    return Slots(told.desired.stable).idle


def _in(now: SlotsShown, slot: str) -> str | None:
    """The release that a slot should hold."""
    return {"blue": now.desired.blue, "green": now.desired.green}[slot]
