"""What a benchmark found: figures, the same figures of the alternatives, and the bars it had to hold."""

import json
import math
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rankloop.files import write_aside

__all__ = ["ROOT", "Bar", "Result"]

ROOT = Path(__file__).resolve().parent.parent
_NOT_CODE = (":!benchmarks/results", ":!docs/benchmarks.md")


@dataclass(frozen=True)
class Bar:
    """One promise in words, the number found, the limit, and whether the promise holds.

    Example:
        >>> Bar.at_most("peak memory of a step, GB", 1.5, 4.0).holds
        True
        >>> Bar.at_least("share of the gap captured", float("nan"), 0.6).holds
        False
    """

    bar: str
    value: float
    limit: float
    holds: bool

    @classmethod
    def at_most(cls, bar: str, value: float, limit: float) -> "Bar":
        """Holds when `value <= limit`; a value of NaN never holds."""
        return cls(f"{bar} <= {limit:g}", float(value), float(limit), bool(value <= limit))

    @classmethod
    def at_least(cls, bar: str, value: float, limit: float) -> "Bar":
        """Holds when `value >= limit`; a value of NaN never holds."""
        return cls(f"{bar} >= {limit:g}", float(value), float(limit), bool(value >= limit))


@dataclass(frozen=True)
class Result:
    """The outcome of one benchmark.

    Args:
        name: the benchmark's module name.
        figures: what was measured of ours, the unit in the key (`p50_ms`, `peak_gb`); a mapping of mappings is shown as a table.
        versus: the alternatives by name, each a number or a mapping with the keys of `figures`.
        bars: the promises, each with the number found.
        plot: a drawing as SVG; empty: none.
    """

    name: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    versus: Mapping[str, Any] = field(default_factory=dict)
    bars: Sequence[Bar] = ()
    plot: str = ""

    @property
    def holds(self) -> bool:
        """Whether every bar holds."""
        return all(bar.holds for bar in self.bars)

    def record(self) -> dict[str, Any]:
        """The result as plain JSON values, with the commit and the number of cores it was measured on."""
        return {
            "name": self.name,
            "commit": _commit(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "figures": _plain(self.figures),
            "versus": _plain(self.versus),
            "bars": [_plain(vars(bar)) for bar in self.bars],
        }

    def write(self, folder: Path) -> Path:
        """Writes `<folder>/<name>.json`, and `<name>.svg` where there is a plot, aside first and then renamed."""
        if self.plot:
            write_aside(folder / f"{self.name}.svg", self.plot)
        return write_aside(folder / f"{self.name}.json", json.dumps(self.record(), indent=2, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    """JSON has no NaN, no infinity and no NumPy scalar: undefined becomes null, a scalar becomes a number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _commit() -> str:
    """The commit measured, with `-dirty` when tracked code differs from it; `unknown` outside a git checkout."""
    try:
        head = _git("rev-parse", "--short=10", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *_NOT_CODE)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if changed else head


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
