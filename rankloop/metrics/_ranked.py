"""Lists laid out by rank, ties kept together: what every ranking metric starts from."""

import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.errors import DataError

__all__ = ["Floats", "Ints", "Ranked", "UndefinedMetric", "check_cut", "defined", "per_request", "ranked", "sums"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class UndefinedMetric(UserWarning):
    """A metric has no value for some requests; they are NaN in the result and must be counted, not averaged as 0."""


class Ranked(NamedTuple):
    """Rows in the order request, then score from high to low; a tie group is a run of equal scores of one request.

    Attributes:
        gains: `(rows,)` what each row is worth, in ranked order.
        request: `(rows,)` which request a row belongs to.
        rank: `(rows,)` 1-based place in its request.
        group: `(rows,)` which tie group a row belongs to; groups are numbered over all requests.
        before: `(rows,)` how many rows of the request are ranked above the row's tie group.
        group_size: `(rows,)` rows in the row's tie group.
        requests: how many requests there are, those without rows included.
    """

    gains: Floats
    request: Ints
    rank: Ints
    group: Ints
    before: Ints
    group_size: Ints
    requests: int

    def group_sum(self, values: Floats) -> Floats:
        """Sum of `values` over the tie group of each row, `(rows,)`."""
        return sums(self.group, values)[self.group]

    def expected(self, values: Floats) -> Floats:
        """Mean of `values` over the tie group of each row: the value expected at that rank, `(rows,)`."""
        return self.group_sum(values) / self.group_size


def ranked(scores: npt.ArrayLike, gains: npt.ArrayLike, sizes: npt.ArrayLike) -> Ranked:
    """Lays rows out by rank.

    Args:
        scores: `(rows,)`; NaN ranks below every number, and NaNs tie with each other.
        gains: `(rows,)`, at least 0.
        sizes: `(requests,)` rows of each request; they are adjacent and in this order.

    Raises:
        DataError: the lengths do not fit, or a gain is negative or NaN.
    """
    score, gain, size = np.asarray(scores), np.asarray(gains, np.float64), np.asarray(sizes, np.int64)
    _check_rows(score, gain, size)
    request = np.repeat(np.arange(len(size)), size)
    order = np.lexsort((-score.astype(np.float64), request))
    score, rows = score[order], len(score)
    first_row = np.repeat(np.cumsum(size) - size, size)
    rank = np.arange(rows) - first_row + 1
    unlike = np.ones(rows, bool)
    unlike[1:] = (score[1:] != score[:-1]) & ~(np.isnan(score[1:]) & np.isnan(score[:-1]))
    starts = np.flatnonzero(unlike | (rank == 1))
    counts = np.diff(np.append(starts, rows))
    return Ranked(
        gains=gain[order],
        request=request,
        rank=rank,
        group=np.repeat(np.arange(len(starts)), counts),
        before=np.repeat(rank[starts] - 1, counts),
        group_size=np.repeat(counts, counts),
        requests=len(size),
    )


def per_request(lists: Ranked, values: Floats) -> Floats:
    """Sum of `values` by request, `(requests,)`."""
    return sums(lists.request, values, lists.requests)


def sums(groups: Ints, values: Floats, length: int = 0) -> Floats:
    """Sum of `values` by group number, at least `length` of them."""
    return np.asarray(np.bincount(groups, values, length), np.float64)


def defined(values: Floats, mask: npt.NDArray[np.bool_], metric: str, why: str) -> Floats:
    """`values` where `mask` holds, else NaN, with one `UndefinedMetric` warning that counts them."""
    missing = int(np.count_nonzero(~mask))
    if missing:
        text = f"{metric} is undefined (NaN) for {missing} of {len(mask)} requests: {why}"
        warnings.warn(text, UndefinedMetric, stacklevel=3)
    return np.where(mask, values, np.nan)


def check_cut(k: int | None) -> float:
    """The cut as a number; None cuts nowhere."""
    if k is not None and k < 1:
        raise DataError(f"k is {k}; a list is cut at k >= 1, or nowhere with k=None")
    return np.inf if k is None else k


def _check_rows(scores: npt.NDArray[np.generic], gains: Floats, sizes: Ints) -> None:
    if scores.ndim != 1 or scores.shape != gains.shape:
        raise DataError(f"scores {scores.shape} and grades {gains.shape} differ in shape; both have one value a row")
    if sizes.ndim != 1 or np.any(sizes < 0) or sizes.sum() != len(scores):
        raise DataError(f"sizes sum to {sizes.sum()}, but there are {len(scores)} rows; each size counts one request's rows")
    bad = ~(gains >= 0)
    if bad.any():
        raise DataError(f"{np.count_nonzero(bad)} grades are negative or NaN, such as {gains[bad][0]}; a grade is 0 or more")
