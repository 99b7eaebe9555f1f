"""Per-request metrics of one ranking system, on the lists people were shown and over the full catalogue."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.examples import Lists
from rankloop.metrics import average_precision, catalogue_coverage, exposure_gini, ndcg, of_lists, recall, reciprocal_rank
from rankloop.request import Request
from rankloop.retrieval import Retriever
from rankloop.rules import Rules

__all__ = ["CUTOFFS", "CatalogueRun", "on_catalogue", "on_shown", "retriever_recall"]

Floats = npt.NDArray[np.float64]
CUTOFFS = (1, 3, 5, 10, 20)
Recommend = Callable[[Request, int], npt.NDArray[np.int64]]


def on_shown(scores: npt.NDArray[np.floating], grades: npt.NDArray[np.int32], sizes: npt.NDArray[np.int64]) -> dict[str, Floats]:
    """Metrics of an order of the logged candidates.

    Args:
        scores: `(rows,)`, the highest first.
        grades: `(rows,)`, judgements.
        sizes: `(requests,)`, rows of each request.

    Returns:
        Metric to `(requests,)`; NaN where a request has no judgement.
    """
    lists = (scores, grades, sizes)
    measured = {f"ndcg@{k}": ndcg(*lists, k=k) for k in CUTOFFS}
    return measured | {
        "recall@10": recall(*lists, k=10),
        "mrr@10": reciprocal_rank(*lists, k=10),
        "map@10": average_precision(*lists, k=10),
    }


class CatalogueRun(NamedTuple):
    """What a system would have shown, of everything it might have.

    Attributes:
        values: metric to `(requests,)`.
        lists: catalogue codes of each request's list, best first.
        coverage: share of the open catalogue in at least one of the first ten places.
        gini: how unevenly the first ten places spread, 0 evenly to 1.
    """

    values: dict[str, Floats]
    lists: list[npt.NDArray[np.int64]]
    coverage: float
    gini: float


def on_catalogue(lists: Lists, recommend: Recommend, rules: Rules, *, k: int = 100) -> CatalogueRun:
    """Ranks the full catalogue of open items for each request, as in service.

    Args:
        lists: judged requests; what was acted upon is what should be found.
        recommend: gives the `k` best items for a request, best first.
        rules: say what was open.
        k: length of the lists.
    """
    shown = [recommend(request, k) for request in lists.requests]
    first = [items[:10] for items in shown]
    relevant = _relevant(lists)
    at_10, at_k = of_lists(first, relevant, k=10), of_lists(shown, relevant, k=k)
    values = {
        "catalogue_ndcg@10": at_10["ndcg"],
        "catalogue_recall@10": at_10["recall"],
        "catalogue_mrr@10": at_10["reciprocal_rank"],
        f"catalogue_recall@{k}": at_k["recall"],
        "empty": np.array([float(len(items) == 0) for items in shown]),
    }
    size = _open_items(lists.requests, rules)
    return CatalogueRun(values, shown, catalogue_coverage(first, size), exposure_gini(first, size))


def retriever_recall(lists: Lists, retrievers: Sequence[Retriever], rules: Rules, *, k: int = 100) -> dict[str, Floats]:
    """Recall@k of each retriever alone, each `(requests,)`."""
    allowed = [rules.allowed(request) for request in lists.requests]
    relevant = _relevant(lists)
    found = {
        own.name: [own.retrieve(request, k, allowed=mask).items for request, mask in zip(lists.requests, allowed, strict=True)]
        for own in retrievers
    }
    return {name: of_lists(items, relevant, k=k)["recall"] for name, items in found.items()}


def _relevant(lists: Lists) -> list[npt.NDArray[np.int64]]:
    return [items[grades > 0] for items, grades in zip(lists.items, lists.grades, strict=True)]


def _open_items(requests: Sequence[Request], rules: Rules) -> int:
    """How many items at least one of the requests might have been shown."""
    masks = [rules.allowed(request) for request in requests]
    return int(np.logical_or.reduce(masks).sum()) if masks else 0
