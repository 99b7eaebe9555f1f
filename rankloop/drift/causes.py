"""Why columns drift: one cause for all that it explains, told apart by what went wrong."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from rankloop.drift.report import Cause, CauseName, Change, ColumnDrift, Performance
from rankloop.drift.signs import ACTS, FAULTS, TABLES, at_last, at_most, did
from rankloop.drift.sources import NOTHING, Sources
from rankloop.drift.where import Parts, Slices, gone, name_of, onset, size, worst_slice

__all__ = ["Context", "causes", "ranked"]

_SEVERAL: Final = 3
_WHOLE: Final = 0.6
"""Above this share of a table's columns (and at least three of them) the table is at fault, and not each column."""


@dataclass(frozen=True)
class Context:
    """What is known beside the columns.

    Attributes:
        importance: by feature, what the ranker makes of it, in any unit; empty: all alike.
        lineage: by feature, its raw columns: see `rankloop.drift.lineage`.
        slices: see `Slices`.
        parts: see `Parts`.
        performance: metrics of the window.
        report_id: the report that will hold the causes.
        log: where the log lies that a release is trained on.
        least_impact: a change of tastes or of scores, or a loss, below it is no cause; a fault of the data always is one.
        much: what a drift of features must come to, to be a cause though neither outcomes nor a metric moved.
    """

    importance: Mapping[str, float] = field(default_factory=dict)
    lineage: Mapping[str, Sources] = field(default_factory=dict)
    slices: Slices = field(default_factory=dict)
    parts: Parts = ()
    performance: Sequence[Performance] = ()
    report_id: str = ""
    log: str = ""
    least_impact: float = 0.05
    much: float = 0.15

    def command(self, cause: CauseName) -> str:
        """The one command that mends a cause or looks further."""
        if cause in ("score-shift", "performance"):
            return f'rankloop rollback --why "{cause}"'
        if cause == "taste-shift" and self.log:
            return f"rankloop runs start {self.log}"
        return f"rankloop drift show {self.report_id}".rstrip()

    def shares(self, columns: Iterable[ColumnDrift]) -> dict[str, float]:
        """Each feature's share of the importance; they sum to 1, over features that were not compared too."""
        given = {name: gain for name, gain in self.importance.items() if gain > 0}
        if not given:
            given = {name_of(column): 1.0 for column in columns if column.table not in (*TABLES, "scores")}
        total = sum(given.values())
        return {name: gain / total for name, gain in given.items()}


def ranked(columns: Sequence[ColumnDrift], context: Context) -> tuple[ColumnDrift, ...]:
    """The columns with their importance and impact, the most impact first.

        impact = share of importance x size of the drift (`rankloop.drift.where.size`), 0 for a stable column

    A raw column has the importance of all the features made of its values.
    """
    shares = context.shares(columns)
    found = []
    for column in columns:
        own = sum(shares.get(name, 0.0) for name in {name_of(column), *_made_of(name_of(column), context.lineage)})
        impact = own * size(column) if column.verdict in ("broken", "drifted") else 0.0
        found.append(msgspec.structs.replace(column, importance=min(own, 1.0), impact=min(impact, 1.0)))
    return tuple(sorted(found, key=lambda column: (-column.impact, -size(column), name_of(column))))


def causes(columns: Sequence[ColumnDrift], context: Context) -> tuple[Cause, ...]:
    """What explains the columns that changed, the most impact first.

    Faults of the data come first, each taking with it everything made of the raw column or table: dead tables, then raw columns
    seen to be at fault, then skewed embeddings, then raw columns that features at fault have in common. What is left is one
    change of tastes; moved scores and a lost metric are causes of their own only where nothing else explains them.

        impact = sum over features it touches of share of importance x size of the drift. A feature made of a raw column at fault
        has at least the size of the fault: lists are soon made of such rows. A category that vanished has at least the share of
        the reference's rows that it had: nobody finds those any more, however little the ranker looks at it. For scores, tastes
        and metrics it is not less than the size of their own drift, since all features work towards them

    Args:
        columns: held against the reference.
        context: what is known beside.

    Returns:
        Causes; empty where nothing changed.

    Example:
        >>> budget = ColumnDrift(name="budget", kind="numeric", table="items", verdict="broken", change="unit", factor=100.0)
        >>> pay = ColumnDrift(name="item_daily_pay", kind="numeric", table="features", verdict="drifted", measures={"js": 0.5})
        >>> made = {"item_daily_pay": Sources(frozenset({"items.budget", "items.duration_days"}))}
        >>> found = causes((budget, pay), Context({"item_daily_pay": 10.0}, made))
        >>> [(cause.cause, cause.component, cause.columns) for cause in found]
        [('unit-change', 'items.budget', ('item_daily_pay', 'items.budget'))]
    """
    search = _Search(columns, context)
    for step in (search.dead_tables, search.raw_faults, search.embeddings, search.common_faults, search.tastes, search.scores):
        step()
    search.performance()
    return tuple(sorted(search.found, key=lambda cause: (-cause.impact, cause.cause, cause.component)))


class _Search:
    """Columns that nothing explains yet, and the causes found so far."""

    def __init__(self, columns: Sequence[ColumnDrift], context: Context) -> None:
        self.columns, self.context = columns, context
        parts: dict[str, list[ColumnDrift]] = {}
        for column in (column for _, part in context.parts for column in part if column.verdict != "not enough rows"):
            parts.setdefault(name_of(column), []).append(column)
        self.named = {name_of(column): at_last(column, parts.get(name_of(column), [])[-2:]) for column in columns}
        self.shares = context.shares(columns)
        self.left = [name for name, column in self.named.items() if column.verdict in ("broken", "drifted")]
        self.found: list[Cause] = []

    def dead_tables(self) -> None:
        """A table of which nothing comes any more: its columns say so, or all features made of it alone stand still."""
        for table in TABLES:
            own = [name for name, column in self.named.items() if column.table == table]
            made = [name for name in self.named if self.sources(name).tables == {table}]
            dead = [name for name in own if self.fault(name) == "dead table"]
            still = [name for name in made if self.fault(name) in ("dead table", "constant")]
            if len(dead) > _WHOLE * len(own) or (len(still) >= 2 and len(still) > _WHOLE * len(made)):
                touched = [name for name in self.left if name in own or table in self.sources(name).tables]
                self.add("dead-table", table, touched, f"No new rows of {table} come in")

    def raw_faults(self) -> None:
        """Raw columns that are seen to be at fault; most columns of one table with the same fault are one cause."""
        for change, cause in FAULTS.items():
            for table in TABLES:
                own = [name for name, column in self.named.items() if column.table == table]
                wrong = [name for name in own if self.fault(name) == change and self.named[name].kind != "embedding"]
                if len(wrong) >= _SEVERAL and len(wrong) > _WHOLE * len(own):
                    self.add(cause, table, self.touched(wrong), f"{len(wrong)} columns of {table} {did(self.named[wrong[0]])}")
                for name in [name for name in wrong if name in self.left]:
                    self.add(cause, name, self.touched([name]), f"{name} {did(self.named[name])}", gone(self.named[name]))

    def common_faults(self) -> None:
        """Features at fault, by the raw column that explains most of them, and else little that is well."""
        for change, cause in FAULTS.items():
            while wrong := [name for name in self.left if self.fault(name) == change and self.named[name].kind != "embedding"]:
                component = self.common(wrong)
                own = [name for name in wrong if component == name or component in self.sources(name).values]
                what = component if component in own else f"{len(own)} features made of {component}, such as {own[0]},"
                self.add(cause, component, self.touched([component]), f"{what} {did(self.named[own[0]])}")

    def embeddings(self) -> None:
        """Embeddings at fault though nothing that they are made of is; texts that drifted with them are taken along."""
        for name in [name for name in self.left if self.named[name].kind == "embedding" and self.fault(name)]:
            texts = [own for own in self.left if own in self.sources(name).values]
            also = f"; {' and '.join(texts)} drifted too" if texts else ""
            self.add("skewed-embedding", name, [*self.touched([name]), *texts], f"{name} {did(self.named[name])}{also}")

    def tastes(self) -> None:
        """All that is left beside the scores, as one: where outcomes say so too, or where it is much.

        Features of behaviour drift as histories grow, and nobody is worse off; so drift without outcomes that drift, or a metric
        that is lost, must be `much`.
        """
        left = [name for name in self.left if self.named[name].table != "scores"]
        acts = max((size(self.named[name]) for name in left if self.named[name].table == "outcomes"), default=0.0)
        lost = self.lost()
        felt = max(acts, 1 - (lost.ratio or 0.0) if lost else 0.0)
        least = self.context.least_impact if felt else self.context.much
        if not left or max(sum(map(self.weight, left)), felt) < least or (self.found and not acts):
            return
        behaviour = [name for name in left if self.named[name].table in ACTS or self.sources(name).tables & {*ACTS}]
        component = "outcomes" if felt or len(behaviour) >= len(left) / 2 else self.common(left)
        what = "What people ask for and choose" if component == "outcomes" else f"What {component} holds"
        first = max(left, key=self.weight)
        self.add("taste-shift", component, left, f"{what} changed, most in {first}; no data is at fault", felt)

    def scores(self) -> None:
        """Scores that moved: with what was found, or without anything, and then the release is another."""
        moved = [name for name in self.left if self.named[name].table == "scores"]
        largest = max(map(size, map(self.named.__getitem__, moved)), default=0.0)
        if self.found:
            self.amend(lambda cause: msgspec.structs.replace(cause, columns=(*cause.columns, *moved)))
        elif moved and largest >= self.context.least_impact:
            says = "Scores moved and no feature did; look for a change of release or configuration"
            self.add("score-shift", "scores", moved, says, largest)

    def performance(self) -> None:
        """A metric of which more than `least_impact` was surely lost; a cause of its own only where nothing else is wrong."""
        worst = self.lost()
        if worst is None:
            return
        ratio = worst.ratio or 0.0
        says = f"{worst.metric} is {ratio:.0%} of what it was, {worst.value:.4g} against {worst.reference:.4g}"
        if self.found:
            self.amend(lambda cause: msgspec.structs.replace(cause, says=f"{cause.says}; {says}"))
        else:
            self.add("performance", worst.metric, (), f"{says}, and no column changed", 1 - ratio)

    def lost(self) -> Performance | None:
        """The metric that surely lost most, of those that surely lost more than `least_impact`."""
        limit = 1 - self.context.least_impact
        lost = [own for own in self.context.performance if own.kind == "measured" and at_most(own) < limit]
        return min(lost, key=lambda own: own.ratio or 0.0, default=None)

    def add(self, cause: CauseName, component: str, columns: Iterable[str], says: str, least: float = 0.0) -> None:
        """Takes columns out of what is left, and adds what explains them."""
        names = sorted(columns, key=lambda name: (-self.weight(name), name))
        self.left = [name for name in self.left if name not in names]
        context = self.context
        spoilt = self.spoilt(component, names) if cause in (*FAULTS.values(), "skewed-embedding") else {}
        impact = sum(self.shares.get(name, 0.0) * max(self.size(name), spoilt.get(name, 0.0)) for name in {*names, *spoilt})
        touched = sum(self.shares.get(name, 0.0) for name in {*names, *spoilt})
        own = Cause(
            cause=cause,
            component=component,
            columns=tuple(names),
            impact=min(max(impact, least), 1.0),
            since=onset(context.parts, names),
            slice=worst_slice(context.slices, names, self.columns),
            says=says + (f"; {touched:.0%} of the ranker's importance leans on it" if touched else ""),
            command=context.command(cause),
        )
        self.found.append(own)

    def spoilt(self, component: str, names: Sequence[str]) -> dict[str, float]:
        """All features made of a raw column or table at fault, and how large the fault is: lists are soon made of such rows."""
        made = [name for name, own in self.context.lineage.items() if component in own.values | own.tables]
        if component in self.named:
            return dict.fromkeys(made, self.size(component))
        largest = max(map(self.size, names), default=0.0)
        return dict.fromkeys(made if component in TABLES else set(made) - self.named.keys(), largest)

    def amend(self, change: Callable[[Cause], Cause]) -> None:
        """Changes the cause with most impact."""
        first = max(range(len(self.found)), key=lambda i: self.found[i].impact)
        self.found[first] = change(self.found[first])

    def weight(self, name: str) -> float:
        """A column's share of importance x the size of its drift."""
        return self.shares.get(name, 0.0) * self.size(name)

    def size(self, name: str) -> float:
        """The size of a column's drift; 0 of one that was not compared or did not change."""
        column = self.named.get(name)
        return size(column) if column is not None and column.verdict in ("broken", "drifted") else 0.0

    def fault(self, name: str) -> Change:
        """What is wrong with a column that nothing explains yet; empty for any other.

        A feature of behaviour is undefined where there is no history: to be so more often is no fault of it. Nor is it a fault of
        any column to have more values than it had. What counts rows has no unit: it grows with its history.
        """
        column = self.named[name]
        if name not in self.left:
            return ""
        before, now = column.null_share
        if column.change == "nulls" and (now < before or self.sources(name).tables & {*ACTS}):
            return ""
        if column.change == "unit" and any("." not in source for source in self.sources(name).values):
            return ""
        return column.change

    def sources(self, name: str) -> Sources:
        """What a column is made of."""
        return self.context.lineage.get(name, NOTHING)

    def touched(self, raw: Sequence[str]) -> list[str]:
        """What is left of these columns and of all that depends on them."""
        return [name for name in self.left if name in raw or self.sources(name).all & {*raw}]

    def common(self, names: Sequence[str]) -> str:
        """The raw column that most of the columns are made of, and of these the one of whose features most changed.

        One that was itself compared and is well is none; where none is left, the column with most weight speaks for itself.
        """
        none = {name for name, column in self.named.items() if column.verdict == "stable" or column.kind == "embedding"}
        raw = sorted({source for name in names for source in self.sources(name).values if "." in source} - none)
        if not raw:
            return max(names, key=lambda name: (self.weight(name), name))
        made = {source: [name for name in _made_of(source, self.context.lineage) if name in self.named] for source in raw}
        covers = {source: sum(name in made[source] for name in names) for source in raw}
        return max(raw, key=lambda own: (covers[own], sum(name in self.left for name in made[own]) / max(1, len(made[own]))))


def _made_of(raw: str, lineage: Mapping[str, Sources]) -> list[str]:
    return [name for name, sources in lineage.items() if raw in sources.values]
