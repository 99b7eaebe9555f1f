"""What an online store does, whoever keeps it."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, Protocol

from rankloop.errors import StateUnavailable
from rankloop.state import Act, ItemState, UserState
from services.events.records import EventRecord

__all__ = ["Place", "Places", "StateStore", "acts_by", "digest"]

Place = tuple[int, int]
"""Where folding of a spool writer stands: segment, and offset within it."""

_START: Final[Place] = (0, 0)


class StateStore(Protocol):
    """States of people and items, read within a request and written by the curator.

    Every method raises `StateUnavailable`, and none waits for a store that is gone: a read takes no longer than
    `RANKLOOP_STATE_TIMEOUT_MS` for connecting and as much for the answer.
    """

    def user(self, user_id: str) -> UserState | None:
        """A person's state; None: nothing is known."""

    def item(self, item_id: str) -> ItemState | None:
        """An item's state; None: nothing is known."""

    def position(self, source: str) -> Place:
        """Up to where a source is folded; (0, 0) before its first event."""

    def fold(self, source: str, position: Place, events: Sequence[EventRecord], *, now: int) -> int:
        """Applies each event once, by its id, and moves the source's position to `position`.

        A batch that ends at or before the source's position is left alone. Where a store has gone back in time (a
        restart that lost its last second), folding on would leave a gap: it refuses until `position` is asked again.

        Args:
            source: what the events are read from.
            position: the place behind the last of them.
            events: in the order of the source.
            now: microseconds since the epoch; event ids are remembered from here on.

        Returns:
            How many events were new.

        Raises:
            StateUnavailable: ask for `position` again, and go on from there.
        """

    def erase(self, user_id: str, at: int) -> bool:
        """Forgets a person and leaves only when, in microseconds; returns whether anything was known."""

    def close(self) -> None:
        """Lets go of files and connections."""


class Places:
    """What one process knows of positions, so that a store that went back in time is noticed.

    Example:
        >>> places = Places()
        >>> places.asked("w", (1, 100))
        (1, 100)
        >>> places.expected("w")
        (1, 100)
    """

    def __init__(self) -> None:
        self._known: dict[str, Place] = {}

    def expected(self, source: str) -> Place:
        """The least a store must say of a source."""
        return self._known.get(source, _START)

    def asked(self, source: str, position: Place) -> Place:
        """Takes what a store says, whatever was known."""
        self._known[source] = position
        return position

    def moved(self, source: str, position: Place) -> None:
        """Remembers how far a source was folded."""
        self._known[source] = max(position, self.expected(source))

    def gone_back(self, source: str, found: Place) -> StateUnavailable:
        """The error of a store that knows less than it did."""
        return StateUnavailable(
            f"the online store has folded {source!r} up to {found} and lost what it had folded beyond (it had up to "
            f"{self.expected(source)}); ask for the position again and fold from there"
        )


def acts_by(events: Iterable[EventRecord]) -> tuple[dict[str, list[Act]], dict[str, list[Act]]]:
    """The events as acts, by person and by item, each in the given order."""
    users: dict[str, list[Act]] = {}
    items: dict[str, list[Act]] = {}
    for event in events:
        act = Act(event.item_id, event.kind, event.ts)
        users.setdefault(event.user_id, []).append(act)
        items.setdefault(event.item_id, []).append(act)
    return users, items


def digest(event_id: str) -> bytes:
    """Sixteen bytes for an event id of any length: no two ids share them by chance, nor on purpose."""
    return blake2b(event_id.encode(), digest_size=16).digest()
