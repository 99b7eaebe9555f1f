"""What lists achieve, measured once their outcomes have ripened, and estimated from scores before.

An outcome comes late: an application hours after the list, a hire weeks after. Young lists therefore look worse than they are.
Two ways out are known: to scale young counts up by the share that should have come (O. Chapelle, "Modeling Delayed Feedback in
Display Advertising", KDD 2014), or to wait. We wait, and cut both periods alike: the horizon of a metric is the delay within
which 90 % of its outcomes came in the reference; a list counts once it is older than that, and in both periods only outcomes
within it count. Scaling up would be right only while delays stay what they were, and in an incident that is what is in doubt;
what we lose is time, the horizon's length, and for that time there is the estimate.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.contracts import Columns
from rankloop.drift.report import Day, Performance
from rankloop.errors import DataError

__all__ = ["Mean", "Period", "clustered", "estimated", "horizon", "measured", "over"]

_KINDS: Final = {"ctr@10": "click", "apply_rate": "apply", "ndcg@10": "click"}
_PLACES: Final = 10
_RIPE: Final = 0.9
_FEWEST: Final = 30
"""Outcomes in the reference, or people in either period, below which nothing is said."""

_BINS: Final = 10
_PRIOR: Final = 20.0
_AT, _ITEM, _VALUE, _LATE, _BIN, _RATE = "shown_at", Columns.ITEM_ID, "value", "late", "bin", "rate"
_LIST: Final = [Columns.REQUEST_ID, Columns.USER_ID, _AT]


class Period(NamedTuple):
    """From a moment to another, itself outside; UTC."""

    since: datetime
    until: datetime


class Mean(NamedTuple):
    """A mean over lists, and how far chance moves it when people are drawn again.

    Attributes:
        value: NaN without a list.
        variance: of the value; NaN with fewer than two people.
        lists: how many.
        people: whose they are.
    """

    value: float
    variance: float
    lists: int
    people: int


def clustered(values: npt.NDArray[np.float64], people: Sequence[object] | npt.NDArray[np.generic]) -> Mean:
    """The mean over lists with a variance that knows that one person's lists are alike.

        V = P / (P - 1) sum over people (sum of own values - mean x own lists)^2 / lists^2

    Args:
        values: `(lists,)`.
        people: `(lists,)`, whose each is.

    Source: K.-Y. Liang, S. Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 1986.

    Example:
        >>> clustered(np.array([1.0, 1.0, 0.0, 0.0]), ["ann", "ann", "bo", "bo"])
        Mean(value=0.5, variance=0.25, lists=4, people=2)
    """
    if not len(values):
        return Mean(math.nan, math.nan, 0, 0)
    _, code = np.unique(np.asarray(people, dtype=str), return_inverse=True)
    own, lists = np.bincount(code, values), np.bincount(code)
    mean, n = float(values.mean()), len(own)
    spread = float(((own - mean * lists) ** 2).sum()) / len(values) ** 2
    return Mean(mean, spread * n / (n - 1) if n > 1 else math.nan, len(values), n)


def over(window: Mean, reference: Mean, *, z: float = 1.96) -> tuple[float, float, float] | None:
    """The window's mean over the reference's, and its interval; people of both periods are taken for different ones.

    Those who are in both make the true interval narrower, so this one is on the safe side. On the logarithm, since a ratio is
    skewed. None where there are too few people, or nothing to divide.

    Example:
        >>> low = over(Mean(0.08, 1e-5, 500, 200), Mean(0.10, 1e-6, 5000, 900))
        >>> [round(number, 2) for number in low]
        [0.8, 0.74, 0.87]
    """
    if min(window.people, reference.people) < _FEWEST or window.value <= 0 or reference.value <= 0:
        return None
    ratio = window.value / reference.value
    error = z * math.sqrt(window.variance / window.value**2 + reference.variance / reference.value**2)
    return ratio, ratio * math.exp(-error), ratio * math.exp(error)


def horizon(shown: pl.DataFrame, done: pl.DataFrame, kind: str, *, ripe: float = _RIPE) -> timedelta | None:
    """The delay within which a share of a kind's outcomes came; None where there are fewer than 30.

    Args:
        shown: impressions of a period that is long over.
        done: outcomes; those that name another request count for nothing.
        kind: of outcome.
        ripe: the share.
    """
    late = _joined(shown, done, kind)[_LATE].drop_nulls()
    if late.len() < _FEWEST:
        return None
    found = late.quantile(ripe, "higher")
    return timedelta(seconds=float(found or 0.0))


def measured(
    shown: pl.DataFrame,
    done: pl.DataFrame,
    *,
    reference: Period,
    window: Period,
    now: datetime,
    step: timedelta = timedelta(days=1),
) -> tuple[Performance, ...]:
    """CTR@10, apply rate and nDCG@10 of clicks in the window, of lists whose outcomes have ripened, beside the reference's.

    - `ctr@10`: clicked items among the first ten places, for each list.
    - `apply_rate`: applications, for each list.
    - `ndcg@10`: binary, discount log2(1 + place), over lists with a click; the ideal has all that was clicked on top.

    Args:
        shown: impressions of one surface, in contract columns; both periods.
        done: outcomes.
        reference: what the release learned from; its outcomes have all come.
        window: what is looked at.
        now: until when outcomes are known.
        step: length of the window's parts.

    Returns:
        One for each metric whose outcomes are not too few in the reference; `ratio` is None where too few lists have ripened.

    Raises:
        DataError: a moment has no time zone, or the step is not positive.
    """
    _check((*reference, *window, now), step)
    old, new = _within(shown, reference), _within(shown, window)
    found = []
    for metric, kind in _KINDS.items():
        wait = horizon(old, done, kind)
        if wait is None:
            continue
        ripe = new.filter(pl.col(Columns.TS) <= now - wait)
        then, lists = _lists(old, done, metric, wait), _lists(ripe, done, metric, wait)
        days = _days(new, lists, window, step, now - wait)
        hours = wait.total_seconds() / 3600
        found.append(_said(metric, "measured", lists, then, days, f"{_RIPE:.0%} of its outcomes come within {hours:.1f} h"))
    return tuple(found)


def estimated(
    shown: pl.DataFrame, done: pl.DataFrame, *, reference: Period, window: Period, step: timedelta = timedelta(days=1)
) -> tuple[Performance, ...]:
    """What CTR@10 and apply rate should come to, from the scores of the window and what such scores came to in the reference.

    The reference's items are put in ten bins of equal size by score; in each bin and place the share with an outcome is counted
    and drawn towards the place's own share (20 items' worth). An item of the window is expected to do as its bin and place did.
    This sees that requests or items became harder, if the scores see it. It is blind where the same score now means something
    else: a change of tastes, a feature that lies to the ranker. It fills the time until outcomes ripen, and never outweighs them.

    Args:
        shown: impressions of one surface with a column `score`; rows without one are left out.
        done: outcomes.
        reference: what the release learned from, served by the same release, as scores of two do not compare.
        window: what is looked at.
        step: length of the window's parts.

    Returns:
        One for each of the two metrics; none where the reference has too few outcomes or no scores.

    Source: confidence-based performance estimation (NannyML, "CBPE"); D. Guillory et al., "Predicting with Confidence on Unseen
    Distributions", ICCV 2021; S. Garg et al., "Leveraging Unlabeled Data to Predict Out-of-Distribution Performance", ICLR 2022.
    """
    _check((*reference, *window), step)
    if Columns.SCORE not in shown.columns:
        return ()
    scored = shown.filter(pl.col(Columns.SCORE).is_finite())
    old, new = _within(scored, reference), _within(scored, window)
    found = []
    for metric in ("ctr@10", "apply_rate"):
        wait = horizon(old, done, _KINDS[metric])
        if wait is None:
            continue
        curve = _Curve(_answered(old, done, metric, wait))
        then, lists = (_summed(curve.expected(_places(own, metric))) for own in (old, new))
        days = _days(new, lists, window, step, window.until)
        found.append(_said(metric, "estimated", lists, then, days, "from scores; blind to a change of what a score means"))
    return tuple(found)


class _Curve:
    """The reference's share of items with an outcome, by score and place."""

    def __init__(self, answered: pl.DataFrame) -> None:
        quantiles = [answered[Columns.SCORE].quantile(i / _BINS) for i in range(1, _BINS)]
        self.cuts = sorted({cut for cut in quantiles if cut is not None})
        place = answered.group_by(Columns.POSITION).agg(pl.col(_VALUE).mean().alias("prior"))
        cells = self._binned(answered).group_by(_BIN, Columns.POSITION).agg(pl.len().alias("n"), pl.col(_VALUE).sum())
        rate = (pl.col(_VALUE) + _PRIOR * pl.col("prior")) / (pl.col("n") + _PRIOR)
        self.place = place
        self.cells = cells.join(place, on=Columns.POSITION).select(_BIN, Columns.POSITION, rate.alias(_RATE))

    def expected(self, shown: pl.DataFrame) -> pl.DataFrame:
        """The same rows with what is expected of each as its value; of a place never seen 0."""
        rows = (
            self._binned(shown)
            .join(self.cells, on=[_BIN, Columns.POSITION], how="left")
            .join(self.place, on=Columns.POSITION, how="left")
        )
        return rows.with_columns(pl.coalesce(_RATE, "prior", pl.lit(0.0)).alias(_VALUE))

    def _binned(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(pl.Series(_BIN, np.searchsorted(self.cuts, rows[Columns.SCORE].to_numpy()), dtype=pl.Int64))


def _check(moments: Sequence[datetime], step: timedelta) -> None:
    for moment in moments:
        if moment.tzinfo is None:
            raise DataError(f"the moment {moment} has no time zone; times are UTC: pass datetime(..., tzinfo=UTC)")
    if step <= timedelta(0):
        raise DataError(f"step is {step}; a part of a window is longer than nothing, such as a day")


def _within(shown: pl.DataFrame, period: Period) -> pl.DataFrame:
    return shown.filter((pl.col(Columns.TS) >= period.since) & (pl.col(Columns.TS) < period.until))


def _joined(shown: pl.DataFrame, done: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Impressions with the seconds until their first outcome of a kind; null where there is none."""
    of_kind = done.filter(pl.col(Columns.KIND) == kind).select(Columns.REQUEST_ID, _ITEM, Columns.TS).drop_nulls()
    first = of_kind.group_by(Columns.REQUEST_ID, _ITEM).agg(pl.col(Columns.TS).min().alias("done_at"))
    rows = shown.rename({Columns.TS: _AT}).join(first, on=[Columns.REQUEST_ID, _ITEM], how="left")
    return rows.with_columns(((pl.col("done_at") - pl.col(_AT)).dt.total_milliseconds() / 1000).alias(_LATE))


def _places(shown: pl.DataFrame, metric: str) -> pl.DataFrame:
    rows = shown.rename({Columns.TS: _AT})
    return rows if metric == "apply_rate" else rows.filter(pl.col(Columns.POSITION) <= _PLACES)


def _answered(shown: pl.DataFrame, done: pl.DataFrame, metric: str, wait: timedelta) -> pl.DataFrame:
    """Impressions with value 1 where an outcome of the metric came in time, else 0."""
    came = pl.col(_LATE).is_between(0, wait.total_seconds())
    rows = _joined(shown, done, _KINDS[metric]).with_columns(came.fill_null(False).cast(pl.Float64).alias(_VALUE))
    return rows if metric == "apply_rate" else rows.filter(pl.col(Columns.POSITION) <= _PLACES)


def _lists(shown: pl.DataFrame, done: pl.DataFrame, metric: str, wait: timedelta) -> pl.DataFrame:
    """A row a list: whose, when, and the metric's value."""
    rows = _answered(shown, done, metric, wait)
    if metric != "ndcg@10":
        return _summed(rows)
    gain = pl.col(_VALUE) / (pl.col(Columns.POSITION) + 1).log(2)
    clicks = pl.col(_VALUE).sum().cast(pl.Int64).alias("clicks")
    lists = rows.group_by(_LIST).agg(gain.sum().alias(_VALUE), clicks).filter(pl.col("clicks") > 0)
    ideal = np.concatenate(([np.nan], np.cumsum(1 / np.log2(np.arange(2, _PLACES + 2)))))
    best = pl.Series(ideal[np.minimum(lists["clicks"].to_numpy(), _PLACES)])
    return lists.with_columns((lists[_VALUE] / best).alias(_VALUE))


def _summed(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by(_LIST).agg(pl.col(_VALUE).sum())


def _mean(lists: pl.DataFrame) -> Mean:
    return clustered(lists[_VALUE].to_numpy().astype(np.float64), lists[Columns.USER_ID].to_list())


def _days(shown: pl.DataFrame, lists: pl.DataFrame, window: Period, step: timedelta, known: datetime) -> tuple[Day, ...]:
    """The window part by part; one counts where nine in ten of its lists are older than the horizon."""
    days, at = [], window.since
    while at < window.until:
        until = min(at + step, window.until)
        own = _mean(lists.filter((pl.col(_AT) >= at) & (pl.col(_AT) < until)))
        given = _within(shown, Period(at, until))[Columns.TS]
        old = given.filter(given <= known).len() / given.len() if given.len() else 1.0
        wide = 1.96 * math.sqrt(own.variance) if own.people > 1 else math.nan
        ends = (None, None) if math.isnan(wide) else (max(0.0, own.value - wide), own.value + wide)
        value = own.value if own.lists else None
        days.append(Day(at=at, value=value, lower=ends[0], upper=ends[1], requests=own.lists, ripe=old, counts=old >= _RIPE))
        at = until
    return tuple(days)


def _said(metric: str, kind: str, lists: pl.DataFrame, then: pl.DataFrame, days: tuple[Day, ...], how: str) -> Performance:
    now, before = _mean(lists), _mean(then)
    found = over(now, before)
    if found is None:
        says = f"{metric}, {kind}: not enough to say, {now.lists:,} lists of {now.people:,} people; {how}"
    else:
        says = f"{metric}, {kind}: {found[0]:.2f} of the reference's ({found[1]:.2f} to {found[2]:.2f}); {how}"
    ratio, lower, upper = found or (None, None, None)
    return Performance(
        metric=metric,
        kind="measured" if kind == "measured" else "estimated",
        value=now.value if now.lists else None,
        reference=before.value if before.lists else None,
        ratio=ratio,
        lower=lower,
        upper=upper,
        requests=now.lists,
        people=now.people,
        days=days,
        says=says,
    )
