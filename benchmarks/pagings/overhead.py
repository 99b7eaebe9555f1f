"""What counting costs a request: the whole application in one process, with its metrics and with none, request by request.

The HTTP server and the edge are left out: they take the same time whatever is counted behind them.
"""

import asyncio
import gc
import json
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import numpy as np
from litestar import Litestar

from benchmarks.load.bundle import QUICK, Made, made
from benchmarks.result import Bar
from monitoring.metrics import Metrics
from rankloop.bundle import Bundle
from services.events.streams import open_writer
from services.ranking.app import build_app
from services.ranking.engine import Engine
from services.settings import Settings

__all__ = ["NoMetrics", "run"]

_LIMIT_US: Final = 50.0
_SCRAPES: Final = 50


class Asked(NamedTuple):
    """One request.

    Attributes:
        path: of the API.
        body: JSON.
    """

    path: str
    body: bytes


class Cost(NamedTuple):
    """What the same requests took in both applications.

    Attributes:
        counted: `(n,)` seconds of CPU with metrics.
        bare: `(n,)` seconds of CPU without.
    """

    counted: np.ndarray
    bare: np.ndarray

    @property
    def metrics_us(self) -> float:
        """The median of the differences, request by request, microseconds."""
        return float(np.median(self.counted - self.bare)) * 1e6


class _Nothing:
    """A series that takes everything and keeps nothing."""

    def labels(self, *_: object, **__: object) -> "_Nothing":
        return self

    def inc(self, _: float = 1.0) -> None:
        pass

    set = observe = set_function = inc


class NoMetrics:
    """Takes the place of `Metrics` and counts nothing.

    Example:
        >>> none = NoMetrics()
        >>> none.answers.labels("job_feed", "whole").inc()
        >>> none.text()
        b''
    """

    def __init__(self) -> None:
        self._nothing = _Nothing()

    def __getattr__(self, name: str) -> _Nothing:
        return self._nothing

    def begin(self, surfaces: Sequence[str]) -> None:
        """Nothing begins."""

    def stage(self, surface: str, name: str) -> AbstractContextManager[None]:
        """Not timed."""
        return nullcontext()

    def text(self) -> bytes:
        """No series."""
        return b""


def run(quick: bool) -> tuple[dict[str, Any], list[Bar]]:
    """Asks both applications the same requests in turns, which of them first by lot.

    The release is a small one: the costs of counting do not depend on its size, and a short answer hides them less.

    Args:
        quick: ask a few hundred requests only.

    Returns:
        The figures, and the bar they must hold.
    """
    one, count = made(QUICK, print), 300 if quick else 4_000
    with tempfile.TemporaryDirectory(prefix="rankloop-overhead-") as folder, ExitStack() as opened:
        metrics = Metrics()
        bundle = Bundle.open(one.folder, lean=True)
        counted = _app(bundle, Path(folder) / "counted", metrics, opened)
        bare = _app(bundle, Path(folder) / "bare", NoMetrics(), opened)
        cost = asyncio.run(_asked(counted, bare, _requests(one, count)))
    began = time.perf_counter()
    for _ in range(_SCRAPES):
        text = metrics.text()
    figures = {
        "requests": len(cost.counted),
        "with_metrics_p50_us": float(np.median(cost.counted)) * 1e6,
        "without_metrics_p50_us": float(np.median(cost.bare)) * 1e6,
        "metrics_p50_us": cost.metrics_us,
        "samples": sum(not line.startswith(b"#") for line in text.splitlines()),
        "scrape_ms": (time.perf_counter() - began) / _SCRAPES * 1e3,
    }
    return figures, [Bar.at_most("what metrics cost a request, p50 of its CPU time, microseconds", cost.metrics_us, _LIMIT_US)]


def _app(bundle: Bundle, home: Path, metrics: Any, opened: ExitStack) -> Litestar:
    settings = Settings.read(home=home, budget_ms=60_000)
    spool = open_writer(settings, "impressions", metrics)
    engine = Engine(bundle, settings, metrics=cast(Metrics, metrics), impressions=spool)
    opened.callback(engine.close)
    engine.warm()
    return build_app(engine, settings)


def _requests(one: Made, count: int) -> list[Asked]:
    feed = [Asked("/v1/recommend", json.dumps(body).encode()) for body in one.recommend[: count // 2]]
    return feed + [Asked("/v1/search", json.dumps(body).encode()) for body in one.search[: count - count // 2]]


async def _asked(counted: Litestar, bare: Litestar, requests: Sequence[Asked]) -> Cost:
    """Times every request in both, after a round that is not timed; the garbage is collected between pairs alone."""
    order, seconds = random.Random(1), np.empty((len(requests), 2))  # (requests, applications)
    for asked in requests[: len(requests) // 4]:
        for app in (counted, bare):
            await _took(app, asked)
    gc.collect()
    gc.disable()
    try:
        for number, asked in enumerate(requests):
            for which in order.sample((0, 1), 2):
                seconds[number, which] = await _took((counted, bare)[which], asked)
            if number % 100 == 0:
                gc.collect()
    finally:
        gc.enable()
    return Cost(seconds[:, 0], seconds[:, 1])


async def _took(app: Litestar, asked: Asked) -> float:
    """Seconds of its own CPU that a request took: counting waits for nothing, and what else the machine does is left out.

    Raises:
        RuntimeError: it was not answered with 200.
    """
    statuses: list[int] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": asked.path,
        "raw_path": asked.path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"x-request-start", f"t={time.time_ns() // 1000}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": asked.body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    began = time.thread_time()
    await app(cast(Any, scope), cast(Any, receive), send)
    took = time.thread_time() - began
    if statuses != [200]:
        raise RuntimeError(f"{asked.path} was answered with {statuses}, not 200; the application's log says why")
    return took
