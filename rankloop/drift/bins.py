"""The bins in which two periods are counted, as the reference fixes them."""

from typing import Literal

import msgspec

from rankloop.drift.column import Column

__all__ = ["OTHER", "Bins", "ColumnBins", "Part"]

OTHER = "(other)"
"""The label of what has no bin of its own."""

Take = Literal["value", "elements", "words", "length", "norm", "distance", "dot"]


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is counted of a column: its value, its length, its elements, a projection of it.

    Attributes:
        name: what it is called in a sentence.
        take: how a row's value is taken from the column.
        edges: of numbers: upper ends of the bins, included, ascending; the last bin has none. So `len(edges) + 1` bins.
        centres: of numbers: where each bin's values lie, their median in the reference, ascending.
        labels: of labels: one for each bin but the last, which is `OTHER`.
        known: of labels: those without a bin that the reference's sample has.
        words: of words: the number of the label that a word counts for.
        vector: of projections: what the row is multiplied with, or its distance taken from.
    """

    name: str
    take: Take
    edges: tuple[float, ...] = ()
    centres: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    words: dict[str, int] = {}
    vector: tuple[float, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether its bins have an order and a distance."""
        return bool(self.centres)

    @property
    def size(self) -> int:
        """The number of bins."""
        return len(self.centres) or len(self.labels) + 1

    @property
    def shown(self) -> tuple[str, ...]:
        """A label for each bin.

        Example:
            >>> Part("value", "value", edges=(0.0, 2.5), centres=(0.0, 1.0, 4.0)).shown
            ('up to 0', '0 to 2.5', 'above 2.5')
        """
        if not self.numeric:
            return (*self.labels, OTHER)
        if not self.edges:
            return ("all",)
        inner = (f"{low:.4g} to {high:.4g}" for low, high in zip(self.edges, self.edges[1:], strict=False))
        return (f"up to {self.edges[0]:.4g}", *inner, f"above {self.edges[-1]:.4g}")


class ColumnBins(msgspec.Struct, frozen=True):
    """The parts of one column; none where the reference has no value of it."""

    column: Column
    parts: tuple[Part, ...]


class Bins(msgspec.Struct, frozen=True):
    """The bins of all columns."""

    columns: tuple[ColumnBins, ...]
