"""What the control plane may do to the world: tell the edges who gets which release, fill and empty slots."""

from collections.abc import Callable
from typing import Protocol

from services.edge.slots import Slots
from services.edge.socket import ServerState

__all__ = ["Edges", "Say", "Server"]

Say = Callable[[str], None]
"""Takes one line of progress."""


class Edges(Protocol):
    """Every edge in front of the slots; it is told, read back, and holds no state of its own."""

    def names(self) -> list[str]:
        """The edges, by a name that a person can find them by."""
        ...

    def read(self) -> dict[str, Slots | None]:
        """Who gets which release now, by edge; None where it does not answer."""
        ...

    def servers(self) -> list[ServerState]:
        """The replicas and collectors behind every edge that answers.

        Raises:
            StackError: none answers.
        """
        ...

    def apply(self, wanted: Slots) -> None:
        """Makes every edge split so from its next request on, and reads each back.

        To be told what already holds changes nothing.

        Raises:
            StackError: some did not take it; it names each and why, after all of them were told.
        """
        ...


class Server(Protocol):
    """What runs releases in the two slots."""

    def holds(self) -> dict[str, str | None]:
        """By slot, the release that answers at `/<slot>/readyz`; None where nobody answers."""
        ...

    def fill(self, slot: str, release_id: str, bento: str, *, say: Say, seconds: float) -> None:
        """Puts a release into a slot and waits until it answers there; the other slot stays as it is.

        Nothing is done where it already answers.

        Args:
            slot: `blue` or `green`.
            release_id: what `/<slot>/readyz` must name at the end.
            bento: the Bento's folder, or its tag in the store of the machine that serves.
            say: takes one line of progress.
            seconds: the longest wait.

        Raises:
            StackError: it cannot start, in Serve's own words, or did not answer in time.
        """
        ...

    def clear(self, slot: str, *, seconds: float) -> None:
        """Ends the release in a slot and waits until nothing of it is left; nothing is done where it is empty.

        Raises:
            StackError: it did not end in time.
        """
        ...
