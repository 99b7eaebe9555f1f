"""The lists of the last half hour, which an outcome may still belong to."""

from array import array
from typing import Final, NamedTuple

__all__ = ["MOST_LISTS", "Lists", "Shown"]

MOST_LISTS: Final = 2_000_000
"""Lists that are kept; of more, the oldest are forgotten early. One takes some 130 bytes, and nine for each item."""

_NONE: Final = -1
_LONGEST: Final = 1000


class Shown(NamedTuple):
    """Where a list is kept.

    Attributes:
        number: the list's; it grows by one with each list.
        arm: 0 or 1; -1 of no slot, or of an earlier phase.
        unit: the hash of the unit; 0: nobody's.
        ts: when it was shown, microseconds since the epoch.
        items: hashes of the items, best first.
        surface: number of the product place.
    """

    number: int
    arm: int
    unit: int
    ts: int
    items: list[int]
    surface: int


class Lists:
    """Lists by request, and by person the latest first.

    Args:
        columns: what `columns()` of another one gave; None at the beginning.
        most: lists that are kept.
    """

    def __init__(self, columns: dict[str, bytes] | None = None, most: int = MOST_LISTS) -> None:
        self._most = most
        self._request, self._unit, self._ts, self._arm = array("Q"), array("Q"), array("q"), array("b")
        self._surface = array("B")
        self._previous, self._start, self._items, self._marks = array("q"), array("q"), array("Q"), array("B")
        self._first = self._first_item = 0
        self._by_request: dict[int, int] = {}
        self._latest: dict[int, int] = {}
        if columns:
            self._restore(columns)

    def __len__(self) -> int:
        return len(self._request)

    def __contains__(self, request: int) -> bool:
        return request in self._by_request

    def add(self, request: int, unit: int, ts: int, arm: int, items: list[int], surface: int = 0) -> None:
        """Keeps a list whose request is not known yet."""
        number = self._first + len(self._request)
        self._by_request[request] = number
        self._request.append(request)
        self._unit.append(unit)
        self._ts.append(ts)
        self._arm.append(arm)
        self._surface.append(surface)
        self._previous.append(self._latest.get(unit, _NONE) if unit else _NONE)
        self._start.append(self._first_item + len(self._items))
        self._items.extend(items)
        self._marks.frombytes(bytes(len(items)))
        if unit:
            self._latest[unit] = number
        if len(self._request) > self._most:
            self._drop(1 + len(self._request) // 16)

    def of_request(self, request: int) -> Shown | None:
        """The list of a request."""
        number = self._by_request.get(request)
        return None if number is None else self._shown(number)

    def of_person(self, unit: int, item: int, since: int, until: int) -> Shown | None:
        """The person's list that was shown last between two moments, of those that hold an item."""
        best: Shown | None = None
        number, left = self._latest.get(unit, _NONE), _LONGEST
        while number >= self._first and left:
            ts = self._ts[number - self._first]
            if since <= ts <= until and (best is None or ts > best.ts) and item in (found := self._shown(number)).items:
                best = found
            number, left = self._previous[number - self._first], left - 1
        return best

    def mark(self, shown: Shown, place: int, bit: int) -> bool:
        """Notes an outcome of an item; False where it was noted before."""
        at = self._start[shown.number - self._first] - self._first_item + place
        if self._marks[at] & bit:
            return False
        self._marks[at] |= bit
        return True

    def marks(self, shown: Shown) -> list[int]:
        """By place, the bits of what was noted."""
        at = self._start[shown.number - self._first] - self._first_item
        return self._marks[at : at + len(shown.items)].tolist()

    def disown(self) -> None:
        """No list belongs to an arm any more: another phase begins."""
        self._arm = array("b", bytes([0xFF]) * len(self._arm))

    def forget_before(self, ts: int) -> None:
        """Forgets the oldest lists, until one that was shown at `ts` or later, once they are a sixteenth of all."""
        if not self._ts or self._ts[len(self._ts) // 16] >= ts:
            return
        count = 0
        while count < len(self._ts) and self._ts[count] < ts:
            count += 1
        self._drop(count)

    def forget_person(self, unit: int) -> None:
        """The lists of a person are nobody's any more, and count for nothing."""
        number = self._latest.pop(unit, _NONE)
        while number >= self._first:
            at = number - self._first
            number, self._unit[at], self._arm[at], self._previous[at] = self._previous[at], 0, _NONE, _NONE

    def columns(self) -> dict[str, bytes]:
        """Everything, to be put away."""
        firsts = array("q", [self._first, self._first_item])
        return {"firsts": firsts.tobytes()} | {name: own.tobytes() for name, own in self._arrays().items()}

    def _restore(self, columns: dict[str, bytes]) -> None:
        self._first, self._first_item = array("q", columns["firsts"])
        for name, own in self._arrays().items():
            own.frombytes(columns[name])
        for number, (request, unit) in enumerate(zip(self._request, self._unit, strict=True), self._first):
            self._by_request[request] = number
            if unit:
                self._latest[unit] = number

    def _arrays(self) -> dict[str, "array[int]"]:
        return {
            "request": self._request,
            "unit": self._unit,
            "ts": self._ts,
            "arm": self._arm,
            "surface": self._surface,
            "previous": self._previous,
            "start": self._start,
            "items": self._items,
            "marks": self._marks,
        }

    def _shown(self, number: int) -> Shown:
        at = number - self._first
        begins, ends = self._start[at], self._start[at + 1] if at + 1 < len(self._start) else self._first_item + len(self._items)
        items = self._items[begins - self._first_item : ends - self._first_item].tolist()
        return Shown(number, self._arm[at], self._unit[at], self._ts[at], items, self._surface[at])

    def _drop(self, count: int) -> None:
        """Forgets the oldest `count` lists."""
        for at in range(count):
            self._by_request.pop(self._request[at], None)
            if self._latest.get(unit := self._unit[at]) == self._first + at:
                del self._latest[unit]
        items = (self._start[count] if count < len(self._start) else self._first_item + len(self._items)) - self._first_item
        for name, own in self._arrays().items():
            del own[: items if name in {"items", "marks"} else count]
        self._first, self._first_item = self._first + count, self._first_item + items
