"""The tally and the edges, asked themselves."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx
import msgspec

from rankloop.canary import Observation
from services.control.observing.edges import Grown
from services.control.observing.observer import Overlap, belongs, completed
from services.tally.telling import Told

__all__ = ["DirectObserver"]

log = logging.getLogger(__name__)

_SECONDS: Final = 2.0


class DirectObserver:
    """Asks one tally and every edge.

    Args:
        tally: where the tally answers, such as `http://127.0.0.1:9105/tally`.
        edges: where edges' metrics are.
        overlap: what a shadow says.
        memory: a file in which the edges' counts at a phase's begin outlast this process; None: they do not.
    """

    def __init__(self, tally: str, edges: Sequence[str], overlap: Overlap, *, memory: Path | None = None) -> None:
        self._tally, self._overlap = tally, overlap
        self._client = httpx.Client(timeout=_SECONDS, trust_env=False)
        self._grown = Grown(list(edges), self._client, memory)

    def observe(self, stable: str, canary: str, since: float) -> Observation | None:
        """Both slots since the present share of the canary holds; None where it cannot be told."""
        try:
            told = msgspec.json.decode(self._client.get(self._tally).raise_for_status().content, type=Told)
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            log.warning("the tally does not answer at %s: %s", self._tally, error)
            return None
        if told.observation is None or told.phase is None:
            return None
        if not belongs(told.observation, told.lag_seconds, stable, canary, since):
            return None
        counts = self._grown.since(told.phase.began)
        return None if counts is None else completed(told.observation, told.phase.slots, counts, self._overlap(stable, canary))
