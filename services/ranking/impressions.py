"""The impression log of a replica: every list as it was shown, with the features it was ranked by."""

import hashlib
import logging
from collections.abc import Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from monitoring.metrics import Metrics
from rankloop.errors import SpoolError
from rankloop.request import Request, microseconds
from services.events.records import ImpressionRecord, encode
from services.events.spool import SpoolWriter
from services.ranking.schemas import Answer, RankAnswer

__all__ = ["NO_FEATURES", "AnyAnswer", "ImpressionLog", "Shown", "fingerprint_of"]

log = logging.getLogger(__name__)


NO_FEATURES: Final = np.empty((0, 0), np.float32)
"""Of a list whose items were not ranked, or not by this release."""

AnyAnswer = TypeVar("AnyAnswer", Answer, RankAnswer)


class Shown(NamedTuple, Generic[AnyAnswer]):
    """An answer, and what else its impression is to say.

    Attributes:
        answer: what the caller gets.
        request: what the models were asked.
        user_id: who asked, also where the models were not to know it.
        features: `(items, features)` float32, what each item was ranked by; no row where it was not ranked.
        micros: how long the engine took, microseconds.
    """

    answer: AnyAnswer
    request: Request
    user_id: str
    features: npt.NDArray[np.float32]
    micros: int


class ImpressionLog:
    """Writes impressions into a spool; a list is answered whether or not it could be logged, and a failure is counted.

    Args:
        writer: the spool; None: nothing is logged.
        names: the features' names, in the order of columns.
        metrics: where impressions are counted.
    """

    def __init__(self, writer: SpoolWriter | None, names: Sequence[str], metrics: Metrics) -> None:
        self._writer, self._names, self._metrics = writer, fingerprint_of(names), metrics

    def write(self, shown: Shown[Any], ts: int, *, teams: list[str] | None = None) -> None:
        """Logs one list.

        Args:
            shown: the list.
            ts: the moment on the clock on the wall, microseconds.
            teams: by item the release that placed it, where lists of two were interleaved.
        """
        if self._writer is None:
            return
        try:
            self._writer.append(encode([self._record(shown, ts, teams)]))
        except SpoolError as error:
            log.warning("request %s was answered and not logged: %s", shown.answer.request_id, error)
            self._metrics.impressions.labels("lost").inc()
            self._metrics.spool_refused.labels("impressions").inc()
        else:
            self._metrics.impressions.labels("logged").inc()

    def _record(self, shown: Shown[Any], ts: int, teams: list[str] | None) -> ImpressionRecord:
        answer, request = shown.answer, shown.request
        return ImpressionRecord(
            request_id=answer.request_id,
            ts=ts,
            as_of=microseconds(request.ts),
            surface=request.surface,
            user_id=shown.user_id,
            query=request.query,
            release_id=answer.release_id,
            items=[item.item_id for item in answer.items],
            scores=[item.score for item in answer.items],
            sources=[item.source for item in answer.items],
            teams=teams,
            feature_names=self._names,
            features=shown.features.astype("<f4", copy=False).tobytes(),
            micros=shown.micros,
            fallback=answer.fallback,
        )


def fingerprint_of(names: Sequence[str]) -> str:
    """Sixteen hexadecimal digits that stand for a list of feature names, which the release's manifest spells out."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
