"""The engine with nothing around it: no HTTP, no edge, no impression log. What every system is compared with."""

import gc
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from itertools import count as counting
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from benchmarks.load.missing import missing
from benchmarks.load.timing import Sent, joined
from rankloop.bundle import Bundle
from services.online import open_store
from services.ranking.engine import Engine
from services.ranking.schemas import Answer
from services.settings import Settings

__all__ = ["Bare", "alone", "loops"]

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


def loops(bundle: Path, home: Path, bodies: Sequence[Body], *, processes: int, seconds: float) -> Sent:
    """Asks the engine in a loop, in so many processes at the same time; marks are those of `missing`."""
    fresh = multiprocessing.get_context("spawn")
    together = fresh.Barrier(processes, timeout=_OPEN_S)
    with fresh.Pool(processes, _begin_with, (together,)) as pool:
        asked = [(str(bundle), str(home), list(bodies), seconds, number) for number in range(processes)]
        return joined(pool.starmap(_loop, asked, chunksize=1))


def alone(bundle: Path, home: Path, bodies: Mapping[str, Sequence[Body]], *, count: int) -> dict[str, Sent]:
    """Asks the engine the first `count` of each kind's bodies, in a process of its own."""
    fresh = multiprocessing.get_context("spawn")
    with fresh.Pool(1) as pool:
        return pool.apply(_each_kind, (str(bundle), str(home), {kind: list(own) for kind, own in bodies.items()}, count))


def _each_kind(bundle: str, home: str, bodies: Mapping[str, Sequence[Body]], count: int) -> dict[str, Sent]:
    bare = Bare.opened(bundle, home)
    for own in bodies.values():
        _asked(bare, own[-_WARM:], 0, _WARM, float("inf"))
    return {kind: _asked(bare, own, 0, count, float("inf")) for kind, own in bodies.items()}


def _begin_with(together: Any) -> None:
    global _together
    _together = together


def _loop(bundle: str, home: str, bodies: Sequence[Body], seconds: float, number: int) -> Sent:
    bare = Bare.opened(bundle, home)
    _asked(bare, bodies[-_WARM:], 0, _WARM, float("inf"))
    first = number * len(bodies) // 7  # another place in the same list for each process
    _together.wait()
    return _asked(bare, bodies, first, None, time.monotonic() + seconds)


def _asked(bare: Bare, bodies: Sequence[Body], first: int, count: int | None, until: float) -> Sent:
    rows: list[tuple[float, float, int]] = []
    for number in islice(counting(first), count):
        if (began := time.monotonic()) >= until:
            break
        fallback = bare.answer(bodies[number % len(bodies)]).fallback
        rows.append((began, time.monotonic(), missing(fallback)))
    began_at, done, marks = (np.array(column) for column in zip(*rows, strict=True))
    return Sent(began_at, began_at, done, np.full(len(rows), 200), marks.astype(np.int64), np.arange(len(rows)))
