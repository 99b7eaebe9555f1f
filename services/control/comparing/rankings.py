"""Two releases' answers to the same requests: how alike, in what, and where the least."""

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from rankloop.errors import DataError
from rankloop.metrics import UndefinedMetric, bootstrap_mean, kendall_tau, overlap, rank_biased_overlap
from services.control.drivers.warming import Asked
from services.ranking.schemas import Answer, SearchRequest

__all__ = ["Example", "Mean", "Placed", "Rankings", "Sides", "compare_answers"]

_PERSISTENCE: Final = 0.9
_SHOWN: Final = 10
_SEED: Final = 4


class Mean(msgspec.Struct, frozen=True):
    """A mean over requests, with its 95 % interval over people; None where there is none.

    Attributes:
        mean: over the requests where it is defined.
        lower: where it lies at least.
        upper: where it lies at most.
        requests: how many it is over.
        people: from how many people they come.
    """

    mean: float | None
    lower: float | None
    upper: float | None
    requests: int
    people: int


class Placed(msgspec.Struct, frozen=True):
    """One item of a list, or of what only one release shows.

    Attributes:
        item_id: the item.
        title: what a person reads.
        source: the retriever that proposed it.
        lists: in how many lists it stands; 1 in an example.
    """

    item_id: str
    title: str
    source: str
    lists: int = 1


class Sides(msgspec.Struct, frozen=True):
    """The distinct items of all lists.

    Attributes:
        both: shown by both, in whatever list.
        before: how many only the earlier release shows.
        after: how many only the later one shows.
        most_before: of those the ones in most lists.
        most_after: likewise.
    """

    both: int
    before: int
    after: int
    most_before: list[Placed]
    most_after: list[Placed]


class Example(msgspec.Struct, frozen=True):
    """One request and both lists.

    Attributes:
        rbo: rank-biased overlap.
        surface: the product place.
        query: the search text.
        before: the earlier release's list.
        after: the later one's.
    """

    rbo: float
    surface: str
    query: str | None
    before: list[Placed]
    after: list[Placed]


class Rankings(msgspec.Struct, frozen=True):
    """What two releases answer to the same requests.

    Attributes:
        requests: how many.
        same: of these, those with the same items in the same order.
        empty_before: of these, those to which the earlier release answers with no item.
        empty_after: likewise the later one.
        metrics: by name: `overlap@10`, `rbo` (rank-biased overlap, p = 0.9), `kendall_tau`.
        items: which items are shown at all.
        worst: the least alike pairs of lists, the worst first.
    """

    requests: int
    same: int
    empty_before: int
    empty_after: int
    metrics: dict[str, Mean]
    items: Sides
    worst: list[Example]


def compare_answers(requests: Sequence[Asked], before: Sequence[Answer], after: Sequence[Answer], *, worst: int = 5) -> Rankings:
    """Compares two releases' answers, list by list.

    Args:
        requests: what was asked of both.
        before: the earlier release's answers, in that order.
        after: the later one's.
        worst: how many examples.

    Raises:
        DataError: there is no request, or not one answer of each for every request.
    """
    if not requests or not len(requests) == len(before) == len(after):
        raise DataError(f"{len(requests)} requests have {len(before)} and {len(after)} answers; each needs one of both")
    old, new = ([[item.item_id for item in answer.items] for answer in answers] for answers in (before, after))
    units = [request.user_id or f"nobody {place}" for place, request in enumerate(requests)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetric)  # NaN is dropped, and the means say over how many they are
        values = {
            "overlap@10": overlap(old, new, k=_SHOWN),
            "rbo": rank_biased_overlap(old, new, p=_PERSISTENCE),
            "kendall_tau": kendall_tau(old, new),
        }
        metrics = {name: _mean(found, units) for name, found in values.items()}
    order = np.argsort(np.nan_to_num(values["rbo"], nan=np.inf), kind="stable")[:worst].tolist()
    return Rankings(
        requests=len(requests),
        same=sum(one == other for one, other in zip(old, new, strict=True)),
        empty_before=sum(not row for row in old),
        empty_after=sum(not row for row in new),
        metrics=metrics,
        items=_sides(before, after),
        worst=[_example(requests[at], before[at], after[at], float(values["rbo"][at])) for at in order if old[at] or new[at]],
    )


def _mean(values: np.ndarray[tuple[int], np.dtype[np.float64]], units: Sequence[str]) -> Mean:
    found = bootstrap_mean(values, units, rng=np.random.default_rng(_SEED))
    mean, lower, upper = (float(value) if np.isfinite(value) else None for value in found[:3])
    return Mean(mean, lower, upper, found.queries, found.units)


def _sides(before: Sequence[Answer], after: Sequence[Answer]) -> Sides:
    old, new = ({item.item_id for answer in answers for item in answer.items} for answers in (before, after))
    return Sides(len(old & new), len(old - new), len(new - old), _most(before, old - new), _most(after, new - old))


def _most(answers: Sequence[Answer], only: set[str]) -> list[Placed]:
    counts = Counter(item.item_id for answer in answers for item in answer.items if item.item_id in only)
    named = {item.item_id: item for answer in answers for item in answer.items}
    ordered = sorted(counts.items(), key=lambda own: (-own[1], own[0]))[:_SHOWN]
    return [Placed(item, named[item].title, named[item].source, lists) for item, lists in ordered]


def _example(request: Asked, before: Answer, after: Answer, rbo: float) -> Example:
    sides = ([Placed(item.item_id, item.title, item.source) for item in answer.items[:_SHOWN]] for answer in (before, after))
    return Example(rbo, request.surface, request.query if isinstance(request, SearchRequest) else None, *sides)
