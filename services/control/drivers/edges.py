"""Edges: told who gets which release, and read back; this machine's own, or any number of them by their admin sockets."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from rankloop.errors import SettingsError, StackError
from services.edge.edge import Edge
from services.edge.slots import Slots
from services.edge.socket import AdminSocket, ServerState

__all__ = ["LocalEdge", "SocketEdges"]

_SECONDS: Final = 2.0


class LocalEdge:
    """The edge of this machine's stack.

    What it is told is recorded beside it, in `slots.json` and in HAProxy's configuration, so that it starts with that
    again. It takes no lock of the stack: who rolls back waits for nobody.

    Args:
        edge: the stack's.
    """

    NAME: Final = "local"
    """The only edge's name."""

    def __init__(self, edge: Edge) -> None:
        self._edge, self._telling = edge, threading.Lock()

    def names(self) -> list[str]:
        """One."""
        return [self.NAME]

    def read(self) -> dict[str, Slots | None]:
        """Who gets which release now; None where it does not answer."""
        try:
            return {self.NAME: self._edge.slots()}
        except StackError:
            return {self.NAME: None}

    def servers(self) -> list[ServerState]:
        """The replicas and collectors behind it.

        Raises:
            StackError: it does not answer.
        """
        return self._edge.admin.servers()

    def apply(self, wanted: Slots) -> None:
        """Makes it split so from its next request on, and records that for its next start.

        Raises:
            StackError: it does not answer, did not take a value, or the seeds would change, which takes a reload; or it took
                all of it, and that could not be recorded.
        """
        try:
            with self._telling:
                self._edge.set_slots(wanted)
        except OSError as error:
            raise StackError(
                f"the edge splits as {wanted}, but that could not be recorded for its next start: {error}"
            ) from error


class SocketEdges:
    """Edges on any machines, told at the same time by their admin sockets.

    It does not record anything beside them: an edge that starts anew has its own configuration's weights until it is told.

    Args:
        addresses: UNIX paths, or `host:port`.
        seconds: the longest wait for one edge's answer.

    Raises:
        SettingsError: there is no address, or one twice.
    """

    def __init__(self, addresses: Sequence[str], *, seconds: float = _SECONDS) -> None:
        twice = sorted({one for one in addresses if addresses.count(one) > 1})
        if not addresses or twice:
            raise SettingsError(
                f"the edges are {', '.join(addresses) or 'none'}"
                + (f", {', '.join(twice)} more than once" if twice else "")
                + "; name each edge's admin socket once in RANKLOOP_EDGES, or leave it empty for this machine's"
            )
        self._sockets = {one: AdminSocket(one, seconds=seconds) for one in addresses}
        self._telling = {one: threading.Lock() for one in addresses}  # of each, so that a dead one holds up no other

    def names(self) -> list[str]:
        """Their addresses."""
        return list(self._sockets)

    def read(self) -> dict[str, Slots | None]:
        """Who gets which release now, by address; None where it does not answer."""
        with ThreadPoolExecutor(len(self._sockets)) as pool:
            return dict(zip(self._sockets, pool.map(self._read, self._sockets.values()), strict=True))

    def servers(self) -> list[ServerState]:
        """The replicas and collectors behind those that answer.

        Raises:
            StackError: none answers; in the words of the last one.
        """
        found, failed = list[ServerState](), list[StackError]()
        for edge in self._sockets.values():
            try:
                found += edge.servers()
            except StackError as error:
                failed.append(error)
        if len(failed) == len(self._sockets):
            raise failed[-1]
        return found

    def apply(self, wanted: Slots) -> None:
        """Makes every edge split so from its next request on, and reads each back.

        Raises:
            StackError: some did not take it, each named with why, after all were told; one whose seeds would change takes
                nothing.
        """
        with ThreadPoolExecutor(len(self._sockets)) as pool:
            failed = list(filter(None, pool.map(lambda one: self._told(one, wanted), self._sockets.values())))
        if failed:
            raise StackError(f"{len(failed)} of {len(self._sockets)} edges did not take {wanted}: {'; '.join(failed)}")

    def _read(self, edge: AdminSocket) -> Slots | None:
        try:
            return edge.weights()
        except StackError:
            return None

    def _told(self, edge: AdminSocket, wanted: Slots) -> str | None:
        """Why it did not take it; None where it did."""
        try:
            with self._telling[edge.address]:
                edge.set_weights(wanted)
        except StackError as error:
            return f"{edge.address}: {error}"
        return None
