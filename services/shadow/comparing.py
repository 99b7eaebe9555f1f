"""One request's two lists: what was shown, and what the other release answers to the same request."""

import warnings
from typing import Final, NamedTuple

import msgspec
import numpy as np

from rankloop.metrics import UndefinedMetric, kendall_tau, overlap, rank_biased_overlap
from services.events.records import ImpressionRecord
from services.ranking.schemas import Answer

__all__ = ["METRICS", "Comparison", "Example", "Line", "compared"]

PERSISTENCE: Final = 0.9
"""The `p` of rank-biased overlap: a reader goes on to the next item nine times of ten."""

METRICS: Final = {
    "overlap@5": "share of the first 5 items that both lists hold",
    "overlap@10": "share of the first 10 items that both lists hold",
    "overlap": "share of all items that both lists hold",
    "rbo": "rank-biased overlap, the first ranks weighing most",
    "kendall_tau": "order of the items that both hold: 1 the same, -1 reversed",
    "score_shift": "mean score of the other list minus that of the list shown, in the latter's standard deviation",
}


class Line(msgspec.Struct, frozen=True):
    """One place of a list in an example.

    Attributes:
        item_id: the item.
        title: what a person reads; empty where only the log named the item.
        score: as its release gave it.
        source: the retriever that proposed it.
    """

    item_id: str
    title: str
    score: float
    source: str


class Example(msgspec.Struct, frozen=True):
    """Two lists side by side; it names the request, which the log knows, and not the person.

    Attributes:
        rbo: how alike they are.
        request_id: names the request.
        ts: when it was answered, microseconds since the epoch.
        surface: the product place.
        query: the search text.
        shown: what people saw.
        other: what the other release answers.
    """

    rbo: float
    request_id: str
    ts: int
    surface: str
    query: str | None
    shown: list[Line]
    other: list[Line]


class Comparison(NamedTuple):
    """What one request says of two releases.

    Attributes:
        user_id: whose request it was.
        values: by metric of `METRICS`; NaN where it is undefined.
        example: both lists.
    """

    user_id: str
    values: dict[str, float]
    example: Example


def compared(shown: ImpressionRecord, other: Answer) -> Comparison:
    """Compares the list that was shown with the other release's."""
    ours, theirs = shown.items, [item.item_id for item in other.items]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetric)  # NaN is dropped and counted where means are taken
        values = {
            "overlap@5": overlap([ours], [theirs], k=5),
            "overlap@10": overlap([ours], [theirs], k=10),
            "overlap": overlap([ours], [theirs], k=None),
            "rbo": rank_biased_overlap([ours], [theirs], p=PERSISTENCE),
            "kendall_tau": kendall_tau([ours], [theirs]),
        }
    single = {name: float(value[0]) for name, value in values.items()}
    single["score_shift"] = _shift(shown.scores, [item.score for item in other.items])
    return Comparison(shown.user_id, single, _example(shown, other, single["rbo"]))


def _shift(shown: list[float], other: list[float]) -> float:
    """NaN where a list is empty, or the scores shown do not differ."""
    spread = float(np.std(shown)) if len(shown) > 1 else 0.0
    return (float(np.mean(other)) - float(np.mean(shown))) / spread if spread and other else float("nan")


def _example(shown: ImpressionRecord, other: Answer, rbo: float) -> Example:
    titles = {item.item_id: item.title for item in other.items}
    rows = zip(shown.items, shown.scores, shown.sources, strict=True)
    return Example(
        rbo=rbo,
        request_id=shown.request_id,
        ts=shown.ts,
        surface=shown.surface,
        query=shown.query,
        shown=[Line(item, titles.get(item, ""), score, source) for item, score, source in rows],
        other=[Line(item.item_id, item.title, item.score, item.source) for item in other.items],
    )
