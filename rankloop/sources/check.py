"""What is wrong with a data set and how to mend it, without failing."""

from dataclasses import dataclass, field

from rankloop.contracts import Budgets, RuleResult, examine
from rankloop.errors import DataError
from rankloop.sources.registry import read

__all__ = ["CheckReport", "check"]


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        source: the source's name.
        path: where the data lies.
        rows: rows of each table as the source gave them; empty where it could not be read.
        kept: rows of each table that are good.
        left_out: columns of each table that the contract has no place for.
        results: one result a rule, whether it fired or not.
        problem: why the data could not be read or has no tables at all; None where it could.
    """

    source: str
    path: str
    rows: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
    results: tuple[RuleResult, ...] = ()
    problem: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the data would pass: it can be read and every rule is within its budget."""
        return self.problem is None and all(result.holds for result in self.results)

    @property
    def findings(self) -> tuple[RuleResult, ...]:
        """The rules that fired: those over budget first, then those within it, each in the order of the rules."""
        return tuple(sorted((result for result in self.results if result.count), key=lambda result: result.holds))

    def lines(self) -> list[str]:
        """The report as plain text, one line an entry; a terminal may render the fields more prettily."""
        if self.problem is not None:
            return [f"{self.source} {self.path}: cannot be read", f"  {self.problem}"]
        lines = [f"{self.source} {self.path}: {'passes' if self.holds else 'fails'}"]
        for table, rows in self.rows.items():
            lines.append(f"  {table}: {rows} rows, {rows - self.kept[table]} in quarantine")
            if self.left_out[table]:
                lines.append(f"    columns without a place: {', '.join(self.left_out[table])}")
        for found in self.findings:
            verdict = "within budget" if found.holds else "OVER BUDGET"
            lines.append(f"  {found.table}: {found.rule}: broken by {found.count} of {found.rows} rows, {verdict}")
            lines.append(f"    {found.remedy}")
            lines += [f"    for example {example}" for example in found.examples]
        return lines


def check(source: str, path: str, mapping: str | None = None, budgets: Budgets | None = None) -> CheckReport:
    """Reads and validates a data set and reports what it found; bad data is a finding, not an error.

    Args:
        source: one of `SOURCES`.
        path: where the data lies.
        mapping: the mapping file; only for the source `mapping`.
        budgets: how many bad rows each rule allows; None: each rule's own budget.
    """
    try:
        frames = read(source, path, mapping=mapping)
        validated = examine(frames, budgets)
    except DataError as error:
        return CheckReport(source, path, problem=str(error))
    return CheckReport(
        source=source,
        path=path,
        rows={table: frames[table].height for table in validated.tables.rows()},
        kept=validated.tables.rows(),
        left_out=validated.left_out,
        results=tuple(validated.report),
    )
