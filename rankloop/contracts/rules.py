"""What makes a row good: one list, read from top to bottom.

A rule is data. `bad` is a Polars expression over the table's columns and over the *facts* that
`facts.py` joins to it (what the other tables know about the row's item, user and impression); a row
for which it is true goes to quarantine with the rule's name as a reason; null counts as not bad.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import polars as pl

from rankloop.contracts.casting import unreadable
from rankloop.contracts.columns import KINDS, SURFACES, Columns
from rankloop.contracts.facts import Facts
from rankloop.contracts.suggest import closest
from rankloop.contracts.tables import REQUIRED, SCHEMAS, UTC
from rankloop.errors import SettingsError

__all__ = ["RULES", "Budget", "Budgets", "Rule", "finite"]


@dataclass(frozen=True, slots=True)
class Budget:
    """How many bad rows a table may have before the step fails; every limit that is given must hold.

    Attributes:
        fraction: bad rows / all rows of the table, at most; None: no such limit.
        count: bad rows, at most; None: no such limit.

    Example:
        >>> Budget(fraction=0.01).holds(count=1, rows=100), Budget(fraction=0.01).holds(count=2, rows=100)
        (True, False)
    """

    fraction: float | None = None
    count: int | None = None

    def holds(self, count: int, rows: int) -> bool:
        """Whether `count` bad rows of `rows` are within every limit."""
        return (self.fraction is None or count <= self.fraction * rows) and (self.count is None or count <= self.count)


NONE: Final = Budget(count=0)
"""Not one bad row: the fault is in how the table is read, not in a row."""
FEW: Final = Budget(fraction=0.01)
"""One row in a hundred: what a healthy log loses to late, doubled and half-written events."""
SOME: Final = Budget(fraction=0.05)
"""One row in twenty: rows that fall only because a row they name has fallen."""


class Rule(NamedTuple):
    """One statement that holds for every good row of a table.

    Attributes:
        table: the contract table's name.
        name: the statement; also the reason in the quarantine of a row that breaks it.
        bad: true where a row breaks it.
        remedy: what to do about it, a sentence.
        budget: how many rows may break it, unless the caller says otherwise.
    """

    table: str
    name: str
    bad: pl.Expr
    remedy: str
    budget: Budget = FEW


class Budgets:
    """The budgets of a validation: each rule's own, except where the caller gives another.

    Args:
        given: `(table, rule name)` to budget.
        every: a budget for every rule not in `given`; None: each rule's own. `Budget()` has no limit.

    Raises:
        SettingsError: a rule of that name does not exist, or a limit is negative.

    Example:
        >>> lenient = Budgets({("impressions", "item_id is in items"): Budget(fraction=0.2)})
    """

    def __init__(self, given: Mapping[tuple[str, str], Budget] | None = None, *, every: Budget | None = None) -> None:
        self._given, self._every = dict(given or {}), every
        known = {(rule.table, rule.name) for rule in RULES}
        for key, budget in self._given.items():
            if key not in known:
                near = closest(key[1], [name for table, name in known if table == key[0]])
                raise SettingsError(f"a budget is given for {key}, which is no rule{near}; see rankloop/contracts/rules.py")
            if min(budget.fraction or 0, budget.count or 0) < 0:
                raise SettingsError(f"the budget of {key} is {budget}; a limit is 0 or more")

    def of(self, rule: Rule) -> Budget:
        """The budget of a rule."""
        return self._given.get((rule.table, rule.name), self._every or rule.budget)


_TYPES: Final[dict[object, tuple[str, str]]] = {
    pl.String: ("text", "Give it as text or whole numbers"),
    pl.Float64: ("a number", "Give it as a number; a missing value is null, not a word"),
    pl.Int32: ("a whole number", "Give it as a whole number"),
    UTC: ("a UTC time", "A time without a zone is ambiguous: say which zone it is in, e.g. `.dt.replace_time_zone('UTC')`"),
    pl.List(pl.String): ("a list of texts", "Split it into a list; a mapping does so with `lists`"),
    pl.List(pl.Float32): ("a list of numbers", "Give it as a list of numbers"),
}


def _types(table: str, budget: Budget) -> list[Rule]:
    """Every value could be read as its column's type."""
    read = [(column, *_TYPES[dtype]) for column, dtype in SCHEMAS[table].items()]
    return [Rule(table, f"{column} is {what}", pl.col(unreadable(column)), remedy + ".", budget) for column, what, remedy in read]


def _present(table: str, budget: Budget) -> list[Rule]:
    """Every required value is there; an id is not the empty text either."""

    def absent(column: str) -> pl.Expr:
        missing = pl.col(column).is_null() & ~pl.col(unreadable(column))
        return missing | (pl.col(column) == "") if column.endswith("_id") else missing

    remedy = "Fill it in at the source, or leave such rows out there."
    return [Rule(table, f"{column} is present", absent(column), remedy, budget) for column in REQUIRED[table]]


def finite(table: str, columns: Sequence[str]) -> list[Rule]:
    """No number is infinite (NaN was read as missing)."""
    remedy = "An infinite number is a division by zero upstream; make it null."
    return [Rule(table, f"{column} is finite", pl.col(column).is_infinite(), remedy) for column in columns]


def _numbers(table: str) -> list[str]:
    return [column for column, dtype in SCHEMAS[table].items() if dtype == pl.Float64]


def _unique(*columns: str) -> pl.Expr:
    """Bad: a later row with the same values, none of them null; the first one stays."""
    there = pl.all_horizontal(pl.col(column).is_not_null() for column in columns)
    return there & ~pl.struct(*columns).is_first_distinct()


def _references(table: str) -> list[Rule]:
    """Rows name items and users that exist and are themselves good."""
    known = "Load the missing rows of that table, or widen its time range; deleted ones must be kept for the log's sake."
    fallen = "Mend the rows it names; see their own reasons in the quarantine."
    return [
        Rule(table, "item_id is in items", Facts.ITEM_GOOD.is_null() & _ITEM_ID.is_not_null(), known),
        Rule(table, "user_id is in users", Facts.USER_GOOD.is_null() & _USER_ID.is_not_null(), known),
        Rule(table, "item_id is not in quarantine", ~Facts.ITEM_GOOD, fallen, SOME),
        Rule(table, "user_id is not in quarantine", ~Facts.USER_GOOD, fallen, SOME),
    ]


_ITEM_ID, _USER_ID, _REQUEST_ID = pl.col(Columns.ITEM_ID), pl.col(Columns.USER_ID), pl.col(Columns.REQUEST_ID)
_BUDGET, _DURATION = pl.col(Columns.BUDGET), pl.col(Columns.DURATION_DAYS)
_RATE, _EXPERIENCE, _OFFSET = pl.col(Columns.HOURLY_RATE), pl.col(Columns.EXPERIENCE_YEARS), pl.col(Columns.UTC_OFFSET_HOURS)
_CREATED, _CLOSED, _TS = pl.col(Columns.CREATED_AT), pl.col(Columns.CLOSED_AT), pl.col(Columns.TS)
_SURFACE, _KIND, _POSITION, _PROPENSITY = (
    pl.col(column) for column in (Columns.SURFACE, Columns.KIND, Columns.POSITION, Columns.PROPENSITY)
)
_NEGATIVE = "A negative amount is a sign or unit error upstream; make it null where it is unknown."
_SNAPSHOTS = "Keep one row an id, for example the newest snapshot."
_SHOWN_TWICE = "Keep the first row of such a pair; a log delivered twice does this."
_EARLY = "Two clocks disagree, or created_at is the time of the last change; give the time it first existed."

RULES: Final[tuple[Rule, ...]] = (
    # items
    *_types("items", NONE),
    *_present("items", NONE),
    Rule("items", "item_id is unique", _unique(Columns.ITEM_ID), _SNAPSHOTS, NONE),
    Rule("items", "budget is 0 or more", _BUDGET < 0, _NEGATIVE),
    Rule("items", "duration_days is 0 or more", _DURATION < 0, _NEGATIVE),
    Rule("items", "closed_at is after created_at", _CLOSED <= _CREATED, "Swap them, or make closed_at null while it is open."),
    *finite("items", _numbers("items")),
    # users
    *_types("users", NONE),
    *_present("users", NONE),
    Rule("users", "user_id is unique", _unique(Columns.USER_ID), _SNAPSHOTS, NONE),
    Rule("users", "hourly_rate is 0 or more", _RATE < 0, _NEGATIVE),
    Rule("users", "experience_years is 0 or more", _EXPERIENCE < 0, _NEGATIVE),
    Rule("users", "utc_offset_hours is from -12 to 14", ~_OFFSET.is_between(-12, 14), "Give hours, not minutes or seconds."),
    *finite("users", _numbers("users")),
    # impressions
    *_types("impressions", FEW),
    *_present("impressions", FEW),
    Rule("impressions", f"surface is one of {', '.join(SURFACES)}", ~_SURFACE.is_in(SURFACES), "Map your places to these."),
    Rule("impressions", "position is 1 or more", _POSITION < 1, "Positions count from 1; add 1 where yours count from 0."),
    Rule(
        "impressions",
        "propensity is above 0 and at most 1",
        ~_PROPENSITY.is_between(0, 1, closed="right"),
        "Give the probability with which the logging policy chose the item there, or null where it is unknown.",
    ),
    *finite("impressions", _numbers("impressions")),
    *_references("impressions"),
    Rule("impressions", "item was created before it was shown", Facts.ITEM_CREATED_AT > _TS, _EARLY),
    Rule("impressions", "user was created before the request", Facts.USER_CREATED_AT > _TS, _EARLY),
    Rule("impressions", "item is once in a request", _unique(Columns.REQUEST_ID, Columns.ITEM_ID), _SHOWN_TWICE),
    Rule("impressions", "position is once in a request", _unique(Columns.REQUEST_ID, Columns.POSITION), _SHOWN_TWICE),
    Rule(
        "impressions",
        "a request has one user, surface and query",
        _REQUEST_ID.is_not_null() & Facts.OTHER_REQUEST,
        "A request_id is used for two demands; make it unique, for example by adding the user and the second.",
    ),
    # outcomes
    *_types("outcomes", FEW),
    *_present("outcomes", FEW),
    Rule("outcomes", f"kind is one of {', '.join(KINDS)}", ~_KIND.is_in(KINDS), "Map your events to these with `kinds`."),
    *finite("outcomes", _numbers("outcomes")),
    *_references("outcomes"),
    Rule(
        "outcomes",
        "request_id and item_id name an impression",
        Facts.IMPRESSION_GOOD.is_null() & _REQUEST_ID.is_not_null(),
        "Load the impressions of the same time range; where the request is unknown make request_id null.",
    ),
    Rule("outcomes", "the impression is not in quarantine", ~Facts.IMPRESSION_GOOD, "Mend the impression.", SOME),
    Rule("outcomes", "user_id is the one it was shown to", Facts.SHOWN_TO != _USER_ID, "A request_id belongs to one person."),
    Rule("outcomes", "ts is not before the impression", _TS < Facts.SHOWN_AT, "Two clocks disagree; take both times from one."),
    Rule("outcomes", "the event is there once", ~pl.struct(*SCHEMAS["outcomes"]).is_first_distinct(), _SHOWN_TWICE),
)
"""Every rule, in the order in which a breach is reported: causes before consequences."""
