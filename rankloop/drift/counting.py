"""All columns counted in their bins by one query."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from rankloop.drift.bins import Bins, ColumnBins, Part
from rankloop.drift.rows import Rows
from rankloop.drift.values import TABLE, finite, literal, value, words

__all__ = ["Counted", "count"]


class Counted(NamedTuple):
    """What the rows hold of one column.

    Attributes:
        filled: rows with a value.
        odd: values that are NaN or infinite, or vectors of another length or with such a number.
        parts: counts by bin, for each part.
    """

    filled: int
    odd: int
    parts: tuple[tuple[int, ...], ...]


def count(rows: Rows, bins: Bins) -> list[Counted | None]:
    """Counts all rows; None for a column that the rows do not have."""
    there = [own if own.column.name in rows.types else None for own in bins.columns]
    asked = [expression for own in there if own for expression in _expressions(own)]
    if not asked:
        return [None] * len(there)
    answers = iter(rows.ask(f"SELECT {', '.join(asked)} FROM {TABLE}"))
    return [_counted(own, answers) if own else None for own in there]


def _counted(own: ColumnBins, answers: Iterator[Any]) -> Counted:
    filled = int(next(answers))
    parts = tuple(_folded(part, next(answers)) for part in own.parts)
    numbers = own.column.kind in ("numeric", "embedding") and own.parts
    return Counted(filled, filled - sum(parts[0]) if numbers else 0, parts)


def _expressions(own: ColumnBins) -> Iterator[str]:
    read = value(own.column)
    yield f"count({read})"
    for part in own.parts:
        yield _histogram(own, part, read)


def _histogram(own: ColumnBins, part: Part, read: str) -> str:
    if part.take in ("elements", "words"):
        spread = words(own.column) if part.words else read
        known = literal(tuple(part.words)) if part.words else literal(part.labels)
        return f"(SELECT histogram_exact(each, {known}) FROM (SELECT unnest({spread}) AS each FROM {TABLE}) WHERE each <> '')"
    if not part.numeric:
        return f"histogram_exact({read}, {literal(part.labels)})"
    return f"map_values(histogram({_number(own, part, read)}, {literal(part.edges)}))"


def _number(own: ColumnBins, part: Part, read: str) -> str:
    if part.take == "value":
        return finite(read)
    if part.take == "length":
        counted = words(own.column) if own.column.kind == "text" else read
        return f"len({counted})::DOUBLE"
    other = f"{literal(part.vector)}::FLOAT[]"
    taken = {
        "norm": f"sqrt(list_inner_product({read}, {read}))",
        "distance": f"list_distance({read}, {other})",
        "dot": f"list_inner_product({read}, {other})",
    }[part.take]
    return finite(f"(CASE WHEN len({read}) = {len(part.vector)} THEN {taken} END)::DOUBLE")


def _folded(part: Part, found: Any) -> tuple[int, ...]:
    """Counts by bin, of numbers from a list that lacks a last bin without values, of labels from a mapping."""
    if part.numeric:
        counts = [int(each) for each in found or ()]
        return tuple(counts + [0] * (part.size - len(counts)))
    totals = [0] * part.size
    for label, number in (found or {}).items():
        at = part.words.get(label, len(part.labels)) if part.words else _place(part, label)
        totals[at] += int(number)
    return tuple(totals)


def _place(part: Part, label: str) -> int:
    return part.labels.index(label) if label in part.labels else len(part.labels)
