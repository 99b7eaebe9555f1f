"""Metrics of ranked lists with judgements: one value per request, the mean and its interval come last.

All share one signature and these conventions:

- Rows of one request are adjacent; `sizes` says how many each request has.
- Equal scores: the value is the expectation over every order of the tied rows (McSherry and Najork, 2008). A scorer
  that says the same of all rows gets exactly what a random order gets; the logged order never helps.
- A NaN score ranks below every number; NaNs tie with each other.
- A row is relevant when its grade is at least `relevant`; a request without a relevant row has no value: NaN, and one
  `UndefinedMetric` warning that counts such requests.
- A list shorter than `k` is taken as it is.

Source: F. McSherry, M. Najork, "Computing Information Retrieval Performance Measures Efficiently in the Presence of
Tied Scores", ECIR 2008.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from rankloop.errors import DataError
from rankloop.metrics._ranked import Floats, Ranked, check_cut, defined, per_request, ranked

__all__ = ["average_precision", "ndcg", "precision", "recall", "reciprocal_rank"]

_NO_RELEVANT = "no row of theirs is relevant"


def ndcg(
    scores: npt.ArrayLike,
    grades: npt.ArrayLike,
    sizes: npt.ArrayLike,
    *,
    k: int | None,
    gain: Literal["exponential", "linear"] = "exponential",
) -> Floats:
    """Normalised discounted cumulative gain at `k`.

    Not the variant that normalises by the ideal of the whole list: the ideal list is cut at `k` too, so a perfect
    order has 1 at every `k`.

        DCG = sum over ranks r <= k of gain(grade at r) / log2(r + 1),   nDCG = DCG / DCG of the grades sorted
        gain(g) = 2^g - 1 (exponential) or g (linear)

    Args:
        scores: `(rows,)`, higher is better.
        grades: `(rows,)`, 0 (nothing happened) or more.
        sizes: `(requests,)` rows of each request.
        k: the last rank that counts; None counts all.
        gain: what a grade is worth.

    Returns:
        `(requests,)` float64 in [0, 1]; NaN where no row has a grade above 0.

    Raises:
        DataError: shapes do not fit, a grade is negative, or `k` < 1.

    Source: K. Järvelin, J. Kekäläinen, ACM TOIS 2002; the exponential gain is that of C. Burges et al., ICML 2005.

    Example:
        >>> ndcg([0.1, 0.9, 0.5], [0, 0, 1], [3], k=10) == 1 / np.log2(3)
        array([ True])
    """
    worth = _gains(np.asarray(grades, np.float64), gain)
    lists, ideal = ranked(scores, worth, sizes), ranked(worth, worth, sizes)
    discounts = np.where(lists.rank <= check_cut(k), 1 / np.log2(lists.rank + 1), 0.0)
    best = per_request(ideal, ideal.gains * discounts)
    has_worth = best > 0
    found = per_request(lists, lists.expected(lists.gains) * discounts)
    ratio = np.divide(found, best, out=np.zeros_like(found), where=has_worth)
    return defined(np.minimum(ratio, 1.0), has_worth, "ndcg", "no row of theirs has a grade above 0")


def recall(scores: npt.ArrayLike, grades: npt.ArrayLike, sizes: npt.ArrayLike, *, k: int | None, relevant: float = 1) -> Floats:
    """Share of the relevant rows that are ranked at `k` or above.

    Not capped: with R > k relevant rows the best possible value is k / R.

        recall = relevant rows among the first k / R

    Args:
        scores: `(rows,)`, higher is better.
        grades: `(rows,)`, 0 or more.
        sizes: `(requests,)` rows of each request.
        k: the last rank that counts; None counts all.
        relevant: the lowest grade that is relevant.

    Returns:
        `(requests,)` float64 in [0, 1]; NaN where no row is relevant.

    Raises:
        DataError: shapes do not fit, a grade is negative, or `k` < 1.

    Example:
        >>> recall([0.9, 0.5, 0.1], [1, 0, 1], [3], k=2)
        array([0.5])
    """
    lists, total = _relevance(scores, grades, sizes, relevant)
    hits = per_request(lists, np.where(lists.rank <= check_cut(k), lists.expected(lists.gains), 0.0))
    return defined(_share(hits, total), total > 0, "recall", _NO_RELEVANT)


def precision(scores: npt.ArrayLike, grades: npt.ArrayLike, sizes: npt.ArrayLike, *, k: int, relevant: float = 1) -> Floats:
    """Share of the first `k` ranks that hold a relevant row.

    A list shorter than `k` is not forgiven: the ranks it leaves empty count as not relevant.

        precision = relevant rows among the first k / k

    Args:
        scores: `(rows,)`, higher is better.
        grades: `(rows,)`, 0 or more.
        sizes: `(requests,)` rows of each request.
        k: the last rank that counts.
        relevant: the lowest grade that is relevant.

    Returns:
        `(requests,)` float64 in [0, 1]; NaN where no row is relevant, as with the other metrics, so that all of them
        are means over the same requests.

    Raises:
        DataError: shapes do not fit, a grade is negative, or `k` < 1.

    Example:
        >>> precision([0.9, 0.5, 0.1], [1, 0, 1], [3], k=2)
        array([0.5])
    """
    lists, total = _relevance(scores, grades, sizes, relevant)
    hits = per_request(lists, np.where(lists.rank <= check_cut(k), lists.expected(lists.gains), 0.0))
    return defined(np.minimum(hits / k, 1.0), total > 0, "precision", _NO_RELEVANT)


def reciprocal_rank(
    scores: npt.ArrayLike, grades: npt.ArrayLike, sizes: npt.ArrayLike, *, k: int | None, relevant: float = 1
) -> Floats:
    """One over the rank of the first relevant row; 0 where it is ranked below `k`.

    Not the reciprocal of an expected rank: with ties it is the expected reciprocal.

        a tie group of n rows with m relevant ones, t rows above it, none relevant:
        P(first at t + j + 1) = (n - m)! (n - j - 1)! m / ((n - m - j)! n!)

    Args:
        scores: `(rows,)`, higher is better.
        grades: `(rows,)`, 0 or more.
        sizes: `(requests,)` rows of each request.
        k: the last rank that counts; None counts all.
        relevant: the lowest grade that is relevant.

    Returns:
        `(requests,)` float64 in [0, 1]; NaN where no row is relevant.

    Raises:
        DataError: shapes do not fit, a grade is negative, or `k` < 1.

    Example:
        >>> reciprocal_rank([0.9, 0.5, 0.1], [0, 1, 1], [3], k=None)
        array([0.5])
    """
    lists, total = _relevance(scores, grades, sizes, relevant)
    n, m, j = lists.group_size, lists.group_sum(lists.gains).astype(np.int64), lists.rank - lists.before - 1
    possible = (m > 0) & (_relevant_above(lists) == 0) & (j <= n - m)
    n, m, j = n[possible], m[possible], j[possible]
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n.max(initial=0) + 1)))])
    skipped = np.exp(log_factorial[n - m] - log_factorial[n - m - j] + log_factorial[n - j] - log_factorial[n])
    first = np.zeros(len(possible))
    first[possible] = skipped * m / (n - j)
    value = per_request(lists, np.where(lists.rank <= check_cut(k), first / lists.rank, 0.0))
    return defined(np.minimum(value, 1.0), total > 0, "reciprocal_rank", _NO_RELEVANT)


def average_precision(
    scores: npt.ArrayLike, grades: npt.ArrayLike, sizes: npt.ArrayLike, *, k: int | None, relevant: float = 1
) -> Floats:
    """Mean of the precisions at the ranks of the relevant rows, cut at `k`.

    Not divided by R when R > k: the divisor is min(R, k), so a perfect order has 1 at every `k`.

        AP = sum over ranks r <= k of [row at r is relevant] * precision at r / min(R, k)

    Args:
        scores: `(rows,)`, higher is better.
        grades: `(rows,)`, 0 or more.
        sizes: `(requests,)` rows of each request.
        k: the last rank that counts; None counts all.
        relevant: the lowest grade that is relevant.

    Returns:
        `(requests,)` float64 in [0, 1]; NaN where no row is relevant.

    Raises:
        DataError: shapes do not fit, a grade is negative, or `k` < 1.

    Example:
        >>> average_precision([0.9, 0.5, 0.1], [1, 0, 1], [3], k=None) == (1 + 2 / 3) / 2
        array([ True])
    """
    lists, total = _relevance(scores, grades, sizes, relevant)
    n, m, j = lists.group_size, lists.group_sum(lists.gains), lists.rank - lists.before - 1
    # given a relevant row at this rank, each of the j tied rows above it is relevant with (m - 1) / (n - 1)
    beside = j * np.divide(m - 1, n - 1, out=np.zeros(len(m)), where=n > 1)
    at_rank = m / n * (_relevant_above(lists) + 1 + beside) / lists.rank
    value = per_request(lists, np.where(lists.rank <= check_cut(k), at_rank, 0.0))
    return defined(_share(value, np.minimum(total, check_cut(k))), total > 0, "average_precision", _NO_RELEVANT)


def _gains(grades: Floats, gain: str) -> Floats:
    if gain == "linear":
        return grades
    if gain == "exponential":
        return np.exp2(grades) - 1
    raise DataError(f"gain is {gain!r}; it is 'exponential' (2^grade - 1) or 'linear' (grade)")


def _relevance(scores: npt.ArrayLike, grades: npt.ArrayLike, sizes: npt.ArrayLike, relevant: float) -> tuple[Ranked, Floats]:
    """The lists with gain 1 for a relevant row, and how many each request has."""
    if not relevant > 0:
        raise DataError(f"relevant is {relevant}; the lowest relevant grade is above 0, where nothing happened")
    grade = np.asarray(grades, np.float64)
    lists = ranked(scores, np.where(grade >= relevant, 1.0, np.minimum(grade, 0.0)), sizes)
    return lists, per_request(lists, lists.gains)


def _relevant_above(lists: Ranked) -> Floats:
    """Relevant rows of the request above the tie group of each row, `(rows,)`."""
    running = np.concatenate([[0.0], np.cumsum(lists.gains)])
    row = np.arange(len(lists.rank))
    group_start, request_start = row - (lists.rank - 1 - lists.before), row - (lists.rank - 1)
    return np.asarray(running[group_start] - running[request_start], np.float64)


def _share(part: Floats, whole: Floats) -> Floats:
    """`part / whole`, 0 where there is no whole; a sum of tied shares may exceed 1 by rounding only."""
    share = np.zeros(len(part))
    np.divide(part, whole, out=share, where=whole > 0)
    return np.minimum(share, 1.0)
