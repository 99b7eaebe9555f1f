"""Raw frames to tables that every later step may trust, and a quarantine for the rest."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Final

import polars as pl

from rankloop.contracts.casting import conform
from rankloop.contracts.columns import Columns
from rankloop.contracts.facts import GOOD, with_facts
from rankloop.contracts.rules import RULES, Budgets, Rule, finite
from rankloop.contracts.tables import SCHEMAS, TABLES, Tables
from rankloop.errors import ContractBreach, DataError
from rankloop.files import write_aside

__all__ = ["RuleResult", "Validated", "examine", "validate"]

_EXAMPLES: Final = 3
_WIDEST: Final = 100
_LONGEST: Final = 10
_JUDGED_IN_ORDER: Final = ("items", "users", "impressions", "outcomes")

_REQUEST_AT: Final = pl.col(Columns.TS).min().over(Columns.REQUEST_ID)
_ORDER: Final[dict[str, tuple[pl.Expr, ...]]] = {
    "items": (pl.col(Columns.ITEM_ID),),
    "users": (pl.col(Columns.USER_ID),),
    "impressions": (_REQUEST_AT, pl.col(Columns.REQUEST_ID), pl.col(Columns.POSITION)),
    "outcomes": tuple(
        pl.col(column)
        for column in (Columns.TS, Columns.USER_ID, Columns.ITEM_ID, Columns.KIND, Columns.REQUEST_ID, Columns.VALUE)
    ),
}


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule found.

    Attributes:
        table: the contract table's name.
        rule: the statement.
        rows: rows of the table.
        count: rows that broke the rule.
        holds: whether that is within the budget.
        examples: up to three of the rows, as the source gave them; times and infinities are texts, long values are cut.
        remedy: what to do about it.
    """

    table: str
    rule: str
    rows: int
    count: int
    holds: bool
    examples: tuple[dict[str, object], ...]
    remedy: str


@dataclass(frozen=True)
class Validated:
    """Good rows, bad rows with their reasons, and what every rule found.

    Attributes:
        tables: the good rows, in the contract's types. Items and users are sorted by id, impressions by their
            request's first moment, request and position, outcomes by time, user, item and kind.
        quarantine: table name to the bad rows as the source gave them, in its order, with the column `reasons`.
        report: one result a rule, in the order of `RULES`.
        left_out: table name to the columns that are neither the contract's nor numeric.
    """

    tables: Tables
    quarantine: dict[str, pl.DataFrame]
    report: list[RuleResult]
    left_out: dict[str, tuple[str, ...]]

    def write(self, folder: str | Path) -> None:
        """Writes the tables, `quarantine/<table>.parquet` and, last, `report.json`; each aside and then renamed."""
        target = Path(folder)
        self.tables.write(target)
        (target / "quarantine").mkdir(exist_ok=True)
        for name, frame in self.quarantine.items():
            aside = target / "quarantine" / f".{name}.parquet.part"
            frame.write_parquet(aside)
            aside.rename(target / "quarantine" / f"{name}.parquet")
        write_aside(target / "report.json", json.dumps(self.summary(), indent=1, default=str) + "\n")

    def summary(self) -> dict[str, object]:
        """Rows kept, rows in quarantine, columns left out and every rule's result, ready for JSON."""
        return {
            "rows": self.tables.rows(),
            "quarantined": {name: frame.height for name, frame in self.quarantine.items()},
            "left_out": {name: list(columns) for name, columns in self.left_out.items()},
            "rules": [asdict(result) for result in self.report],
        }


def validate(frames: Mapping[str, pl.DataFrame], budgets: Budgets | None = None) -> Validated:
    """Sorts every row into the tables or the quarantine, and fails where too many are bad.

    It mends nothing: a value that cannot be read safely puts its row into quarantine. A row that names a row
    in quarantine goes there too. The rules are `rankloop.contracts.RULES`, in the order they are checked.

    Args:
        frames: the four contract tables, in any types and any order; optional columns may be missing.
        budgets: how many bad rows each rule allows; None: each rule's own budget.

    Raises:
        DataError: a table or a required column is missing, or a column holds Python objects.
        ContractBreach: a rule is over budget; the first one in order, since later ones often follow from it.

    Example:
        >>> import polars as pl
        >>> from rankloop.contracts import Tables
        >>> frames = dict(Tables.empty())
        >>> born = pl.Series(["2026-01-01T00:00:00Z"]).str.to_datetime(time_unit="us", time_zone="UTC")
        >>> frames["users"] = pl.DataFrame({"user_id": [7], "created_at": born})
        >>> validate(frames).tables.users["user_id"].to_list()
        ['7']
    """
    validated = examine(frames, budgets)
    breaches = [result for result in validated.report if not result.holds]
    if breaches:
        first = breaches[0]
        others = f" ({len(breaches) - 1} more rules are over budget.)" if len(breaches) > 1 else ""
        raise ContractBreach(first.table, first.rule, first.count, first.examples, first.remedy + others)
    return validated


def examine(frames: Mapping[str, pl.DataFrame], budgets: Budgets | None = None) -> Validated:
    """The same as `validate`, but a rule over budget is only reported.

    Raises:
        DataError: a table or a required column is missing, or a column holds Python objects.
    """
    budgets = budgets or Budgets()
    for name in TABLES:
        if not isinstance(frame := frames.get(name), pl.DataFrame):
            kind = type(frame).__name__
            raise DataError(f"table {name!r} is a {kind}, not a Polars DataFrame; a marketplace has {list(TABLES)}")
    judged: dict[str, pl.DataFrame] = {}
    tables, quarantine, left_out = {}, {}, {}
    report: list[RuleResult] = []
    for name in _JUDGED_IN_ORDER:
        raw = frames[name]
        conformed = conform(name, raw)
        rules = [rule for rule in RULES if rule.table == name] + finite(name, conformed.extras)
        broken = _broken(with_facts(name, conformed.frame, judged), rules)
        bad = broken.select(pl.any_horizontal(pl.all())).to_series()
        columns = [*SCHEMAS[name], *conformed.extras]
        judged[name] = conformed.frame.select(columns).with_columns((~bad).alias(GOOD))
        tables[name] = judged[name].filter(GOOD).select(columns).sort(*_ORDER[name])
        quarantine[name] = _with_reasons(raw, broken, bad)
        left_out[name] = conformed.left_out
        report += [_result(rule, broken[rule.name], raw, budgets) for rule in rules]
    return Validated(Tables.from_frames(tables), quarantine, report, left_out)


def _broken(frame: pl.DataFrame, rules: list[Rule]) -> pl.DataFrame:
    """One boolean column a rule, true where a row breaks it."""
    return frame.select(rule.bad.fill_null(False).alias(rule.name) for rule in rules)


def _with_reasons(raw: pl.DataFrame, broken: pl.DataFrame, bad: pl.Series) -> pl.DataFrame:
    names = [pl.when(pl.col(name)).then(pl.lit(name)) for name in broken.columns]
    reasons = broken.filter(bad).select(pl.concat_list(names).list.drop_nulls().alias(Columns.REASONS)).to_series()
    return raw.filter(bad).with_columns(reasons)


def _result(rule: Rule, broken: pl.Series, raw: pl.DataFrame, budgets: Budgets) -> RuleResult:
    count = int(broken.sum())
    shown = raw.filter(broken).head(_EXAMPLES).to_dicts() if count else []
    examples = tuple({column: _shown(value) for column, value in row.items()} for row in shown)
    holds = budgets.of(rule).holds(count, raw.height)
    return RuleResult(rule.table, rule.name, raw.height, count, holds, examples, rule.remedy)


def _shown(value: object) -> object:
    """A value of an example as JSON and a terminal can show it: times and infinities as text, long values cut."""
    if isinstance(value, datetime) or (isinstance(value, float) and not isfinite(value)):
        return str(value)
    if isinstance(value, list):
        return [_shown(piece) for piece in value[:_LONGEST]] + ["…"] * (len(value) > _LONGEST)
    long = isinstance(value, str) and len(value) > _WIDEST
    return f"{str(value)[: _WIDEST - 1]}…" if long else value
