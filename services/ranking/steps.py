"""Finding and ranking with what the release has and the time there is, and saying what was left out."""

import logging
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from monitoring.metrics import Metrics
from rankloop.bundle import Bundle
from rankloop.recommender import Ranked
from rankloop.request import Request
from rankloop.retrieval import Popular, SourcedCandidates
from services.ranking.deadline import Deadline, StageTime
from services.ranking.fallbacks import NO_MATCH, NO_TIME, NO_TIME_TO_RANK, RANKER_FAILED, RETRIEVERS_FAILED
from services.ranking.impressions import NO_FEATURES

__all__ = ["Steps"]

log = logging.getLogger(__name__)

_WHOLE: Final = (NO_TIME, RETRIEVERS_FAILED)
"""After these a list is what it will be: ranking it would need what just failed."""


class Steps:
    """The two steps of an answer, neither of which may cost it: what fails or does not fit in the time is left out.

    Args:
        bundle: the release.
        metrics: where stages are timed.
    """

    def __init__(self, bundle: Bundle, metrics: Metrics) -> None:
        self._bundle, self._recommender, self._metrics = bundle, bundle.recommender, metrics
        self._ranking = StageTime()
        self._readers = frozenset(own.name for own in self._recommender.blend.retrievers if own.reads_query)

    def find(self, request: Request, k: int, due: Deadline) -> tuple[SourcedCandidates, list[str]]:
        """Candidates, and what is missing, in words; without time or retrievers the `k` most popular items.

        A search is looked up all the same: that is cheap, and what is popular is no answer to it.
        """
        with self._metrics.stage(request.surface, "retrieve"):
            if due.left() <= 0 and request.query is None:
                return self._popular(request, k), [NO_TIME]
            try:
                found = self._recommender.candidates(request)
            except Exception:  # a list that is the same for all serves people better than none; labelled, counted, logged
                log.exception("release %s: finding candidates for %r failed", self._bundle.manifest.release_id, request)
                return self._popular(request, k), [RETRIEVERS_FAILED]
        unmatched = request.query is not None and self._readers.isdisjoint(found.sources)
        return found, [NO_MATCH] if unmatched else []

    def rank(
        self,
        request: Request,
        items: npt.NDArray[np.int64],
        sources: Sequence[str],
        k: int,
        due: Deadline,
        *,
        missing: Sequence[str] = (),
        failed: str = RANKER_FAILED,
    ) -> tuple[Ranked, list[str]]:
        """The `k` best of the items, and what is missing; without time or a ranker the first `k`.

        Args:
            request: who asks for what.
            items: `(n,)` int64, catalogue codes.
            sources: who proposed each.
            k: how many to keep.
            due: when the answer must be there.
            missing: what `find` said.
            failed: what to say when the ranker fails.
        """
        if any(reason in _WHOLE for reason in missing):
            return _unranked(items, sources, k), []
        if not self._ranking.fits(due.left()):
            return _unranked(items, sources, k), [NO_TIME_TO_RANK]
        try:
            with self._metrics.stage(request.surface, "rank"):
                began = time.perf_counter()
                ranked = self._recommender.rank(request, items, sources, k)
                self._ranking.took(time.perf_counter() - began)
        except Exception:  # a list in another order serves people better than none; it is labelled, counted and logged
            log.exception("release %s: ranking %d items for %r failed", self._bundle.manifest.release_id, len(items), request)
            return _unranked(items, sources, k), [failed]
        return ranked, []

    def warm(self, request: Request, *, learn: bool) -> None:
        """Takes both steps for nobody; `learn`: notes how long ranking took."""
        found = self._recommender.candidates(request)
        began = time.perf_counter()
        self._recommender.rank(request, found.items, found.sources, 10)
        if learn:
            self._ranking.took(time.perf_counter() - began)

    def _popular(self, request: Request, k: int) -> SourcedCandidates:
        """The popular retriever's list, or the catalogue's own order in a release without one."""
        allowed = self._recommender.rules.allowed(request)
        popular = self._bundle.parts.retrievers.get(Popular.name)
        if popular is not None:
            found = popular.retrieve(request, k, allowed=allowed)
            return SourcedCandidates(*found, (Popular.name,) * len(found.items))
        items = np.flatnonzero(allowed)[:k]
        return SourcedCandidates(items, -np.arange(len(items), dtype=np.float32), ("catalogue",) * len(items))


def _unranked(items: npt.NDArray[np.int64], sources: Sequence[str], k: int) -> Ranked:
    falling = -np.arange(min(k, len(items)), dtype=np.float32)
    return Ranked(items[:k], falling, tuple(sources[:k]), NO_FEATURES)
