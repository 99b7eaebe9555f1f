"""What is watched: a column, of which kind, and where it comes from."""

from typing import Literal

import msgspec

__all__ = ["Column", "Kind"]

Kind = Literal["numeric", "category", "list", "text", "embedding"]
"""How a column's values are compared."""


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column of the rows that are watched.

    Args:
        name: its name in the rows.
        kind: numeric, category, list (of categories), text, or embedding (a list of numbers of one length).
        table: the table that it comes from; columns of one table fail together.
        importance: how much the ranker leans on it, 0 to 1.
        raw: the columns upstream that it is made of, each as `table.column`.

    Example:
        >>> Column("budget", "numeric", "items").kind
        'numeric'
    """

    name: str
    kind: Kind
    table: str = ""
    importance: float = 0.0
    raw: tuple[str, ...] = ()
