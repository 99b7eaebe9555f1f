"""Which columns of which tables each column of a SELECT comes from, by its parse tree; nothing is run.

It is exact on what a parse tree can tell: common table expressions (recursive ones too), aliases, joins, set operations,
subqueries, stars, windows, filters and lambdas. It does not know what a function ignores, nor that `x - x` is 0; what it cannot
resolve, such as a table function, it takes for made of all that was given to it, so a source may be named too often and is never
left out. DuckDB parses the text, so its dialect is the one that is understood.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

import duckdb

from rankloop.drift.sources import NOTHING, Relation, Sources, renamed, stacked, union
from rankloop.errors import DataError

__all__ = ["trace"]

Node = Mapping[str, Any]


def trace(sql: str, tables: Mapping[str, Relation], name: str = "the query") -> dict[str, Sources]:
    """The sources of each column of a SELECT.

    Args:
        sql: one statement in DuckDB's dialect.
        tables: what it may read, by name.
        name: of the text, for errors.

    Returns:
        By column, in order.

    Raises:
        DataError: it is not one SELECT, or it reads a table that is not in `tables`.

    Example:
        >>> from rankloop.drift.sources import base
        >>> found = trace("SELECT category, avg(budget) AS pay FROM items GROUP BY ALL", {"items": base("items", {})})
        >>> found["pay"]
        Sources(values=frozenset({'items.budget'}), rows=frozenset({'items.category'}))
    """
    text: str = duckdb.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0][0]
    tree = json.loads(text)
    if tree["error"]:
        raise DataError(f"{name}: DuckDB does not read it: {tree['error_message']}; write one SELECT")
    if len(tree["statements"]) != 1:
        raise DataError(f"{name}: holds {len(tree['statements'])} statements; write one SELECT")
    relation = _Scope(name, {key.lower(): table for key, table in tables.items()}).of(tree["statements"][0]["node"])
    return {column: Sources(found.values, found.rows - found.values) for column, found in relation.columns}


@dataclass(frozen=True)
class _Scope:
    """The names that can be seen from a place in the text."""

    name: str
    tables: Mapping[str, Relation]
    inner: tuple[tuple[str, Relation], ...] = ()
    outer: "_Scope | None" = None
    aliases: Mapping[str, Sources] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()

    def of(self, node: Node) -> Relation:
        """What a SELECT, or a set operation of several, gives."""
        here = self._with_ctes(node)
        match node["type"]:
            case "SELECT_NODE":
                return here._select(node)
            case "SET_OPERATION_NODE":
                return here._set_operation(node)
            case "RECURSIVE_CTE_NODE":
                return here._recursive(node)
            case "CTE_NODE":
                own = renamed(here.of(node["query"]), node.get("aliases", ()))
                return replace(here, tables={**here.tables, node["ctename"].lower(): own}).of(node["child"])
        raise DataError(f"{self.name}: {node['type']} cannot be traced; write it as a SELECT")

    def sources(self, part: Any) -> Sources:
        """Of an expression, or of several."""
        if isinstance(part, list | tuple):
            return union(map(self.sources, part))
        if not isinstance(part, Mapping):
            return NOTHING
        match part.get("class"):
            case "COLUMN_REF":
                return self._named(part["column_names"])
            case "STAR":
                return union(relation.whole() for _, relation in self.inner)
            case "SUBQUERY":
                return replace(self, inner=(), outer=self, aliases={}).of(part["subquery"]["node"]).whole() | self.sources(
                    part.get("child")
                )
            case "LAMBDA":
                hidden = frozenset(ref["column_names"][0].lower() for ref in _references(part["lhs"]))
                return replace(self, hidden=self.hidden | hidden).sources(part["expr"])
            case "WINDOW":
                return self._window(part)
        found = union(self.sources(value) for key, value in part.items() if key not in _TEXT)
        counts_rows = part.get("class") == "FUNCTION" and part["function_name"] == "count_star"
        return found | self._rows() if counts_rows else found

    def _window(self, part: Node) -> Sources:
        over = [part.get("partitions"), part.get("orders")]
        values = {key: value for key, value in part.items() if key not in ("partitions", "orders", "class")}
        found, frame = self.sources(values), self.sources(over)
        if not found.all:  # row_number, rank, count(*): made of the window itself
            return frame | self._rows()
        return found | frame.deciding()

    def _rows(self) -> Sources:
        return union(relation.exists for _, relation in self.inner)

    def _named(self, names: list[str]) -> Sources:
        known = self._known(names)
        if known is not None:
            return known
        scope: _Scope | None = self
        while scope is not None:
            found = [further for _, relation in scope.inner if (further := relation.further(names[-1])) is not None]
            if found:
                return union(found)
            scope = scope.outer
        return NOTHING

    def _known(self, names: list[str]) -> Sources | None:
        """Of a name that this scope, or one around it, surely has."""
        first = names[0].lower()
        if first in self.hidden:
            return NOTHING
        of = [relation for alias, relation in self.inner if alias.lower() == first]
        if of and len(names) > 1:
            return union(relation.find(names[1]) or relation.further(names[1]) or NOTHING for relation in of)
        found = [sources for _, relation in self.inner if (sources := relation.find(first)) is not None]
        if found:
            return union(found)
        if first in self.aliases:
            return self.aliases[first]
        if of:  # a whole row
            return union(relation.whole() for relation in of)
        return None if self.outer is None else self.outer._known(names)

    def _with_ctes(self, node: Node) -> "_Scope":
        here = self
        for entry in node.get("cte_map", {}).get("map", ()):
            given = entry["value"]["query_node"] if "query_node" in entry["value"] else entry["value"]["query"]["node"]
            own = renamed(here.of(given), entry["value"].get("aliases", ()))
            here = replace(here, tables={**here.tables, entry["key"].lower(): own})
        return here

    def _recursive(self, node: Node) -> Relation:
        found = self.of(node["left"])
        while True:
            seen = replace(self, tables={**self.tables, node["cte_name"].lower(): found})
            grown = stacked([found, seen.of(node["right"])])
            if grown == found:
                return found
            found = grown

    def _set_operation(self, node: Node) -> Relation:
        parts = [self.of(part) for part in node.get("children") or (node["left"], node["right"])]
        if node["setop_type"] == "UNION_BY_NAME":
            names = dict.fromkeys(name for part in parts for name, _ in part.columns)
            columns = tuple((name, union(part.find(name) or NOTHING for part in parts)) for name in names)
            return Relation(columns, union(part.exists for part in parts))
        if node["setop_type"] == "UNION":
            return stacked(parts)
        rows = union(part.whole() for part in parts).deciding()
        return Relation(tuple((name, own.given(rows)) for name, own in parts[0].columns), parts[0].exists | rows)

    def _select(self, node: Node) -> Relation:
        tables, joined = self._from(node.get("from_table"), ())
        here = replace(self, inner=tables, outer=self if self.inner else self.outer, aliases={}, hidden=frozenset())
        columns: list[tuple[str, Sources]] = []
        for item in node["select_list"]:
            columns.extend(here._outputs(item, len(columns)))
            here = replace(here, aliases={**here.aliases, **{name.lower(): found for name, found in columns}})
        rows = here._filtering(node, columns) | joined
        exists = Sources(here._rows().values, here._rows().rows | rows.all)
        # what decides the rows of a joined table decides which of the others' rows are met
        return Relation(tuple((name, found.given(rows)) for name, found in columns), exists)

    def _filtering(self, node: Node, columns: list[tuple[str, Sources]]) -> Sources:
        rows = self.sources([node.get("where_clause"), node.get("having"), node.get("qualify")])
        for key in node.get("group_expressions") or ():
            place = _ordinal(key)
            rows |= columns[place - 1][1] if place and place <= len(columns) else self.sources(key)
        if node.get("aggregate_handling") == "FORCE_AGGREGATES":  # GROUP BY ALL
            rows |= self.sources([item for item in node["select_list"] if not _aggregates(item)])
        modifiers = node.get("modifiers") or ()
        if any(modifier["type"] != "ORDER_MODIFIER" for modifier in modifiers):
            rows |= self.sources([{**modifier, "class": ""} for modifier in modifiers])
        return rows

    def _outputs(self, item: Node, place: int) -> list[tuple[str, Sources]]:
        if item.get("class") != "STAR":
            last = item["column_names"][-1] if item.get("class") == "COLUMN_REF" else f"column{place}"
            return [(item.get("alias") or last, self.sources(item))]
        of = item.get("relation_name", "").lower()
        left_out = {str(name).lower() for name in _names(item.get("exclude_list"))}
        replaced = {str(entry["key"]).lower(): self.sources(entry["value"]) for entry in item.get("replace_list") or ()}
        given = [relation for alias, relation in self.inner if not of or alias.lower() == of]
        columns = [column for relation in given for column in relation.columns]
        return [(name, replaced.get(name.lower(), own)) for name, own in columns if name.lower() not in left_out]

    def _from(self, ref: Node | None, left: tuple[tuple[str, Relation], ...]) -> tuple[tuple[tuple[str, Relation], ...], Sources]:
        """The tables of a FROM by alias, and what joins them."""
        if ref is None or ref["type"] == "EMPTY":
            return (), NOTHING
        seen = replace(self, inner=left, outer=self)
        if ref["type"] == "JOIN":
            one, by_one = self._from(ref["left"], left)
            two, by_two = self._from(ref["right"], (*left, *one))
            using = [{"class": "COLUMN_REF", "column_names": [name]} for name in ref.get("using_columns") or ()]
            joined = replace(self, inner=(*one, *two), outer=self).sources([ref.get("condition"), using])
            return (*one, *two), by_one | by_two | joined.deciding()
        alias = ref.get("alias") or ref.get("table_name", "")
        return ((alias, renamed(seen._one(ref), ref.get("column_name_alias") or ())),), NOTHING

    def _one(self, ref: Node) -> Relation:
        if ref["type"] == "BASE_TABLE":
            known = self.tables.get(ref["table_name"].lower())
            if known is None:
                raise DataError(f"{self.name}: there is no table {ref['table_name']!r}; it may read {sorted(self.tables)}")
            return known
        if ref["type"] == "SUBQUERY":
            return self.of(ref["subquery"]["node"])
        if ref["type"] == "EXPRESSION_LIST":
            width = len(ref["values"][0]) if ref["values"] else 0
            return Relation(tuple((f"col{i}", self.sources([row[i] for row in ref["values"]])) for i in range(width)))
        given = self.sources({key: value for key, value in ref.items() if key != "source"})
        source = union(relation.whole() for _, relation in self._from(ref.get("source"), self.inner)[0])
        return Relation((), given | source, rest=given | source)


_TEXT: Final = ("class", "type", "alias", "column_names", "literal", "type_expr", "cast_type", "value")


def _references(part: Any) -> Iterable[Node]:
    if isinstance(part, Mapping):
        if part.get("class") == "COLUMN_REF":
            yield part
        part = list(part.values())
    if isinstance(part, list):
        for child in part:
            yield from _references(child)


def _names(listed: Any) -> Iterable[str]:
    for entry in listed or ():
        yield entry if isinstance(entry, str) else entry["column"]


def _ordinal(key: Node) -> int:
    literal = key.get("literal") or key.get("value") or {}
    text = str(literal.get("text", literal.get("value", ""))) if key.get("class") == "CONSTANT" else ""
    return int(text) if text.isdigit() else 0


def _aggregates(part: Any) -> bool:
    if isinstance(part, list):
        return any(map(_aggregates, part))
    if not isinstance(part, Mapping) or part.get("class") in ("SUBQUERY", "WINDOW"):
        return False
    own = part.get("class") == "FUNCTION" and part["function_name"] in _aggregate_names()
    return own or any(map(_aggregates, part.values()))


@cache
def _aggregate_names() -> frozenset[str]:
    found = duckdb.execute("SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'").fetchall()
    return frozenset(name for (name,) in found)
