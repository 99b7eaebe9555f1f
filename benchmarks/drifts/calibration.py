"""How often nothing is called drift, and how often a change is found, by rows and by size of the change."""

from collections.abc import Iterator

from benchmarks.drifts.rows import COLUMNS, frame
from rankloop.drift import DriftPolicy, Profile, compare, profile

__all__ = ["false_alarms", "found"]

_POLICY = DriftPolicy()
_REFERENCE = 100_000


def false_alarms(sizes: tuple[int, ...], most: int) -> dict[int, dict[str, float]]:
    """By rows of the window: the share of columns called drifted or broken where nothing changed.

    Args:
        sizes: rows of a window.
        most: rows in all windows of a size together; each size has 2 to 40 windows.
    """
    reference = _reference()
    counted = {}
    for rows in sizes:
        windows = max(2, min(40, most // rows))
        verdicts = [verdict for number in range(windows) for verdict in _verdicts(reference, rows, number, 0.0)]
        counted[rows] = {"columns": len(verdicts), "false_alarms": sum(verdicts) / len(verdicts)}
    return counted


def found(sizes: tuple[int, ...], changes: tuple[float, ...], windows: int) -> dict[str, dict[str, float]]:
    """The share of columns called drifted or broken, by rows of the window and size of the change of every column."""
    reference = _reference()
    shares: dict[str, dict[str, float]] = {}
    for rows in sizes:
        by_change = {}
        for change in changes:
            verdicts = [verdict for number in range(windows) for verdict in _verdicts(reference, rows, number, change)]
            by_change[f"changed by {change:g}"] = sum(verdicts) / len(verdicts)
        shares[f"{rows:,} rows"] = by_change
    return shares


def _reference() -> Profile:
    return profile(frame(_REFERENCE, [0, 99]), COLUMNS)


def _verdicts(reference: Profile, rows: int, number: int, change: float) -> Iterator[bool]:
    changed = {column.name: change for column in COLUMNS}
    window = profile(frame(rows, [number, rows, 1], changed), bins=reference.bins)
    for column in compare(reference, window, _POLICY).columns:
        yield column.verdict in ("drifted", "broken")
