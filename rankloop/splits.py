"""Splits by time, and by nothing else: what is later never teaches what is judged earlier."""

from bisect import bisect_left
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import polars as pl

from rankloop.contracts import Columns, Tables
from rankloop.errors import DataError

__all__ = ["Split", "before", "between", "by_share", "by_time"]

_DAY: Final = timedelta(days=1)
_TICK: Final = timedelta(microseconds=1)
_ENDED_AT: Final = "~ended at"


class Split(NamedTuple):
    """Four windows of time that follow one another; each holds its start and not its end.

    History reaches from the first request to `training_from`; the ranker learns from the requests up to
    `validation_from`; validation, which decides when to stop, ends at `test_from`; the test ends at `end`.

    Attributes:
        training_from: the end of history, timezone-aware UTC like the others.
        validation_from: the end of the ranker's training window.
        test_from: the end of validation.
        end: the end of the test; after the last request.
    """

    training_from: datetime
    validation_from: datetime
    test_from: datetime
    end: datetime


def by_time(tables: Tables, *, train_days: int, validation_days: int, test_days: int) -> Split:
    """Windows of whole UTC days, counted back from the end of the day of the last request.

    Args:
        tables: only the impressions' times are read.
        train_days: days of the ranker's training window, at least 1.
        validation_days: days of validation, at least 1.
        test_days: days of the test, at least 1.

    Returns:
        The windows; history is everything before them.

    Raises:
        DataError: a window has no days or no request, or nothing is left for history.

    Example:
        >>> from dataclasses import replace
        >>> from datetime import UTC
        >>> daily = [datetime(2026, 3, day, 9, tzinfo=UTC) for day in range(1, 11)]
        >>> shown = pl.DataFrame({"request_id": [f"r{ts.day}" for ts in daily], "ts": daily})
        >>> split = by_time(replace(Tables.empty(), impressions=shown), train_days=4, validation_days=1, test_days=2)
        >>> [f"{ts:%d.%m.}" for ts in split]
        ['04.03.', '08.03.', '09.03.', '11.03.']
    """
    days = {"train_days": train_days, "validation_days": validation_days, "test_days": test_days}
    for name, count in days.items():
        if count < 1:
            raise DataError(f"{name} is {count}; a window has at least 1 day")
    ended_at = _ended_at(tables)
    last = ended_at[-1]
    end = last.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
    test_from = end - test_days * _DAY
    validation_from = test_from - validation_days * _DAY
    split = Split(validation_from - train_days * _DAY, validation_from, test_from, end)
    if ended_at[0] >= split.training_from:
        raise DataError(
            f"the log reaches from {ended_at[0]:%Y-%m-%d} to {last:%Y-%m-%d}, which leaves no history before "
            f"{days}; bring a longer log, or ask for fewer days, or split by share"
        )
    return _filled(split, ended_at)


def by_share(tables: Tables, *, training: float = 0.2, validation: float = 0.1, test: float = 0.1) -> Split:
    """Windows that hold given shares of the requests; for small logs, where days hold few.

    It is no random split: the cuts are moments, so requests of one moment always share a window, and a
    share is met only as closely as that allows.

    Args:
        tables: only the impressions' request ids and times are read.
        training: share of the requests in the ranker's training window, in (0, 1).
        validation: share in validation.
        test: share in the test; the three leave something for history.

    Raises:
        DataError: a share is not in (0, 1), they leave no history, or a window has no request.
    """
    shares = {"training": training, "validation": validation, "test": test}
    if min(shares.values()) <= 0 or sum(shares.values()) >= 1:
        raise DataError(f"the shares {shares} must each be above 0 and leave something for history")
    ended_at = _ended_at(tables)

    def cut(later: float) -> datetime:
        return ended_at[min(round(len(ended_at) * (1 - later)), len(ended_at) - 1)]

    split = Split(cut(training + validation + test), cut(validation + test), cut(test), ended_at[-1] + _TICK)
    return _filled(split, ended_at)


def before(tables: Tables, ts: datetime) -> Tables:
    """What could be known at `ts`: only rows from strictly before it.

    Impressions stay by request: a request whose last impression is not before `ts` is left out whole,
    together with its outcomes. Items and users are those created before; an item that closes at or after
    `ts` is open, so its `closed_at` is null here.

    Args:
        tables: the whole log.
        ts: the moment, timezone-aware.

    Raises:
        DataError: `ts` has no time zone.
    """
    if ts.tzinfo is None:
        raise DataError(f"the moment {ts} has no time zone; give it one, for example tzinfo=UTC")
    closed = pl.col(Columns.CLOSED_AT)
    items = tables.items.filter(pl.col(Columns.CREATED_AT) < ts)
    return Tables(
        items=items.with_columns(pl.when(closed < ts).then(closed).alias(Columns.CLOSED_AT)),
        users=tables.users.filter(pl.col(Columns.CREATED_AT) < ts),
        **_log(tables, None, ts),
    )


def between(tables: Tables, start: datetime, end: datetime) -> Tables:
    """The log of `[start, end)`, with the items and users that were created before `end`.

    A request belongs to the window in which its last impression falls, so it is in exactly one of
    adjoining windows. An outcome belongs to the window of its own time; it may name a request of an
    earlier window.

    Raises:
        DataError: `start` is after `end`, or one of them has no time zone.
    """
    known = before(tables, end)
    if start.tzinfo is None or start > end:
        raise DataError(f"the window starts at {start} and ends at {end}; it needs time zones and must not end before it starts")
    return Tables(known.items, known.users, **_log(tables, start, end))


def _ended_at(tables: Tables) -> list[datetime]:
    """The last impression's time of each request, in order of time."""
    if tables.impressions.is_empty():
        raise DataError("there are no impressions, so there is no time to split; check the source with `rankloop data check`")
    ended = tables.impressions.group_by(Columns.REQUEST_ID).agg(pl.col(Columns.TS).max()).get_column(Columns.TS)
    moments: list[datetime] = ended.sort().to_list()
    return moments


def _filled(split: Split, ended_at: list[datetime]) -> Split:
    """The split, if no window is empty."""
    starts = [ended_at[0], *split[:-1]]
    for name, start, end in zip(("history", "training", "validation", "test"), starts, split, strict=True):
        if bisect_left(ended_at, start) == bisect_left(ended_at, end):
            raise DataError(
                f"no request falls into {name}, from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}; "
                "make that window longer, or split by share"
            )
    return split


def _log(tables: Tables, start: datetime | None, end: datetime) -> dict[str, pl.DataFrame]:
    """Impressions of requests that ended in `[start, end)` and the outcomes of that time."""
    ts, request = pl.col(Columns.TS), pl.col(Columns.REQUEST_ID)
    ended = tables.impressions.with_columns(ts.max().over(Columns.REQUEST_ID).alias(_ENDED_AT))
    inside = pl.col(_ENDED_AT) < end if start is None else pl.col(_ENDED_AT).is_between(start, end, closed="left")
    outcomes = tables.outcomes.filter(ts < end if start is None else ts.is_between(start, end, closed="left"))
    cut_off = ended.filter((ts < end) & (pl.col(_ENDED_AT) >= end)).get_column(Columns.REQUEST_ID).unique()
    if len(cut_off):
        outcomes = outcomes.filter(request.is_null() | ~request.is_in(cut_off.implode()))
    return {"impressions": ended.filter(inside).drop(_ENDED_AT), "outcomes": outcomes}
