"""What counts as drift: data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from rankloop.errors import SettingsError
from rankloop.fields import as_struct, read_fields

__all__ = ["DriftPolicy"]


class DriftPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How large a difference is one that matters; how the defaults were found is decision 0014.

    Example:
        >>> DriftPolicy.of({"wasserstein": 0.2}).wasserstein
        0.2
    """

    js: float = 0.12
    """The Jensen-Shannon distance (base 2, 0 to 1) from which on a column has drifted."""

    wasserstein: float = 0.1
    """The Wasserstein distance from which on a numeric column has drifted, in standard deviations of the reference.
    Columns of at most 5 different values have `js` alone."""

    nulls: float = 0.05
    """By how much the share of missing values may rise or fall."""

    category: float = 0.02
    """A category that is new, or is gone, counts from this share of the rows on."""

    unit: float = 1.8
    """The factor from which on a change of all quantiles by one factor is a change of unit."""

    known: float = 2.0
    """A difference that was there at `before` too counts only when it is this many times the threshold."""

    alpha: float = 0.01
    """Share of false alarms among alarms that chance alone may make, over all columns (Benjamini-Hochberg)."""

    min_rows: int = 500
    """Rows, or people where they are counted, without which a column is not judged."""

    @classmethod
    def of(cls, changes: Mapping[str, Any]) -> "DriftPolicy":
        """The default policy with some fields changed.

        Raises:
            SettingsError: an unknown field, a wrong type, or a number that cannot work.
        """
        policy = as_struct(changes, cls, "drift policy")
        policy._check()
        return policy

    @classmethod
    def read(cls, path: Path) -> "DriftPolicy":
        """Reads a YAML file of changes.

        Raises:
            SettingsError: the file is missing, is not a mapping, or as `of`.
        """
        return cls.of(read_fields(path, "drift policy"))

    def _check(self) -> None:
        for name in ("js", "nulls", "category", "alpha"):
            if not 0 < getattr(self, name) < 1:
                raise SettingsError(f"drift policy: {name} is {getattr(self, name)}; it is a share in (0, 1)")
        if not self.wasserstein > 0:
            raise SettingsError(f"drift policy: wasserstein is {self.wasserstein}; it is a number of deviations above 0")
        for name in ("unit", "known"):
            if not getattr(self, name) > 1:
                raise SettingsError(f"drift policy: {name} is {getattr(self, name)}; it is a factor above 1")
        if self.min_rows < 50:
            raise SettingsError(f"drift policy: min_rows is {self.min_rows}; shares of fewer than 50 rows say nothing")
