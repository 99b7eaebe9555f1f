"""The nearest known name, for error messages."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["closest"]


def closest(name: str, known: Iterable[str]) -> str:
    """A clause that names the known name most like `name`, or nothing where none is like it.

    Example:
        >>> closest("itemid", ["item_id", "title"])
        "; did you mean 'item_id'?"
        >>> closest("price", ["item_id", "title"])
        ''
    """
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
