"""How a release is made, as data: everything a run may vary and nothing else."""

from collections.abc import Mapping
from typing import Any

import msgspec

from rankloop.errors import SettingsError
from rankloop.fields import as_struct

__all__ = ["Recipe"]


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of one release; the same recipe on the same tables gives the same release.

    Example:
        >>> Recipe.from_mapping({"trials": 4}).trials
        4
    """

    seed: int = 7
    """The one source of randomness."""

    training: float = 0.2
    """Share of requests, by time, the ranker learns from; the retrievers know only what came before."""

    validation: float = 0.06
    """Share of requests after those: decides when to stop and which trial is best."""

    test: float = 0.14
    """Share of requests after those: seen once, by `evaluate`."""

    retrievers: tuple[str, ...] = ("popular", "als", "bm25", "profile", "similar")
    """Which retrievers propose candidates and give `<name>_score` features."""

    depth: int = 300
    """Candidates the ranker sees in a request."""

    trials: int = 12
    """Configurations tuning tries."""

    rounds: int = 300
    """Most boosting rounds of a trial."""

    tuning_seconds: float = 300.0
    """Safety net in seconds; a search that meets it is not reproducible, and says so."""

    judged_requests: int = 1500
    """Most test requests ranked over the full catalogue."""

    policy: dict[str, Any] = {}
    """Changes to the gate's policy, by its field names."""

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Recipe":
        """Builds from plain data; absent fields keep their defaults.

        Raises:
            SettingsError: an unknown field, a wrong type, or shares that leave no history.
        """
        recipe = as_struct(_with_whole_numbers(dict(mapping)), cls, "recipe")
        shares = (recipe.training, recipe.validation, recipe.test)
        if min(shares) <= 0 or sum(shares) >= 1:
            raise SettingsError(f"recipe: training, validation and test are {shares}; each must be above 0, their sum below 1")
        return recipe

    def to_mapping(self) -> dict[str, Any]:
        """Plain data, for a pipeline parameter or a record."""
        mapping: dict[str, Any] = msgspec.to_builtins(self)
        return mapping


def _with_whole_numbers(value: Any) -> Any:
    """The same data with 3.0 as 3: a pipeline's parameters travel as JSON numbers, which know no integers."""
    if isinstance(value, dict):
        return {name: _with_whole_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
