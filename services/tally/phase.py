"""A phase: the time in which the same two releases have the same share of the units."""

import msgspec

__all__ = ["Phase"]


class Phase(msgspec.Struct, frozen=True):
    """What the edge's record says, and since when.

    Attributes:
        began: when it was noticed, seconds since the epoch; lists that were shown earlier count for nothing.
        slots: the stable slot, and the other one.
        releases: what they hold; empty: nothing, or nothing that can be told from the other.
        canary_bp: the other slot's share, basis points of the units.
    """

    began: float
    slots: tuple[str, str]
    releases: tuple[str, str]
    canary_bp: int

    def same(self, other: "Phase | None") -> bool:
        """Whether another one differs only in when it was noticed."""
        return other is not None and msgspec.structs.replace(other, began=self.began) == self

    def arm(self, release_id: str) -> int:
        """0 for the stable slot's release, 1 for the other one's, -1 for any other."""
        return self.releases.index(release_id) if release_id and release_id in self.releases else -1
