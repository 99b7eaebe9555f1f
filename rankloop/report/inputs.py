"""What a report shows: plain numbers and tables, nothing to be computed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from rankloop.errors import DataError
from rankloop.gate import Verdict
from rankloop.metrics import Interval

__all__ = ["Cell", "Estimate", "ReportInput", "Role", "Slice", "System", "Table", "Trial"]

Cell = str | bool | int | float | None
Role = Literal["candidate", "champion", "baseline", "logged"]


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval; None where there is none.

    Example:
        >>> Estimate.of(Interval(0.5, float("nan"), float("nan"), 1, 1))
        Estimate(mean=0.5, lower=None, upper=None)
    """

    mean: float | None
    lower: float | None = None
    upper: float | None = None

    @classmethod
    def of(cls, interval: Interval) -> "Estimate":
        """From a bootstrap's result; NaN becomes None."""
        mean, lower, upper = (value if math.isfinite(value) else None for value in interval[:3])
        return cls(mean, lower, upper)


@dataclass(frozen=True)
class System:
    """One ranking system and how well it ranked.

    Attributes:
        name: as people know it: a release id, `popular`, `logged order`.
        role: decides its colour and marker in every figure.
        metrics: metric to estimate; those named `ndcg@k` make the figure of nDCG by k.
        coverage: share of the catalogue shown in the first ten places, 0 to 1.
        gini: how unevenly the first ten places are spread, 0 evenly to 1.
    """

    name: str
    role: Role
    metrics: Mapping[str, Estimate]
    coverage: float | None = None
    gini: float | None = None


@dataclass(frozen=True)
class Slice:
    """nDCG@10 of one system on one slice.

    Attributes:
        slice: such as `surface=job_feed`.
        role: of the system.
        estimate: its nDCG@10.
        requests: judged requests.
    """

    slice: str
    role: Role
    estimate: Estimate
    requests: int


@dataclass(frozen=True)
class Table:
    """A table as it is shown; a number is right-aligned, None is a dash.

    Attributes:
        caption: what it holds, in one sentence.
        columns: the heads.
        rows: a cell a column.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Trial:
    """One trial of the tuning.

    Attributes:
        number: from 0.
        state: `ended`, `stopped` or `open`.
        curve: (rounds, validation nDCG@10).
    """

    number: int
    state: str
    curve: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class ReportInput:
    """Everything on the page, in the order of the page.

    Attributes:
        title: of the page, such as `Release r-20260301-1`.
        facts: what run this was, such as source, windows, seed, commit; shown as pairs under the title.
        verdict: the gate's, with its rows.
        systems: the candidate first.
        slices: nDCG@10 by slice and system.
        importance: share of the gain by feature.
        trials: the tuning's trials.
        best_trial: the number of the best, None without tuning.
        settings: the best trial's settings by name; `rounds` is marked in the figure of the trials.
        retrievers: recall of each retriever, and of the blend.
        data: rows of each table and split.
        quarantine: rows put aside, by table and rule.
    """

    title: str
    facts: Mapping[str, str]
    verdict: Verdict
    systems: tuple[System, ...]
    slices: tuple[Slice, ...] = ()
    importance: Mapping[str, float] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    best_trial: int | None = None
    settings: Mapping[str, Cell] = field(default_factory=dict)
    retrievers: Table | None = None
    data: Table | None = None
    quarantine: Table | None = None

    def to_json(self) -> str:
        """As JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> "ReportInput":
        """Reads what `to_json` wrote.

        Raises:
            DataError: it is not the input of a report.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise DataError(f"not the input of a report: {error}; write it again with to_json") from error
