"""The engine with nothing around it: no HTTP, no edge, no impression log. What every system is compared with."""

import gc
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from benchmarks.load.timing import Sent, joined
from rankloop.bundle import Bundle
from services.online import open_store
from services.ranking.engine import Engine
from services.ranking.schemas import Answer
from services.settings import Settings

__all__ = ["Bare", "loops"]

Body = Mapping[str, Any]
_WARM: Final = 50
_OPEN_S: Final = 240.0
_together: Any = None


class Bare:
    """An opened release that takes the body of a request.

    It reads the same online store as a replica does; it logs nothing.

    Args:
        bundle: the bundle's folder.
        home: the home folder, which holds the online store.
    """

    def __init__(self, bundle: Path, home: Path) -> None:
        settings = Settings.read(home=home)
        self._engine = Engine(Bundle.open(bundle), settings, state=open_store(settings))
        self._engine.self_test()
        self._engine.warm()

    @classmethod
    def opened(cls, bundle: str, home: str) -> Self:
        """As a replica opens it: what lives for ever is not walked again by the collector."""
        bare = cls(Path(bundle), Path(home))
        gc.collect()
        gc.freeze()
        return bare

    def answer(self, body: Body) -> Answer:
        """What `/v1/search` answers to a body with a query, and `/v1/recommend` to one without."""
        who, k = body["user_id"], body["k"]
        if "query" in body:
            return self._engine.search(body["query"], who, k, "job_search", request_id="bare").answer
        return self._engine.recommend(who, k, "job_feed", request_id="bare").answer


def loops(bundle: Path, home: Path, bodies: Sequence[Body], *, processes: int = 1, seconds: float = 0.0, count: int = 0) -> Sent:
    """Asks the engine in a loop, in so many processes at the same time, for `seconds` or `count` requests each.

    A mark of 1 is an answer with a fallback.
    """
    fresh = multiprocessing.get_context("spawn")
    together = fresh.Barrier(processes, timeout=_OPEN_S)
    with fresh.Pool(processes, _begin_with, (together,)) as pool:
        asked = [(str(bundle), str(home), list(bodies), seconds, count, number) for number in range(processes)]
        parts = pool.starmap(_loop, asked, chunksize=1)
    return joined(parts)


def _begin_with(together: Any) -> None:
    global _together
    _together = together


def _loop(bundle: str, home: str, bodies: Sequence[Body], seconds: float, count: int, number: int) -> Sent:
    bare = Bare.opened(bundle, home)
    for body in bodies[:_WARM]:
        bare.answer(body)
    rows: list[tuple[float, float, int]] = []
    at = number * len(bodies) // 7  # another place in the same list for each process
    _together.wait()
    until = time.monotonic() + seconds if seconds else float("inf")
    while (began := time.monotonic()) < until and (not count or len(rows) < count):
        fallback = bare.answer(bodies[at % len(bodies)]).fallback
        rows.append((began, time.monotonic(), fallback is not None))
        at += 1
    began_at, done, marks = (np.array(column) for column in zip(*rows, strict=True))
    return Sent(began_at, began_at, done, np.full(len(rows), 200), marks.astype(np.int64), np.arange(len(rows)))
