"""What a process costs the machine in memory, as the kernel counts it."""

from pathlib import Path
from typing import NamedTuple, Self

__all__ = ["Memory"]


class Memory(NamedTuple):
    """Megabytes (10^6 bytes) of one process.

    Attributes:
        resident: all its pages, also those it shares.
        proportional: its pages, a shared one divided by how many share it; these add up.
        own: pages nobody else has: what the machine gets back when it ends, and what one more like it takes.
    """

    resident: float
    proportional: float
    own: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """Reads the kernel's sums (Linux 4.14 and later)."""
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
        kilobytes = {name.rstrip(":"): int(value) for name, value, *_ in map(str.split, lines)}
        parts = (kilobytes["Rss"], kilobytes["Pss"], kilobytes["Private_Clean"] + kilobytes["Private_Dirty"])
        return cls(*(part * 1024 / 1e6 for part in parts))
