"""Columns of tables that something is computed from, and relations that know it of each of their columns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final, NamedTuple

__all__ = ["NOTHING", "Relation", "Sources", "base", "renamed", "stacked", "union"]


class Sources(NamedTuple):
    """What a column is computed from.

    Attributes:
        values: columns whose values go into it, as `table.column`; a table's name alone where its rows are counted.
        rows: columns that only decide which rows are taken, and under which key: of WHERE, JOIN, GROUP BY, windows.

    Example:
        >>> Sources(frozenset({"items.budget"})) | Sources(rows=frozenset({"items.category"}))
        Sources(values=frozenset({'items.budget'}), rows=frozenset({'items.category'}))
    """

    values: frozenset[str] = frozenset()
    rows: frozenset[str] = frozenset()

    def __or__(self, other: "Sources") -> "Sources":
        return Sources(self.values | other.values, self.rows | other.rows)

    @property
    def all(self) -> frozenset[str]:
        """Both together."""
        return self.values | self.rows

    @property
    def tables(self) -> frozenset[str]:
        """Tables whose values or number of rows go into it."""
        return frozenset(name.partition(".")[0] for name in self.values)

    def deciding(self) -> "Sources":
        """The same columns where they only decide which rows are taken."""
        return Sources(rows=self.all)

    def given(self, rows: "Sources") -> "Sources":
        """The same in a SELECT whose rows depend on `rows`; a constant depends on nothing."""
        return Sources(self.values, self.rows | rows.all) if self.all else self


NOTHING: Final = Sources()
"""Of a constant."""


@dataclass(frozen=True)
class Relation:
    """A table, or what a SELECT gives.

    Attributes:
        columns: name and sources, in order; several may have one name.
        exists: what decides which rows there are.
        table: of a table with further columns than these, its name; else empty.
        rest: what a column of any other name comes from, where the names are not known.
    """

    columns: tuple[tuple[str, Sources], ...]
    exists: Sources = NOTHING
    table: str = ""
    rest: Sources | None = None

    def find(self, name: str) -> Sources | None:
        """A column's sources; None where it has no such column."""
        found = [sources for own, sources in self.columns if own.lower() == name.lower()]
        return union(found) if found else None

    def further(self, name: str) -> Sources | None:
        """The sources of a column that is not among `columns`; None where there can be none."""
        return Sources(frozenset({f"{self.table}.{name}"})) if self.table else self.rest

    def whole(self) -> Sources:
        """The sources of all columns."""
        return union([self.exists, self.rest or NOTHING, *(sources for _, sources in self.columns)])


def base(table: str, columns: Mapping[str, Sources]) -> Relation:
    """A table, with what its columns come from; further ones come from themselves."""
    return Relation(tuple(columns.items()), Sources(frozenset({table})), table)


def union(many: Iterable[Sources]) -> Sources:
    """Several together."""
    return reduce(Sources.__or__, many, NOTHING)


def stacked(parts: list[Relation]) -> Relation:
    """UNION by place: the names are the first's."""
    columns = [
        (name, union(part.columns[i][1] for part in parts if i < len(part.columns)))
        for i, (name, _) in enumerate(parts[0].columns)
    ]
    return Relation(tuple(columns), union(part.exists for part in parts))


def renamed(relation: Relation, names: Iterable[str]) -> Relation:
    """Its first columns by other names."""
    new = list(names)
    if not new:
        return relation
    if relation.rest is not None and not relation.columns:
        return replace(relation, columns=tuple((name, relation.rest) for name in new))
    kept = relation.columns[len(new) :]
    return replace(relation, columns=(*((name, own) for name, (_, own) in zip(new, relation.columns, strict=False)), *kept))
