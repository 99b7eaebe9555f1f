"""One sentence about a column without a fault, with its numbers."""

from rankloop.drift.policy import DriftPolicy
from rankloop.drift.report import ColumnDrift, Shares

__all__ = ["sentence"]


def sentence(drift: ColumnDrift, part: str, known: bool, policy: DriftPolicy) -> str:
    """What happened to a column.

    Args:
        drift: the column, with all but the sentence.
        part: which part of it differs most.
        known: whether it differed as much at the same weekday before.
        policy: whose limits are named.
    """
    if drift.verdict == "not enough rows":
        rows = f"{drift.window_rows:,} rows of the window and {drift.reference_rows:,} of the reference have a value"
        return f"{drift.name}: not judged: {rows}, and {policy.min_rows:,} independent ones are needed in each."
    apart = f"Jensen-Shannon distance {drift.measures['js']:.2f} (limit {policy.js:g})"
    if "wasserstein" in drift.measures:
        apart += f", moved by {drift.measures['wasserstein']:.2f} standard deviations (limit {policy.wasserstein:g})"
    of = "" if part == "value" else f"its {part}, "
    if drift.verdict == "stable":
        rhythm = "differs from the reference as at the same weekday before, so it is the week's rhythm"
        return f"{drift.name}: {rhythm if known else 'as the reference'}; {of}{apart}."
    before = ", as already at the same weekday before" if known else ""
    return f"{drift.name}: differs from the reference{before}; {of}{apart}; {_most(drift.bins)}."


def _most(bins: Shares) -> str:
    """The bin whose share changed most."""
    pairs = list(zip(bins.labels, bins.reference, bins.window, strict=True))
    label, one, two = max(pairs, key=lambda each: abs(each[2] - each[1]))
    return f"{label!r} went from {one:.1%} to {two:.1%}"
