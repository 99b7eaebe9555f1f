"""What a demand may be: bounds on lists, texts and surfaces."""

from collections.abc import Sequence

from rankloop.errors import DataError
from services.settings import Settings

__all__ = ["Limits"]


class Limits:
    """Gives back what is within bounds.

    Args:
        settings: the bounds.
        surfaces: the product places that there are.

    Raises:
        DataError: from every method, when a value is out of bounds; the message names it, the rule and the remedy.
    """

    def __init__(self, settings: Settings, surfaces: Sequence[str]) -> None:
        self._settings, self.surfaces = settings, frozenset(surfaces)

    def surface(self, surface: str) -> str:
        if surface not in self.surfaces:
            raise DataError(f"surface is {surface!r}; it must be one of {', '.join(sorted(self.surfaces))}")
        return surface

    def query(self, query: str) -> str:
        text = query.strip()
        if not text:
            raise DataError(
                "query is empty; give at least one character that is no space, or ask /v1/recommend for a list without one"
            )
        if len(text) > self._settings.max_query_chars:
            raise DataError(f"query has {len(text)} characters; the limit is {self._settings.max_query_chars}: shorten it")
        return text

    def k(self, k: int) -> int:
        if not 1 <= k <= self._settings.max_k:
            raise DataError(f"k is {k}; it must be from 1 to {self._settings.max_k}: ask for a list of such a length")
        return k

    def given(self, item_ids: Sequence[str]) -> Sequence[str]:
        limit = self._settings.max_rank_items
        if not 1 <= len(item_ids) <= limit:
            raise DataError(f"item_ids has {len(item_ids)} items; give from 1 to {limit}")
        if len(set(item_ids)) < len(item_ids):
            twice = next(item for n, item in enumerate(item_ids) if item in item_ids[:n])
            raise DataError(f"item_ids names {twice!r} more than once; name each item once")
        return item_ids
