"""From a demand to an answer, without a web framework: validate, ask the release, say what was missing."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from monitoring.metrics import Metrics
from rankloop.bundle import Bundle
from rankloop.contracts import SURFACES, Columns
from rankloop.errors import DataError, ModelError, Overloaded
from rankloop.recommender import Ranked
from rankloop.request import Request, microseconds
from rankloop.retrieval import Similar
from rankloop.vocabulary import UNKNOWN
from services.events.spool import SpoolWriter
from services.online import StateStore
from services.ranking.deadline import Deadline
from services.ranking.explaining import explained
from services.ranking.fallbacks import RANKER_FAILED_GIVEN, UNTRAINED_SURFACE
from services.ranking.impressions import NO_FEATURES, AnyAnswer, ImpressionLog, Shown
from services.ranking.limits import Limits
from services.ranking.people import NOBODY, Asker, People
from services.ranking.schemas import Answer, AnsweredItem, RankAnswer, Readiness, SimilarAnswer
from services.ranking.steps import Steps
from services.settings import Settings

__all__ = ["Engine", "utc_now"]

_GIVEN: Final = "given"
_HOPELESS: Final = 20
"""So many budgets late, an answer helps nobody."""

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock on the wall, timezone-aware UTC."""
    return datetime.now(UTC)


class Engine:
    """One release, ready to answer; between requests it keeps how long ranking takes, and nothing else.

    What fails or comes too late costs the part that it would have given, never the answer: without the online store
    a list is the release's, without time it is in the order of retrieval, without retrievers it is the popular one.
    Each is labelled and counted.

    Args:
        bundle: the release.
        settings: limits, the time an answer may take, and how old a release may be before its last moment counts as now.
        metrics: where answers are counted.
        clock: the present moment, timezone-aware UTC.
        state: what people did since the release; None: nothing is known of that.
        impressions: where lists are logged; None: nowhere.
    """

    def __init__(
        self,
        bundle: Bundle,
        settings: Settings,
        *,
        metrics: Metrics | None = None,
        clock: Clock = utc_now,
        state: StateStore | None = None,
        impressions: SpoolWriter | None = None,
    ) -> None:
        self.metrics = metrics or Metrics()
        self.release_id = bundle.manifest.release_id
        self._bundle, self._settings, self._clock = bundle, settings, clock
        self._as_of = datetime.fromisoformat(bundle.manifest.as_of)
        self._titles: list[str] = bundle.parts.items[Columns.TITLE].to_list()
        self._people = People(bundle.parts.users[Columns.USER_ID], bundle.catalogue, microseconds(self._as_of), state)
        self._held = [own for own in (impressions, state) if own is not None]
        self._impressions = ImpressionLog(impressions, bundle.manifest.features, self.metrics)
        self._limits = Limits(settings, tuple(dict.fromkeys((*SURFACES, *bundle.manifest.surfaces))))
        self._steps = Steps(bundle, self.metrics)
        self.metrics.begin(bundle.manifest.surfaces)
        self.metrics.release.labels(release_id=self.release_id).set(1)
        self.metrics.as_of.set(self._as_of.timestamp())
        self.metrics.catalogue.set(len(bundle.catalogue))

    def close(self) -> None:
        """Hands the impression log to the disk, and lets go of the online store."""
        for own in self._held:
            own.close()

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

    def knows_surface(self, surface: str) -> bool:
        """Whether lists are made for the product place."""
        return surface in self._limits.surfaces

    def usual_surface(self, query: str | None) -> str:
        """The product place of given items where the caller names none."""
        return "job_search" if query else "job_feed"

    def recommend(self, user_id: str, k: int, surface: str, *, request_id: str, waited: float = 0.0) -> Shown[Answer]:
        """The best items for a person.

        Args:
            user_id: the person.
            k: how many items.
            surface: the product place.
            request_id: names the answer.
            waited: seconds since the request reached the edge.

        Raises:
            DataError: `k` or `surface` is out of range.
            Overloaded: the request waited so long that an answer would help nobody.
        """
        return self._listed(user_id, self._limits.surface(surface), None, self._limits.k(k), request_id, self._due(waited))

    def search(self, query: str, user_id: str | None, k: int, surface: str, *, request_id: str, waited: float = 0.0) -> Shown:
        """The best items for a search text, for a person where one is named; else as `recommend`.

        Raises:
            DataError: the query is empty or too long, or `k` or `surface` is out of range.
            Overloaded: the request waited so long that an answer would help nobody.
        """
        place, text = self._limits.surface(surface), self._limits.query(query)
        return self._listed(user_id or NOBODY, place, text, self._limits.k(k), request_id, self._due(waited))

    def rank(
        self,
        user_id: str,
        item_ids: Sequence[str],
        *,
        query: str | None = None,
        surface: str | None = None,
        explain: bool = False,
        request_id: str,
        waited: float = 0.0,
    ) -> Shown[RankAnswer]:
        """Given items in the release's order; rules do not apply, since the caller chose.

        Raises:
            DataError: too few or too many items, one twice, or all of them unknown.
            Overloaded: the request waited so long that an answer would help nobody.
        """
        due, place = self._due(waited), self._limits.surface(surface or self.usual_surface(query))
        text = None if query is None else self._limits.query(query)
        self._limits.given(item_ids)
        codes = self._bundle.catalogue.encode(item_ids)
        unknown = [item_id for item_id, code in zip(item_ids, codes, strict=True) if code == UNKNOWN]
        if len(unknown) == len(item_ids):
            shown = ", ".join(map(repr, unknown[:3]))
            raise DataError(
                f"release {self.release_id} knows none of the {len(unknown)} items, such as {shown}; give items it holds"
            )
        asker, request = self._ask(user_id, place, text)
        known = codes[codes != UNKNOWN]
        ranked, failed = self._steps.rank(request, known, [_GIVEN] * len(known), len(known), due, failed=RANKER_FAILED_GIVEN)
        explanations = None
        if explain and len(ranked.features):
            with self.metrics.stage(place, "explain"):
                explanations = explained(ranked, self._bundle)
        answer = RankAnswer(
            request_id,
            self.release_id,
            request.ts.isoformat(),
            self._items(ranked, place),
            unknown,
            self._labelled(place, [*asker.reasons, *self._of_surface(place), *failed]),
            explanations,
        )
        return self._shown(answer, request, user_id, ranked, due)

    def log(self, shown: Shown[Any], *, teams: list[str] | None = None) -> None:
        """Writes the impression of an answer that is given to a person.

        Args:
            shown: the answer.
            teams: by item the release that placed it, where lists of two releases were interleaved.
        """
        with self.metrics.stage(shown.request.surface, "log"):
            self._impressions.write(shown, microseconds(self._clock()), teams=teams)

    def similar(self, item_id: str, k: int, *, request_id: str) -> SimilarAnswer:
        """Open items near one item, nearest first.

        Raises:
            DataError: `k` is out of range, the item is unknown, or the release has no notion of nearness.
        """
        self._limits.k(k)
        similar = self._bundle.parts.retrievers.get(Similar.name)
        if not isinstance(similar, Similar):
            raise DataError(
                f"release {self.release_id} was packaged without the {Similar.name!r} retriever; add it to the recipe"
            )
        code = self._bundle.catalogue.code(item_id)
        if code == UNKNOWN:
            raise DataError(f"release {self.release_id} does not hold item {item_id!r}; give an item it has shown")
        request = Request(NOBODY, "job_feed", self.moment())
        with self.metrics.stage(request.surface, "retrieve"):
            near = similar.similar(code, k, allowed=self._bundle.recommender.rules.allowed(request))
        ranked = Ranked(near.items, near.scores, (Similar.name,) * len(near.items), NO_FEATURES)
        return SimilarAnswer(request_id, self.release_id, request.ts.isoformat(), item_id, self._items(ranked, request.surface))

    def self_test(self) -> Readiness:
        """Answers for one known person, and ranks what came back.

        Raises:
            ModelError: the release has nothing to show, or its ranker fails.
        """
        users = self._bundle.parts.users[Columns.USER_ID]
        surface = next(iter(self._bundle.manifest.surfaces), SURFACES[0])
        request = Request(next(iter(users), NOBODY), surface, self.moment())
        items = self._bundle.recommender.recommend(request, 10).items
        if not len(items):
            raise ModelError(
                f"release {self.release_id} has nothing to show to user {request.user_id!r} at {request.ts.isoformat()}; "
                "its items are closed or its retrievers are empty: package a release from newer data"
            )
        return Readiness("ready", self.release_id, self._as_of.isoformat(), len(self._titles), len(users))

    def warm(self, *, requests: int = 20) -> None:
        """Answers for several people and texts, and logs none of it.

        So the first person does not wait for code to be compiled or pages to be read; and it becomes known how long
        ranking takes, from the second half, when both is done.
        """
        moment, users = self.moment(), self._bundle.parts.users[Columns.USER_ID].head(requests).to_list()
        for n, (user, title) in enumerate(zip(users, self._titles, strict=False)):
            query = title[: self._settings.max_query_chars] if n % 2 else None
            self._steps.warm(Request(user, SURFACES[0], moment, query or None), learn=2 * n >= len(users))

    def _listed(self, user_id: str, surface: str, query: str | None, k: int, request_id: str, due: Deadline) -> Shown[Answer]:
        asker, request = self._ask(user_id, surface, query)
        found, missing = self._steps.find(request, k, due)
        ranked, unranked = self._steps.rank(request, found.items, found.sources, k, due, missing=missing)
        reasons = [*asker.reasons, *self._of_surface(surface), *missing, *unranked]
        moment, items = request.ts.isoformat(), self._items(ranked, surface)
        answer = Answer(request_id, self.release_id, moment, items, self._labelled(surface, reasons))
        return self._shown(answer, request, user_id, ranked, due)

    def _ask(self, user_id: str, surface: str, query: str | None) -> tuple[Asker, Request]:
        moment = self.moment()
        with self.metrics.stage(surface, "state"):
            asker = self._people.look(user_id, microseconds(moment))
        return asker, Request(asker.user_id, surface, moment, query, asker.recent)

    def _shown(self, answer: AnyAnswer, request: Request, user_id: str, ranked: Ranked, due: Deadline) -> Shown[AnyAnswer]:
        return Shown(answer, request, user_id, ranked.features, round(1e6 * due.passed()))

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

    def _of_surface(self, surface: str) -> list[str]:
        return [] if surface in self._bundle.manifest.surfaces else [UNTRAINED_SURFACE]

    def _labelled(self, surface: str, reasons: Sequence[str]) -> str | None:
        for reason in reasons:
            self.metrics.fallbacks.labels(surface, reason).inc()
        return "; ".join(reasons) or None

    def _due(self, waited: float) -> Deadline:
        budget = self._settings.budget_ms / 1000
        if waited > _HOPELESS * budget:
            self.metrics.shed.inc()
            raise Overloaded(
                f"the request waited {waited * 1000:.0f} ms, {_HOPELESS} times the budget of {budget * 1000:.0f} ms; "
                "ask again in a second"
            )
        return Deadline(budget, waited)
