"""Who gets which release: the two slots, the canary's weight, and the record of both."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import xxhash

from components.serve_api import SLOTS
from rankloop.errors import StackError
from rankloop.files import write_json

__all__ = ["BUCKETS", "NAMES", "Slots", "bucket_of"]

NAMES: Final = SLOTS
"""The slots: Serve applications, and the first part of the paths they answer at."""

BUCKETS: Final = 10_000
"""Into how many buckets units are shared out; a weight is a number of them, so one is a basis point."""


def bucket_of(unit: str, seed: int) -> int:
    """The bucket of a unit, from 0 to 9,999: the edge's own number, so who saw what can be told afterwards.

    Args:
        unit: what the edge splits by: the header `X-Rankloop-Unit`, else the body's `user_id`, else the address.
        seed: `Slots.split_seed`, or `Slots.interleave_seed`.
    """
    return xxhash.xxh32_intdigest(unit.encode(), seed) % BUCKETS


@dataclass(frozen=True)
class Slots:
    """Which slot serves, and which share of units the other one gets.

    Attributes:
        stable: the slot that serves.
        canary_bp: units whose bucket is below this get the idle slot, basis points.
        interleave_bp: units whose second bucket is below this get both slots' lists, interleaved, basis points.
        split_seed: of the first bucket.
        interleave_seed: of the second, so that the two shares are independent.

    Raises:
        StackError: a name or a number cannot be.
    """

    stable: str = "blue"
    canary_bp: int = 0
    interleave_bp: int = 0
    split_seed: int = 1
    interleave_seed: int = 2

    def __post_init__(self) -> None:
        if self.stable not in NAMES:
            raise StackError(f"the stable slot is {self.stable!r}; it must be one of {', '.join(NAMES)}")
        for name in ("canary_bp", "interleave_bp"):
            if not 0 <= getattr(self, name) <= BUCKETS:
                raise StackError(f"{name} is {getattr(self, name)}; give basis points, from 0 to {BUCKETS}")

    @property
    def idle(self) -> str:
        """The other slot: empty, or the canary's."""
        return NAMES[1 - NAMES.index(self.stable)]

    def swapped(self) -> "Slots":
        """The idle slot becomes the stable one, which serves everybody."""
        return replace(self, stable=self.idle, canary_bp=0, interleave_bp=0)

    def slot_of(self, unit: str) -> tuple[str, bool]:
        """Which slot answers a unit while both are well, and whether the other one's list is interleaved."""
        if bucket_of(unit, self.interleave_seed) < self.interleave_bp:
            return self.stable, True
        return (self.idle if bucket_of(unit, self.split_seed) < self.canary_bp else self.stable), False

    @classmethod
    def read(cls, file: Path) -> "Slots":
        """Reads the record; where there is none, the stable slot is blue and has all units."""
        if not file.exists():
            return cls()
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return cls(**record)

    def write(self, file: Path) -> None:
        """Writes the record, whole or not at all."""
        write_json(file, asdict(self))
