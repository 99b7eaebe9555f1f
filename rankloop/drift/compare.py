"""Two periods compared column by column, and each column's verdict."""

from collections.abc import Sequence
from math import isfinite
from typing import Final, NamedTuple

import msgspec
import numpy as np

from rankloop.drift.measures import Distance, adjusted, distance
from rankloop.drift.policy import DriftPolicy
from rankloop.drift.profile import Profile
from rankloop.drift.quality import Fault, Pair, fault, missing
from rankloop.drift.report import Change, ColumnDrift, Shares, Verdict
from rankloop.drift.saying import sentence
from rankloop.errors import DataError

__all__ = ["Comparison", "compare"]

_DEAD: Final = 0.95
_FEW: Final = 5
"""Numbers of no more values than this are judged as labels: a flag that is rarely set has next to no deviation."""


class Comparison(msgspec.Struct, frozen=True):
    """All columns of a window against the reference.

    Attributes:
        reference_rows: all rows of the reference.
        window_rows: all rows of the window.
        columns: one for each column, in the reference's order.
    """

    reference_rows: int
    window_rows: int
    columns: tuple[ColumnDrift, ...]


class _Found(NamedTuple):
    """The part of a column that differs most."""

    part: int
    effect: float
    p: float
    distance: Distance


def compare(reference: Profile, window: Profile, policy: DriftPolicy, *, before: Profile | None = None) -> Comparison:
    """Says of each column whether it is what the models learnt from.

    A fault of the data is broken. Else the column has drifted where its distance reaches the policy's threshold, and chance
    explains it no longer. A difference that was the same at `before` (the same weekday a week ago) is the week's rhythm, or
    known: it counts only from `known` times the threshold on, so that a slow drift is not excused for ever.

    Args:
        reference: the period the models learnt from.
        window: the period that is looked at, counted in the reference's bins.
        policy: what counts.
        before: a period in which the same is expected as in the window, counted in the reference's bins.

    Raises:
        DataError: a profile is not counted in the reference's bins.
    """
    for each in (window, before):
        if each is not None and each.bins != reference.bins:
            raise DataError("drift: a window is counted in other bins than the reference; profile it with bins=reference.bins")
    pairs = _pairs(reference, window)
    found = [_farthest(pair, policy) for pair in pairs]
    earlier = [_farthest(pair, policy) for pair in _pairs(before, window)] if before else [None] * len(pairs)
    faults = [fault(pair, policy) if _enough(pair, policy) else None for pair in pairs]
    chances = [wrong.p if wrong else one.p if one else 1.0 for wrong, one in zip(faults, found, strict=True)]
    level = adjusted(np.array(chances))
    columns = [
        _judged(pair, one, wrong, float(p), _known(past, before is not None), policy)
        for pair, one, wrong, p, past in zip(pairs, found, faults, level, earlier, strict=True)
    ]
    return Comparison(reference.rows, window.rows, _dead_tables(columns))


def _pairs(reference: Profile, window: Profile) -> list[Pair]:
    shares = reference.worth / max(reference.rows, 1), window.worth / max(window.rows, 1)
    columns = zip(reference.bins.columns, reference.columns, window.columns, strict=True)
    return [Pair(bins, one, two, reference.rows, window.rows, *shares) for bins, one, two in columns]


def _enough(pair: Pair, policy: DriftPolicy) -> bool:
    """Whether there are rows enough to say that values are missing; the reference must have had some."""
    held = (pair.reference.filled - pair.reference.odd) * pair.reference_worth
    return min(held, pair.window_rows * pair.window_worth) >= policy.min_rows


def _farthest(pair: Pair, policy: DriftPolicy) -> _Found | None:
    """The part that differs most in units of the threshold; None where there are not rows enough."""
    one, two = (each.filled - each.odd for each in (pair.reference, pair.window))
    shares = pair.reference_worth, pair.window_worth
    if not pair.window.there or min(one * shares[0], two * shares[1]) < policy.min_rows:
        return None
    found = []
    for at, part in enumerate(pair.bins.parts):
        counts = np.array(pair.reference.parts[at], float), np.array(pair.window.parts[at], float)
        if not counts[0].sum() or not counts[1].sum():
            continue
        # Elements of one row are not independent: a row counts once, however many it has.
        worth = min(counts[0].sum(), one) * shares[0], min(counts[1].sum(), two) * shares[1]
        apart = distance(*counts, *worth, np.array(part.centres) if part.numeric else None)
        effect = max(apart.js / policy.js, apart.wasserstein / policy.wasserstein if len(part.edges) > _FEW else 0.0)
        found.append(_Found(at, effect, min(1.0, apart.p * len(pair.bins.parts)), apart))
    return max(found, key=lambda each: each.effect, default=None)


def _known(past: _Found | None, given: bool) -> bool:
    """Whether the window is as `before` was."""
    return given and past is not None and past.effect < 1


def _judged(pair: Pair, found: _Found | None, wrong: Fault | None, p: float, known: bool, policy: DriftPolicy) -> ColumnDrift:
    verdict, change = _verdict(found, wrong, p, known, policy)
    column = pair.bins.column
    drift = ColumnDrift(
        name=column.name,
        kind=column.kind,
        table=column.table,
        verdict=verdict,
        change=change,
        measures=_measures(found),
        p_adjusted=p if found or wrong else None,
        reference_rows=pair.reference.filled,
        window_rows=pair.window.filled,
        null_share=(missing(pair.reference, pair.reference_rows), missing(pair.window, pair.window_rows)),
        factor=wrong.factor if wrong and verdict == "broken" else None,
        importance=column.importance,
        bins=_shares(pair, found),
    )
    if wrong and verdict == "broken":
        return msgspec.structs.replace(drift, says=f"{column.name}: {wrong.says}.")
    part = pair.bins.parts[found.part].name if found else ""
    return msgspec.structs.replace(drift, says=sentence(drift, part, known and found is not None and found.effect >= 1, policy))


def _verdict(found: _Found | None, wrong: Fault | None, p: float, known: bool, policy: DriftPolicy) -> tuple[Verdict, Change]:
    if wrong is not None and p < policy.alpha:
        return "broken", wrong.change
    if found is None:
        return "not enough rows", ""
    if found.effect >= (policy.known if known else 1.0) and p < policy.alpha:
        return "drifted", "taste"
    return "stable", ""


def _measures(found: _Found | None) -> dict[str, float]:
    return (
        {name: float(value) for name, value in found.distance._asdict().items() if name != "p" and isfinite(value)}
        if found
        else {}
    )


def _shares(pair: Pair, found: _Found | None) -> Shares:
    if found is None:
        return Shares()
    one, two = (np.array(each.parts[found.part]) / sum(each.parts[found.part]) for each in (pair.reference, pair.window))
    held = (one > 0) | (two > 0)
    labels = tuple(label for label, there in zip(pair.bins.parts[found.part].shown, held, strict=True) if there)
    return Shares(labels=labels, reference=tuple(one[held].tolist()), window=tuple(two[held].tolist()))


def _dead_tables(columns: Sequence[ColumnDrift]) -> tuple[ColumnDrift, ...]:
    """Columns of a table none of whose columns says anything any more."""
    tables: dict[str, list[ColumnDrift]] = {}
    for column in columns:
        tables.setdefault(column.table, []).append(column)
    dead = {table for table, own in tables.items() if table and len(own) > 1 and all(map(_silent, own))}
    return tuple(
        msgspec.structs.replace(each, change="dead table", says=f"{each.says} So has every column of {each.table}.")
        if each.table in dead
        else each
        for each in columns
    )


def _silent(column: ColumnDrift) -> bool:
    return column.change == "constant" or (column.change == "nulls" and column.null_share[1] >= _DEAD)
