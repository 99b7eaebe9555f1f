"""What a watch over drift found, as the control plane, dashboards and pager read it."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from rankloop.errors import DataError
from rankloop.files import write_aside

__all__ = [
    "CAUSES",
    "CHANGES",
    "VERDICTS",
    "Cause",
    "CauseName",
    "Change",
    "ColumnDrift",
    "Day",
    "DriftReport",
    "Moment",
    "Performance",
    "Shares",
    "Verdict",
    "verdict_of",
]

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its zone; ISO 8601 with Z in JSON."""

Verdict = Literal["stable", "drifted", "broken", "not enough rows"]
Change = Literal["", "nulls", "unit", "new categories", "vanished categories", "constant", "skew", "dead table", "taste"]
CauseName = Literal[
    "unit-change",
    "nulls",
    "vanished-category",
    "new-categories",
    "constant",
    "dead-table",
    "skewed-embedding",
    "taste-shift",
    "score-shift",
    "performance",
]

VERDICTS: Final[tuple[Verdict, ...]] = ("broken", "drifted", "stable", "not enough rows")
"""Of a column and of a report, the worst first."""

CHANGES: Final[tuple[Change, ...]] = Change.__args__  # type: ignore[attr-defined]
"""What kind of change a column's drift is; empty where it is none of the others."""

CAUSES: Final[tuple[CauseName, ...]] = CauseName.__args__  # type: ignore[attr-defined]
"""What can be wrong; data faults first."""


class Shares(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A column's distribution in both periods, for a chart.

    Attributes:
        labels: of the bins, in order.
        reference: share of the reference's rows in each.
        window: share of the window's rows in each.
    """

    labels: tuple[str, ...] = ()
    reference: tuple[float, ...] = ()
    window: tuple[float, ...] = ()


class ColumnDrift(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One column of the window, held against the reference.

    Attributes:
        name: of the column; features go by their own names, raw columns by `table.column`.
        kind: numeric, category, list, text or embedding.
        table: where it comes from: a contract table, or `features`, `scores`.
        verdict: `broken` is a fault of the data, `drifted` any other change that is large enough to matter.
        change: what kind of change it is.
        measures: effect sizes by name: psi, js, wasserstein, ks; finite numbers only, one that is undefined is left out.
        p_adjusted: of the change, corrected for the number of columns; None where it was not tested.
        reference_rows: rows of the reference.
        window_rows: rows of the window.
        null_share: share of rows without a value, in the reference and in the window.
        factor: by which values are multiplied where the unit changed; None elsewhere.
        importance: the ranker's share of gain on it, 0 to 1.
        impact: drift x importance, 0 to 1; see `rankloop.drift.causes`.
        says: in a sentence.
        bins: for a chart.
    """

    name: str
    kind: str
    table: str
    verdict: Verdict
    change: Change = ""
    measures: dict[str, float] = {}
    p_adjusted: float | None = None
    reference_rows: int = 0
    window_rows: int = 0
    null_share: tuple[float, float] = (0.0, 0.0)
    factor: float | None = None
    importance: float = 0.0
    impact: float = 0.0
    says: str = ""
    bins: Shares = Shares()


class Cause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that is wrong, with all the columns it explains; an incident's key is (cause, surface, component).

    Attributes:
        cause: what is wrong.
        component: where: `items.budget`, a table, a feature, or `scores`, `outcomes`.
        columns: drifted columns that it explains, the one with most impact first.
        impact: 0 to 1; see `rankloop.drift.causes`.
        since: the first bad hour or day; None where it cannot be told.
        slice: where it is worst, as `country=IN`; `all` where it is alike everywhere.
        says: what broke, in a sentence.
        command: the one command that mends it or looks further.
    """

    cause: CauseName
    component: str
    columns: tuple[str, ...] = ()
    impact: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    since: Moment | None = None
    slice: str = "all"
    says: str = ""
    command: str = ""


class Day(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One day, or one hour, of a metric.

    Attributes:
        at: when it begins.
        value: of the metric; None without a request.
        lower: the interval's lower end; None where nothing can be said.
        upper: its upper end.
        requests: lists that count.
        ripe: share of its outcomes that should have come by now, 0 to 1.
        counts: whether it is ripe enough to be in the period's value.
    """

    at: Moment
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    requests: int = 0
    ripe: float = 1.0
    counts: bool = True


class Performance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One metric in the window beside the reference.

    Attributes:
        metric: `ctr@10`, `apply_rate`, `ndcg@10`.
        kind: `measured` from outcomes that ripened, or `estimated` from scores before they do.
        value: in the window; None where no request counts.
        reference: in the reference period.
        ratio: value over reference, 1 = as before; None where either is missing or the reference is 0.
        lower: the ratio's lower end, people resampled.
        upper: the ratio's upper end.
        requests: lists in the window that count.
        people: that they came from.
        days: the window day by day, or hour by hour.
        says: in a sentence.
    """

    metric: str
    kind: Literal["measured", "estimated"]
    value: float | None = None
    reference: float | None = None
    ratio: float | None = None
    lower: float | None = None
    upper: float | None = None
    requests: int = 0
    people: int = 0
    days: tuple[Day, ...] = ()
    says: str = ""


class DriftReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A window of what was served beside what the release was trained on.

    Attributes:
        report_id: unique.
        surface: whose lists.
        release_id: the stable release of the window; its reference is the one compared with.
        at: when the comparison was made.
        window_from: the window's first moment.
        window_until: its end, itself outside.
        reference_from: the reference's first moment; None: no reference.
        reference_until: its end.
        rows: rows of the window.
        reference_rows: rows of the reference.
        columns: every column compared, the one with most impact first.
        causes: what explains those that changed, the one with most impact first.
        performance: metrics, measured and estimated.
        verdict: the worst of its columns and causes.
        says: the finding in a sentence.

    Example:
        >>> from datetime import UTC
        >>> noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
        >>> report = DriftReport(
        ...     report_id="d1", surface="job_feed", release_id="r1", at=noon, window_from=noon, window_until=noon,
        ...     verdict="broken", causes=(Cause(cause="unit-change", component="items.budget", impact=0.4, since=noon),),
        ... )
        >>> DriftReport.from_json(report.to_json()) == report
        True
        >>> '"at": "2026-05-04T12:00:00Z"' in report.to_json()
        True
    """

    report_id: str
    surface: str
    release_id: str
    at: Moment
    window_from: Moment
    window_until: Moment
    verdict: Verdict
    reference_from: Moment | None = None
    reference_until: Moment | None = None
    rows: int = 0
    reference_rows: int = 0
    columns: tuple[ColumnDrift, ...] = ()
    causes: tuple[Cause, ...] = ()
    performance: tuple[Performance, ...] = ()
    says: str = ""

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many columns have each verdict; all of `VERDICTS` are there."""
        found = Counter(column.verdict for column in self.columns)
        return {verdict: found[verdict] for verdict in VERDICTS}

    def to_json(self) -> str:
        """As JSON, indented."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> "DriftReport":
        """Reads what `to_json` wrote.

        Raises:
            DataError: it is no report of drift.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DataError(f"not a drift report: {error}; send what `DriftReport.to_json` gives") from error

    def write(self, path: Path) -> Path:
        """Writes it as JSON, aside first and then renamed."""
        return write_aside(path, self.to_json() + "\n")

    @classmethod
    def read(cls, path: Path) -> "DriftReport":
        """Reads a file that `write` wrote.

        Raises:
            DataError: there is no such file, or it is no report of drift.
        """
        try:
            text = path.read_bytes()
        except OSError as error:
            raise DataError(f"no drift report at {path} ({error.strerror}); `rankloop drift run` makes one") from error
        return cls.from_json(text)


def verdict_of(columns: tuple[ColumnDrift, ...], causes: tuple[Cause, ...]) -> Verdict:
    """The verdict of a report: the causes decide, since many columns may drift for one reason or for none that matters.

    `broken` where a cause is a fault of the data, `drifted` where there is any other cause, `not enough rows` where no column
    could be judged, else `stable`.

    Example:
        >>> verdict_of((), (Cause(cause="taste-shift", component="outcomes"),))
        'drifted'
    """
    if any(cause.cause in CAUSES[: CAUSES.index("taste-shift")] for cause in causes):
        return "broken"
    if causes:
        return "drifted"
    if all(column.verdict == "not enough rows" for column in columns):
        return "not enough rows"
    return "stable"
