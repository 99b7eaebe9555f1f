"""From a demand to an answer, without a web framework: validate, ask the release, say what was missing."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from monitoring.metrics import Metrics
from rankloop.bundle import Bundle
from rankloop.contracts import SURFACES, Columns
from rankloop.errors import DataError, ModelError
from rankloop.recommender import Ranked
from rankloop.request import Request
from rankloop.retrieval import Similar
from rankloop.vocabulary import UNKNOWN
from services.ranking.schemas import (
    Answer,
    AnsweredItem,
    Contribution,
    Explanation,
    RankAnswer,
    Readiness,
    SimilarAnswer,
)
from services.settings import Settings

__all__ = ["Engine", "utc_now"]

log = logging.getLogger(__name__)

UNKNOWN_USER: Final = "unknown user: popular and lexical candidates only"
NO_MATCH: Final = "no item matches the search text: list without it"
UNTRAINED_SURFACE: Final = "surface not in the training log: order learned from the others"
RANKER_FAILED: Final = "ranker failed: retrieval order"
RANKER_FAILED_GIVEN: Final = "ranker failed: given order"
_NOBODY: Final = ""
_GIVEN: Final = "given"
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock on the wall, timezone-aware UTC."""
    return datetime.now(UTC)


class Engine:
    """One release, ready to answer; it holds no state between requests.

    Args:
        bundle: the release.
        settings: limits, and how old a release may be before its last moment counts as now.
        metrics: where answers are counted.
        clock: the present moment, timezone-aware UTC.
    """

    def __init__(self, bundle: Bundle, settings: Settings, *, metrics: Metrics | None = None, clock: Clock = utc_now) -> None:
        self.metrics = metrics or Metrics()
        self.release_id = bundle.manifest.release_id
        self._bundle, self._settings, self._clock = bundle, settings, clock
        self._as_of = datetime.fromisoformat(bundle.manifest.as_of)
        self._titles: list[str] = bundle.parts.items[Columns.TITLE].to_list()
        self._users = frozenset(bundle.parts.users[Columns.USER_ID])
        self._surfaces = tuple(dict.fromkeys((*SURFACES, *bundle.manifest.surfaces)))
        self.metrics.release.labels(release_id=self.release_id).set(1)
        self.metrics.as_of.set(self._as_of.timestamp())
        self.metrics.catalogue.set(len(bundle.catalogue))

    def moment(self) -> datetime:
        """The moment requests are answered for.

        It is now, unless the release knows the future or its data are older than `stale_days`: a log from the past
        is answered as of its last moment, or every job in it would be closed.
        """
        now = self._clock()
        fresh = self._as_of <= now <= self._as_of + timedelta(days=self._settings.stale_days)
        return now if fresh else self._as_of

    def knows_item(self, item_id: str) -> bool:
        """Whether the release holds the item."""
        return item_id in self._bundle.catalogue

    def recommend(self, user_id: str, k: int, surface: str, *, request_id: str) -> Answer:
        """The best items for a person.

        Raises:
            DataError: `k` or `surface` is out of range.
        """
        return self._answer(Request(user_id, self._surface(surface), self.moment()), k, request_id)

    def search(self, query: str, user_id: str | None, k: int, surface: str, *, request_id: str) -> Answer:
        """The best items for a search text, for a person where one is named.

        Raises:
            DataError: the query is empty or too long, or `k` or `surface` is out of range.
        """
        request = Request(user_id or _NOBODY, self._surface(surface), self.moment(), self._query(query))
        return self._answer(request, k, request_id)

    def rank(
        self,
        user_id: str,
        item_ids: Sequence[str],
        *,
        query: str | None = None,
        surface: str | None = None,
        explain: bool = False,
        request_id: str,
    ) -> RankAnswer:
        """Given items in the release's order; rules do not apply, since the caller chose.

        Raises:
            DataError: too few or too many items, one twice, or all of them unknown.
        """
        place = self._surface(surface or ("job_search" if query else "job_feed"))
        request = Request(user_id, place, self.moment(), None if query is None else self._query(query))
        self._check_given(item_ids)
        codes = self._bundle.catalogue.encode(item_ids)
        unknown = [item_id for item_id, code in zip(item_ids, codes, strict=True) if code == UNKNOWN]
        if len(unknown) == len(item_ids):
            shown = ", ".join(map(repr, unknown[:3]))
            raise DataError(
                f"release {self.release_id} knows none of the {len(unknown)} items, such as {shown}; give items it holds"
            )
        known = codes[codes != UNKNOWN]
        ranked, failed = self._ranked(request, known, [_GIVEN] * len(known), len(known), RANKER_FAILED_GIVEN)
        reasons = [*self._reasons(request), *failed]
        return RankAnswer(
            request_id,
            self.release_id,
            request.ts.isoformat(),
            self._items(ranked, place),
            unknown,
            self._labelled(reasons),
            self._explanations(ranked) if explain and not failed else None,
        )

    def similar(self, item_id: str, k: int, *, request_id: str) -> SimilarAnswer:
        """Open items near one item, nearest first.

        Raises:
            DataError: `k` is out of range, the item is unknown, or the release has no notion of nearness.
        """
        self._check_k(k)
        similar = self._bundle.parts.retrievers.get(Similar.name)
        if not isinstance(similar, Similar):
            raise DataError(
                f"release {self.release_id} was packaged without the {Similar.name!r} retriever; add it to the recipe"
            )
        code = self._bundle.catalogue.code(item_id)
        if code == UNKNOWN:
            raise DataError(f"release {self.release_id} does not hold item {item_id!r}; give an item it has shown")
        request = Request(_NOBODY, "job_feed", self.moment())
        with self._stage("retrieve"):
            near = similar.similar(code, k, allowed=self._bundle.recommender.rules.allowed(request))
        ranked = Ranked(near.items, near.scores, (Similar.name,) * len(near.items), np.empty((0, 0), np.float32))
        return SimilarAnswer(request_id, self.release_id, request.ts.isoformat(), item_id, self._items(ranked, request.surface))

    def self_test(self) -> Readiness:
        """Answers for one known person, and ranks what came back.

        Raises:
            ModelError: the release has nothing to show, or its ranker fails.
        """
        user_id = next(iter(self._bundle.parts.users[Columns.USER_ID]), _NOBODY)
        surface = next(iter(self._bundle.manifest.surfaces), SURFACES[0])
        request = Request(user_id, surface, self.moment())
        items = self._bundle.recommender.recommend(request, 10).items
        if not len(items):
            raise ModelError(
                f"release {self.release_id} has nothing to show to user {user_id!r} at {request.ts.isoformat()}; "
                "its items are closed or its retrievers are empty: package a release from newer data"
            )
        return Readiness("ready", self.release_id, self._as_of.isoformat(), len(self._titles), len(self._users))

    def _answer(self, request: Request, k: int, request_id: str) -> Answer:
        self._check_k(k)
        with self._stage("retrieve"):
            found = self._bundle.recommender.candidates(request)
        ranked, failed = self._ranked(request, found.items, found.sources, k, RANKER_FAILED)
        unmatched = [NO_MATCH] if self._unmatched(request, found.sources) else []
        fallback = self._labelled([*self._reasons(request), *unmatched, *failed])
        moment = request.ts.isoformat()
        return Answer(request_id, self.release_id, moment, self._items(ranked, request.surface), fallback)

    def _ranked(
        self, request: Request, items: np.ndarray, sources: Sequence[str], k: int, reason: str
    ) -> tuple[Ranked, list[str]]:
        try:
            with self._stage("rank"):
                return self._bundle.recommender.rank(request, items, sources, k), []
        except Exception:  # a list in another order serves people better than none; it is labelled, counted and logged
            log.exception("release %s: ranking %d items for user %r failed", self.release_id, len(items), request.user_id)
        falling = -np.arange(min(k, len(items)), dtype=np.float32)
        return Ranked(items[:k], falling, tuple(sources[:k]), np.empty((0, 0), np.float32)), [reason]

    def _items(self, ranked: Ranked, surface: str) -> list[AnsweredItem]:
        ids = self._bundle.catalogue.decode(ranked.items)
        scores = np.round(ranked.scores.astype(np.float64), 6).tolist()
        titles = [self._titles[code] for code in ranked.items]
        rows = zip(ids, titles, scores, ranked.sources, strict=True)
        items = [AnsweredItem(item, title, score, n, source) for n, (item, title, score, source) in enumerate(rows, 1)]
        for source in set(ranked.sources):
            self.metrics.items.labels(surface, source).inc(ranked.sources.count(source))
        if not items:
            self.metrics.empty.labels(surface).inc()
        return items

    def _explanations(self, ranked: Ranked) -> list[Explanation]:
        with self._stage("explain"):
            ranker = self._bundle.recommender.ranker
            shares = ranker.contributions(ranked.features)  # (items, features + 1)
        ids = self._bundle.catalogue.decode(ranked.items)
        rows = zip(ids, ranked.features.tolist(), shares.tolist(), strict=True)
        return [_explanation(item_id, ranker.names, values, own) for item_id, values, own in rows]

    def _reasons(self, request: Request) -> Iterator[str]:
        if request.user_id != _NOBODY and request.user_id not in self._users:
            yield UNKNOWN_USER
        if request.surface not in self._bundle.manifest.surfaces:
            yield UNTRAINED_SURFACE

    def _unmatched(self, request: Request, sources: Sequence[str]) -> bool:
        """Whether a search was answered by retrievers that do not read its text."""
        readers = {own.name for own in self._bundle.recommender.blend.retrievers if own.reads_query}
        return request.query is not None and readers.isdisjoint(sources)

    def _labelled(self, reasons: Sequence[str]) -> str | None:
        for reason in reasons:
            self.metrics.fallbacks.labels(reason=reason).inc()
        return "; ".join(reasons) or None

    def _surface(self, surface: str) -> str:
        if surface not in self._surfaces:
            raise DataError(f"surface is {surface!r}; it must be one of {', '.join(self._surfaces)}")
        return surface

    def _query(self, query: str) -> str:
        text = query.strip()
        if not text:
            raise DataError(
                "query is empty; give at least one character that is no space, or ask /v1/recommend for a list without one"
            )
        if len(text) > self._settings.max_query_chars:
            raise DataError(f"query has {len(text)} characters; the limit is {self._settings.max_query_chars}: shorten it")
        return text

    def _check_k(self, k: int) -> None:
        if not 1 <= k <= self._settings.max_k:
            raise DataError(f"k is {k}; it must be from 1 to {self._settings.max_k}: ask for a list of such a length")

    def _check_given(self, item_ids: Sequence[str]) -> None:
        limit = self._settings.max_rank_items
        if not 1 <= len(item_ids) <= limit:
            raise DataError(f"item_ids has {len(item_ids)} items; give from 1 to {limit}")
        if len(set(item_ids)) < len(item_ids):
            twice = next(item for n, item in enumerate(item_ids) if item in item_ids[:n])
            raise DataError(f"item_ids names {twice!r} more than once; name each item once")

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        with self.metrics.stage_seconds.labels(stage=name).time():
            yield


def _explanation(item_id: str, names: Sequence[str], values: Sequence[float], shares: Sequence[float]) -> Explanation:
    *own, constant = shares
    rows = [
        Contribution(name, None if math.isnan(value) else value, share)
        for name, value, share in zip(names, values, own, strict=True)
    ]
    return Explanation(item_id, constant, sorted(rows, key=lambda row: -abs(row.contribution)))
