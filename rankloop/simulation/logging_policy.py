"""The order that made the log: an old set of rules, and a little chance.

It gives points for freshness, popularity, category and words in common, shows the jobs with the most points first, and breaks
ties by chance. One request in ten is an exploration: the list is drawn evenly from all jobs near the top.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.simulation.arrays import Floats, Ints
from rankloop.simulation.vocabulary import lexicon

__all__ = ["EXPLORATION", "Shown", "closeness_points", "found_points", "fresh_points", "popular_points", "rank"]

Points = npt.NDArray[np.int8]

EXPLORATION: Final = 0.1
"""Share of requests answered by a list drawn evenly from the pool."""

_LEVELS: Final = 24


class Shown(NamedTuple):
    """The lists of n requests.

    Attributes:
        column: the job at each position, as a column of the points, -1 where the list ended, `(n, length)`.
        propensity: the probability that the policy puts this job at this position for this request, `(n, length)`.
    """

    column: Ints
    propensity: Floats


def fresh_points(age_days: Floats) -> Points:
    """6 points in the first day, 4 before the third, 2 before the seventh."""
    points: Points = (2 * (age_days < 1) + 2 * (age_days < 3) + 2 * (age_days < 7)).astype(np.int8)
    return points


def popular_points(recent_clicks: Floats) -> Points:
    """2 points for the most clicked tenth of the open jobs, 1 for the next fifth, 0 for a job without clicks."""
    if not len(recent_clicks):
        return np.zeros(0, np.int8)
    ordered = np.sort(recent_clicks)[::-1]
    first, second = ordered[len(ordered) // 10], ordered[(3 * len(ordered)) // 10]
    clicked = recent_clicks > 0
    points: Points = (clicked * ((recent_clicks > first).astype(np.int8) + (recent_clicks > second))).astype(np.int8)
    return points


def closeness_points() -> Points:
    """6 points for the person's category and its neighbours alike, `(categories, categories)`."""
    categories = lexicon().categories
    points = np.zeros((len(categories), len(categories)), np.int8)
    for row, own in enumerate(categories):
        points[row, [row, *own.neighbours]] = 6
    return points


def found_points(share: Floats) -> Points:
    """6 points where any word of the query stands in the title or skills."""
    points: Points = ((share > 0) * 6).astype(np.int8)
    return points


def rank(points: Points, length: int, rng: np.random.Generator) -> Shown:
    """Lists for n requests from the points of m jobs.

    The propensity is exact, over the draw of the ties and of the exploration:

        e/M + (1 - e)/t   where the job is one of the t that share their points, and these fill this position
        e/M               where it is in the pool, but its points belong to other positions

    with M jobs in the pool: all that have at least the points of the job at place `3 * length`.

    Args:
        points: `(n, m)`, 0 to 23; -1 where the job cannot be shown.
        length: jobs in a list.
        rng: the only source of randomness.
    """
    n = len(points)
    if not points.size:
        return Shown(np.zeros((n, 0), np.int64), np.zeros((n, 0), np.float32))
    shift = (np.arange(n, dtype=np.int32) * (_LEVELS + 1))[:, None]
    counts = np.bincount((points + (shift + 1)).ravel(), minlength=n * (_LEVELS + 1)).reshape(n, -1)[:, 1:]  # (n, levels)
    above = counts[:, ::-1].cumsum(axis=1)[:, ::-1] - counts
    floor = (above < 3 * length).argmax(axis=1)  # the lowest level that is still needed to fill the pool
    pool = np.take_along_axis(above + counts, floor[:, None], axis=1)
    explores = rng.random(n) < EXPLORATION
    scores = points + rng.random(points.shape, dtype=np.float32)
    flat = np.flatnonzero(explores)
    scores[flat] = np.where(points[flat] >= floor[flat, None], scores[flat] - points[flat], -1)
    scores[points < 0] = -1
    column = _best(scores, min(length, points.shape[1]))
    level = np.take_along_axis(points, column, axis=1).astype(np.int64)
    shown = np.take_along_axis(scores, column, axis=1) >= 0
    start = np.take_along_axis(above, np.maximum(level, 0), axis=1)
    tied = np.take_along_axis(counts, np.maximum(level, 0), axis=1)
    place = np.arange(column.shape[1])
    ruled = (place >= start) & (place < start + tied)
    propensity = EXPLORATION / np.maximum(pool, 1) + np.where(ruled, (1 - EXPLORATION) / np.maximum(tied, 1), 0)
    return Shown(np.where(shown, column, -1), np.where(shown, propensity, np.nan).astype(np.float32))


def _best(scores: Floats, k: int) -> Ints:
    column = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, column, axis=1), axis=1, kind="stable")
    return np.take_along_axis(column, order, axis=1)
