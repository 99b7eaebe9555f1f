"""What a candidate must show to pass: data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from rankloop.errors import SettingsError
from rankloop.fields import as_struct, read_fields

__all__ = ["Policy"]


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The gate's rules; a tolerance is a share of the reference's value.

    Example:
        >>> Policy.of({"tolerance": 0.02}).tolerance
        0.02
    """

    metric: str = "ndcg@10"
    """The primary metric: better than the baseline, and not worse than the champion."""

    tolerance: float = 0.01
    """What share of the champion's primary metric may be lost; it must be shown that no more is."""

    guardrails: dict[str, float] = msgspec.field(default_factory=lambda: {"catalogue_recall@100": 0.05})
    """Other metrics by request, each with the share of the champion's that may be lost; also to be shown."""

    totals: dict[str, float] = msgspec.field(default_factory=lambda: {"coverage": 0.2})
    """Metrics of the whole system, each with the share of the champion's that may be lost; compared as they are."""

    most: dict[str, float] = msgspec.field(default_factory=lambda: {"empty": 0.01})
    """Metrics by request whose mean may not exceed a limit."""

    slices: tuple[str, ...] = ("surface", "user", "query")
    """Dimensions in none of whose slices the primary metric may be harmed."""

    slice_tolerance: float = 0.05
    """What share of the champion's primary metric a slice may lose; a slice fails only when more is lost for certain."""

    slice_min_users: int = 50
    """A slice of fewer people is reported, and holds nothing up."""

    min_requests: int = 200
    """Judged requests without which there is no evidence."""

    min_users: int = 100
    """People without whom there is no evidence."""

    level: float = 0.95
    """Coverage of every interval; a rule errs with half of what is left."""

    resamples: int = 1000
    """Bootstrap samples of an interval."""

    @classmethod
    def of(cls, changes: Mapping[str, Any]) -> "Policy":
        """The default policy with some fields changed.

        Raises:
            SettingsError: an unknown field, a wrong type, or a number that cannot work.
        """
        policy = as_struct(changes, cls, "gate policy")
        policy._check()
        return policy

    @classmethod
    def read(cls, path: Path) -> "Policy":
        """Reads a YAML file of changes.

        Raises:
            SettingsError: the file is missing, is not a mapping, or as `of`.
        """
        return cls.of(read_fields(path, "gate policy"))

    def _check(self) -> None:
        tolerances = {"tolerance": self.tolerance, "slice_tolerance": self.slice_tolerance, **self.guardrails, **self.totals}
        for name, value in tolerances.items():
            if not 0 <= value < 1:
                raise SettingsError(f"gate policy: the tolerance of {name} is {value}; it is a share in [0, 1)")
        for name in ("slice_min_users", "min_requests", "min_users"):
            if getattr(self, name) < 2:
                raise SettingsError(f"gate policy: {name} is {getattr(self, name)}; fewer than 2 have no interval")
        if not 0 < self.level < 1 or self.resamples < 100:
            raise SettingsError(f"gate policy: level {self.level} must be in (0, 1) and resamples {self.resamples} at least 100")
