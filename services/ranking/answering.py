"""What became of a request for a list, and how long that took from the edge: counted once, for people alone."""

import time
from types import TracebackType
from typing import Any

import msgspec
from litestar.exceptions import HTTPException

from monitoring.metrics import Metrics
from rankloop.errors import DataError
from services.ranking.impressions import Shown
from services.ranking.schemas import SimilarAnswer

__all__ = ["SIMILAR", "Answering"]

SIMILAR = "similar"
"""The surface of items near one item, in counts; a person sees them beside it, whatever the place."""


class Answering:
    """One request for a list, from entry to exit; one that ends without a list has failed, unless its caller is at fault.

    Args:
        metrics: where it is counted.
        surface: the product place, which a release knows; none that a caller made up.
        waited: seconds since the request reached the edge.
        counts: whether the list is for a person; one that only another program wants to see is not counted.

    Example:
        >>> metrics = Metrics(process=False)
        >>> with Answering(metrics, "job_feed", waited=0.02, counts=True):
        ...     raise DataError("k is 0")
        Traceback (most recent call last):
        rankloop.errors.DataError: k is 0
        >>> "rankloop_answers_total{" in metrics.text().decode()
        False
    """

    def __init__(self, metrics: Metrics, surface: str, *, waited: float, counts: bool) -> None:
        self._metrics, self._surface, self._counts = metrics, surface, counts
        self._arrived = time.perf_counter() - waited

    def __enter__(self) -> "Answering":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._counts and isinstance(error, Exception) and not _callers(error):
            self._metrics.answers.labels(self._surface, "failed").inc()

    def given(self, shown: Shown[Any]) -> None:
        """Counts the list that is given."""
        answer = shown.answer
        self._count(answer.items, answer.fallback)
        if self._counts and len(shown.features) and answer.items:
            mean = sum(item.score for item in answer.items) / len(answer.items)
            self._metrics.scores.labels(self._surface).observe(mean)

    def similar(self, answer: SimilarAnswer) -> None:
        """Counts a list of items near one."""
        self._count(answer.items, None)

    def _count(self, items: list[Any], fallback: str | None) -> None:
        if self._counts:
            outcome = "empty" if not items else "fallback" if fallback else "whole"
            self._metrics.answers.labels(self._surface, outcome).inc()
            self._metrics.answer_seconds.labels(self._surface).observe(time.perf_counter() - self._arrived)


def _callers(error: Exception) -> bool:
    """Whether it is for the caller to mend."""
    told = isinstance(error, HTTPException) and error.status_code < 500
    return told or isinstance(error, DataError | msgspec.DecodeError)
