"""The contract: four tables, their columns, and what makes a row good."""

from rankloop.contracts.columns import GRADES, KINDS, SURFACES, Columns
from rankloop.contracts.rules import RULES, Budget, Budgets, Rule
from rankloop.contracts.tables import REQUIRED, SCHEMAS, TABLES, UTC, Tables
from rankloop.contracts.validation import RuleResult, Validated, examine, validate

__all__ = [
    "GRADES",
    "KINDS",
    "REQUIRED",
    "RULES",
    "SCHEMAS",
    "SURFACES",
    "TABLES",
    "UTC",
    "Budget",
    "Budgets",
    "Columns",
    "Rule",
    "RuleResult",
    "Tables",
    "Validated",
    "examine",
    "validate",
]
