"""Judgements from a log: what people did with what they were shown."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.contracts import GRADES, Columns, Tables
from rankloop.errors import DataError
from rankloop.request import Request

__all__ = ["ATTRIBUTION", "JudgedRequests", "graded", "has_negatives", "judged_requests"]

ATTRIBUTION: Final = timedelta(days=7)
"""How long after an impression an outcome that names no request still counts for it."""

_FEWEST_NEGATIVES: Final = 0.01
_GRADE: Final = "grade"
_ROW: Final = "~row"
_STARTED_AT: Final = "~started at"

Whole = npt.NDArray[np.int32]


class JudgedRequests(NamedTuple):
    """Requests of a log with what was shown and what became of it; one entry a request.

    Attributes:
        requests: in order of time, then of request id; `ts` is the request's first impression.
        items: the item ids, in the order shown.
        grades: int32, 0 (nothing happened, or a dismissal) to 5 (hire); the highest of several outcomes.
        positions: int32, 1-based, as logged.
    """

    requests: list[Request]
    items: list[list[str]]
    grades: list[Whole]
    positions: list[Whole]


def judged_requests(tables: Tables, start: datetime, end: datetime, *, horizon: datetime | None = None) -> JudgedRequests:
    """The requests of `[start, end)` with their judgements.

    An outcome that names its request judges that impression. One that does not judges the user's latest
    impression of the item at or before it, if that is no older than `ATTRIBUTION`.

    Args:
        tables: the log; impressions before `start` may be in it and still take the outcomes that are theirs.
        start: a request belongs to the window in which its last impression falls, as in `rankloop.splits`.
        end: the window's end, exclusive.
        horizon: only outcomes strictly before this moment count, so that a training label never knows what
            happened in the test; None: `end`.

    Raises:
        DataError: `start` is after `end`.

    Example:
        >>> from rankloop.contracts import Tables
        >>> from datetime import UTC, datetime
        >>> judged_requests(Tables.empty(), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)).requests
        []
    """
    if start > end:
        raise DataError(f"the window starts at {start} and ends at {end}; it must not end before it starts")
    request = Columns.REQUEST_ID
    ts = pl.col(Columns.TS)
    log = graded(tables, horizon=end if horizon is None else horizon)
    log = log.filter(ts.max().over(request).is_between(start, end, closed="left"))
    log = log.with_columns(ts.min().over(request).alias(_STARTED_AT)).sort(_STARTED_AT, request, Columns.POSITION)
    first = np.flatnonzero(log.select(pl.col(request).is_first_distinct()).to_series().to_numpy())
    cuts = first[1:]
    return JudgedRequests(
        requests=_requests(log[first]),
        items=_lists(log.get_column(Columns.ITEM_ID), cuts),
        grades=np.split(log.get_column(_GRADE).to_numpy(writable=True), cuts) if len(first) else [],
        positions=np.split(log.get_column(Columns.POSITION).to_numpy(writable=True), cuts) if len(first) else [],
    )


def graded(tables: Tables, *, horizon: datetime | None = None) -> pl.DataFrame:
    """Every impression, in the given order, with the column `grade` (int32); see `judged_requests`.

    Args:
        tables: the log.
        horizon: only outcomes strictly before this moment count; None: all.
    """
    outcomes = tables.outcomes if horizon is None else tables.outcomes.filter(pl.col(Columns.TS) < horizon)
    grade = pl.col(Columns.KIND).replace_strict(GRADES, return_dtype=pl.Int32).alias(_GRADE)
    outcomes = outcomes.with_columns(grade).filter(pl.col(_GRADE) > 0)
    impressions = tables.impressions.with_row_index(_ROW)
    named = pl.col(Columns.REQUEST_ID).is_not_null()
    judged = pl.concat([_by_request(impressions, outcomes.filter(named)), _by_time(impressions, outcomes.filter(~named))])
    best = judged.group_by(_ROW).agg(pl.col(_GRADE).max())
    log = impressions.join(best, on=_ROW, how="left", maintain_order="left")
    return log.with_columns(pl.col(_GRADE).fill_null(0)).drop(_ROW)


def has_negatives(tables: Tables) -> bool:
    """Whether the log holds what people passed over, and not only what they chose.

    False where nearly every impression (all but one in a hundred) was acted upon, as in view logs and
    check-ins: a ranker can learn nothing from such lists and has to be given retrieved candidates beside them.
    """
    grades = graded(tables).get_column(_GRADE)
    return bool((grades == 0).sum() >= max(1.0, _FEWEST_NEGATIVES * len(grades)))


def _by_request(impressions: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Impression row and grade, for outcomes that name the request."""
    key = [Columns.REQUEST_ID, Columns.ITEM_ID]
    return outcomes.select(*key, _GRADE).join(impressions.select(*key, _ROW), on=key).select(_ROW, _GRADE)


def _by_time(impressions: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Impression row and grade, for outcomes that name only user and item."""
    key = [Columns.USER_ID, Columns.ITEM_ID]
    shown = impressions.select(*key, Columns.TS, _ROW)
    if outcomes.is_empty():
        return shown.select(_ROW, pl.lit(0, pl.Int32).alias(_GRADE)).clear()
    shown = shown.join(outcomes.select(key).unique(), on=key, how="semi").sort(Columns.TS, _ROW)
    acted = outcomes.select(*key, Columns.TS, _GRADE).sort(Columns.TS)
    joined = acted.join_asof(shown, on=Columns.TS, by=key, strategy="backward", tolerance=ATTRIBUTION, check_sortedness=False)
    return joined.filter(pl.col(_ROW).is_not_null()).select(_ROW, _GRADE)


def _requests(first: pl.DataFrame) -> list[Request]:
    columns = [Columns.USER_ID, Columns.SURFACE, _STARTED_AT, Columns.QUERY]
    return [Request(*row) for row in first.select(columns).iter_rows()]


def _lists(ids: pl.Series, cuts: npt.NDArray[np.intp]) -> list[list[str]]:
    texts: list[str] = ids.to_list()
    return [texts[a:b] for a, b in pairwise([0, *cuts.tolist(), len(texts)])] if texts else []
