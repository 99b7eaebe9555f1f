"""How alike two rankings of one request are, with nobody's judgement: one value per request, the mean comes last.

All share these conventions:

- A list holds ids, best first, each once; two lists of one request may differ in length and in what they hold.
- Each is symmetric, and 1 for a list and itself.
- A request where neither ranking has an item has no value: NaN, and one `UndefinedMetric` warning that counts such
  requests. Where only one of them is empty they share nothing: 0, except for `kendall_tau`, which then has nothing to compare.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from rankloop.errors import DataError
from rankloop.metrics._ranked import Floats, check_cut, defined

__all__ = ["kendall_tau", "overlap", "rank_biased_overlap"]

Rankings = Sequence[Sequence[Hashable]]
Scores = Sequence[Sequence[float] | npt.NDArray[np.floating]]


def overlap(a: Rankings, b: Rankings, *, k: int | None) -> Floats:
    """Share of the first `k` items that two rankings have in common, whatever their order.

    Not divided by `k`: where both lists are shorter than `k` the longer of the two cut lists is the divisor, so a list
    and itself have 1; a list that is much shorter than the other cannot.

        overlap = |A_k and B_k| / max(|A_k|, |B_k|)

    Args:
        a: for each request the items of one ranking, best first.
        b: for each request the items of the other.
        k: the last rank that counts; None counts all.

    Returns:
        `(requests,)` float64 in [0, 1]; NaN where both are empty.

    Raises:
        DataError: the two differ in length, a list holds an item twice, or `k` < 1.

    Example:
        >>> overlap([["x", "y", "z"]], [["y", "w", "x"]], k=2)
        array([0.5])
    """
    _check(a, b)
    cut = int(min(check_cut(k), max((len(row) for row in (*a, *b)), default=1)))
    pairs = [(row[:cut], other[:cut]) for row, other in zip(a, b, strict=True)]
    found = [len(set(row) & set(other)) / max(len(row), len(other), 1) for row, other in pairs]
    return _where_any(found, a, b, "overlap")


def rank_biased_overlap(
    a: Rankings,
    b: Rankings,
    *,
    p: float = 0.9,
    a_scores: Scores | None = None,
    b_scores: Scores | None = None,
) -> Floats:
    """Rank-biased overlap: the agreement a reader meets who goes on to the next rank with probability `p`.

    Not a correlation: the rankings need not hold the same items, and the first ranks weigh most. It is the extrapolated
    form, RBO_ext: the agreement at the last ranks seen is taken to go on for ever, so lists of any length are comparable.

        s <= L the lengths, X_d how many items both have in their first d ranks
        RBO = (1-p)/p (sum over d <= L of X_d/d p^d + sum over s < d <= L of X_s (d-s)/(s d) p^d)
              + ((X_L - X_s)/L + X_s/s) p^L

    With `p` the first 10 ranks have 0.86 of the weight at 0.9 and 0.99 at 0.7.

    Equal scores: as elsewhere in this package the value is the expectation over every order of the tied items, each
    ranking's ties broken independently (`RBO^a`); a ranking with ties then agrees with itself by less than 1. Without
    scores a list's order is taken at its word.

    Args:
        a: for each request the items of one ranking, best first.
        b: for each request the items of the other.
        p: the probability to go on, in (0, 1).
        a_scores: for each request the scores of `a`'s items, from high to low; None: no ties.
        b_scores: likewise for `b`.

    Returns:
        `(requests,)` float64 in [0, 1]; 0 where one of them is empty, NaN where both are.

    Raises:
        DataError: the two differ in length, a list holds an item twice, `p` is no such probability, or scores do not fit
            their list or rise.

    Source: W. Webber, A. Moffat, J. Zobel, "A Similarity Measure for Indefinite Rankings", ACM TOIS 2010, equation 32; ties:
    M. Corsi, J. Urbano, "The Treatment of Ties in Rank-Biased Overlap", SIGIR 2024.

    Example:
        >>> rank_biased_overlap([["x", "y"]], [["y", "x"]], p=0.5).round(3)  # 0.5 (0/1 0.5 + 2/2 0.25) / 0.5 + 1 0.25
        array([0.5])
    """
    _check(a, b)
    if not 0 < p < 1:
        raise DataError(f"p is {p}; it is the probability to go on to the next rank, between 0 and 1, such as 0.9")
    starts_a, starts_b = _tie_groups(a, a_scores, "a"), _tie_groups(b, b_scores, "b")
    rows = zip(a, b, starts_a, starts_b, strict=True)
    return _where_any([_extrapolated(*row, p) for row in rows], a, b, "rank_biased_overlap")


def kendall_tau(a: Rankings, b: Rankings) -> Floats:
    """Kendall's tau of the order in which two rankings have the items they share.

    Not a comparison of whole rankings: what only one of them holds does not count, so read it beside `overlap`. A list's
    order is taken at its word; there are no ties.

        tau = (pairs in the same order - pairs in the other order) / pairs

    Args:
        a: for each request the items of one ranking, best first.
        b: for each request the items of the other.

    Returns:
        `(requests,)` float64 in [-1, 1]; NaN where fewer than two items are shared.

    Raises:
        DataError: the two differ in length, or a list holds an item twice.

    Source: M. Kendall, "A New Measure of Rank Correlation", Biometrika 1938.

    Example:
        >>> kendall_tau([["x", "y", "z"]], [["y", "x", "w", "z"]]) == (2 - 1) / 3
        array([ True])
    """
    _check(a, b)
    found = np.full(len(a), np.nan)
    for at, (row, other) in enumerate(zip(a, b, strict=True)):
        rank = {item: n for n, item in enumerate(other)}
        places = np.array([rank[item] for item in row if item in rank])
        if len(places) > 1:
            upper = np.sign(places[None, :] - places[:, None])[np.triu_indices(len(places), 1)]  # (pairs,)
            found[at] = upper.mean()
    return defined(found, ~np.isnan(found), "kendall_tau", "they share fewer than two items")


def _extrapolated(
    a: Sequence[Hashable], b: Sequence[Hashable], a_start: npt.NDArray[np.int64], b_start: npt.NDArray[np.int64], p: float
) -> float:
    """RBO_ext of one pair; the starts are as `_tie_groups` gives them."""
    s, L = sorted((len(a), len(b)))
    if s == 0:
        return 0.0
    d = np.arange(1, L + 1)
    X = _shared(a, b, a_start, b_start, d)  # (L,)
    weights = p**d
    seen = np.sum(X / d * weights)
    unseen = np.sum(X[s - 1] * (d[s:] - s) / (s * d[s:]) * weights[s:])
    tail = ((X[-1] - X[s - 1]) / L + X[s - 1] / s) * p**L
    return float(min((1 - p) / p * (seen + unseen) + tail, 1.0))


def _shared(
    a: Sequence[Hashable],
    b: Sequence[Hashable],
    a_start: npt.NDArray[np.int64],
    b_start: npt.NDArray[np.int64],
    d: npt.NDArray[np.int64],
) -> Floats:
    """How many items are expected in the first d ranks of both, for every d; `(depths,)`."""
    place = {item: n for n, item in enumerate(b)}
    pairs = [(n, place[item]) for n, item in enumerate(a) if item in place]
    if not pairs:
        return np.zeros(len(d))
    rows, others = np.array(pairs).T
    # (shared, depths): the chance that an item's rank is d or better
    return np.asarray((_reached(rows, a_start, d) * _reached(others, b_start, d)).sum(axis=0), np.float64)


def _reached(places: npt.NDArray[np.int64], start: npt.NDArray[np.int64], d: npt.NDArray[np.int64]) -> Floats:
    first = start[places]
    size = np.bincount(start, minlength=len(start))[first]
    return np.clip((d[None, :] - first[:, None]) / size[:, None], 0.0, 1.0)


def _tie_groups(lists: Rankings, scores: Scores | None, name: str) -> list[npt.NDArray[np.int64]]:
    """For each place of each list the place where its run of equal scores begins."""
    if scores is None:
        return [np.arange(len(row)) for row in lists]
    if [len(row) for row in scores] != [len(row) for row in lists]:
        raise DataError(f"{name}_scores does not fit {name}; each item has one score")
    groups = []
    for own in scores:
        value = np.asarray(own, np.float64)
        if not np.all(value[1:] <= value[:-1]):
            raise DataError(f"{name}_scores rise within a list, or hold NaN; a ranking is given best first")
        places = np.arange(len(value))
        begins = np.concatenate([[True], value[1:] != value[:-1]])[: len(value)]
        groups.append(np.maximum.accumulate(np.where(begins, places, 0)))
    return groups


def _check(a: Rankings, b: Rankings) -> None:
    if len(a) != len(b):
        raise DataError(f"a has {len(a)} rankings and b {len(b)}; each request has one of both")
    for row in (*a, *b):
        if len(set(row)) < len(row):
            raise DataError(f"a ranking of {len(row)} items holds one twice; keep only its best place")


def _where_any(values: Sequence[float], a: Rankings, b: Rankings, metric: str) -> Floats:
    some = np.array([bool(len(row) or len(other)) for row, other in zip(a, b, strict=True)], bool)
    return defined(np.array(values, np.float64), some, metric, "neither ranking has an item")
