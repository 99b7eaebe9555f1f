"""How a row's value of each kind is read in SQL; sampling, fitting and counting use the same."""

from typing import Final

from rankloop.drift.column import Column

__all__ = ["EMPTY", "TABLE", "finite", "literal", "number", "text", "value", "words"]

TABLE: Final = "seen"
"""The rows' name in every query."""

EMPTY: Final = "(empty)"
"""The label of an empty string."""


def value(column: Column) -> str:
    """The expression of a row's value: DOUBLE, VARCHAR, VARCHAR[], VARCHAR or FLOAT[]; what cannot be read is NULL."""
    name = '"' + column.name.replace('"', '""') + '"'
    if column.kind == "numeric":
        return f"TRY_CAST({name} AS DOUBLE)"
    if column.kind == "category":
        return f"CASE WHEN CAST({name} AS VARCHAR) = '' THEN {text(EMPTY)} ELSE CAST({name} AS VARCHAR) END"
    if column.kind == "list":
        return f"TRY_CAST({name} AS VARCHAR[])"
    return f"CAST({name} AS VARCHAR)" if column.kind == "text" else f"TRY_CAST({name} AS FLOAT[])"


def words(column: Column) -> str:
    """The expression of a text's words: split at blanks, in small letters."""
    return f"string_split(lower({value(column)}), ' ')"


def finite(expression: str) -> str:
    """A number where it is neither NaN nor infinite, else NULL."""
    return f"CASE WHEN isfinite({expression}) THEN {expression} END"


def number(value: float) -> str:
    """A DOUBLE in SQL, digit by digit the same.

    Example:
        >>> number(0.1), number(1e-30)
        ('0.1e0', '1e-30')
    """
    shown = repr(float(value))
    return shown if "e" in shown else f"{shown}e0"


def text(value: str) -> str:
    """A string in SQL.

    Example:
        >>> text("it's")
        "'it''s'"
    """
    return "'" + value.replace("'", "''") + "'"


def literal(values: tuple[float, ...] | tuple[str, ...]) -> str:
    """A list in SQL.

    Example:
        >>> literal((1.0, 2.0)), literal(("a",))
        ('[1.0e0,2.0e0]', "['a']")
    """
    return "[" + ",".join(text(each) if isinstance(each, str) else number(each) for each in values) + "]"
