"""A simulated marketplace on disk, a real release of it, and the real applications behind one address."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from monitoring.metrics import EventMetrics
from rankloop.bundle import Bundle
from rankloop.features import FeatureStore, compute, load_views
from rankloop.ranking import LambdaMart
from rankloop.recipe import Recipe
from rankloop.simulation import Marketplace, Scale, Truth
from rankloop.training import bundle_parts, fit_retrievers, windows
from services.auth import Tokens
from services.client import Policy
from services.crowd import Asking
from services.edge import Slots
from services.events.collector import build_collector
from services.events.spool import SpoolWriter
from services.online import open_store
from services.ranking.app import build_app
from services.ranking.engine import Engine
from services.settings import Settings

SCALE = Scale(users=150, users_per_day=2, items=200, items_per_day=12, clients=50, days=24, impressions=24_000)


@dataclass(frozen=True)
class World:
    """A marketplace, its folder, and a release that learned from its log."""

    truth: Truth
    folder: Path
    bundle: Path


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("home") / "data" / "simulated-24000-5"
    market = Marketplace(SCALE, rng=5)
    tables = market.history()
    tables.write(folder)
    market.truth.save(folder / "truth")
    views, recipe = load_views(), Recipe(depth=60)
    store = FeatureStore(views, compute(views, tables))
    fits = fit_retrievers(tables, recipe, lambda _: None)
    judged = windows(tables, store, fits, recipe, lambda _: None)
    ranker = LambdaMart().fit(judged.training, judged.validation, rng=np.random.default_rng(1))
    end = SCALE.start + timedelta(days=SCALE.days)
    Bundle.write(
        bundle_parts(tables, store, fits, ranker, recipe),
        folder.parent / "bundle",
        as_of=end,
        created_at=datetime(2026, 2, 1, tzinfo=UTC),
        surfaces=("job_feed", "job_search"),
        numbers={"ndcg@10": 0.5},
        lineage={"data": "simulated"},
    )
    return World(market.truth, folder, folder.parent / "bundle")


class Edge:
    """Both slots and the collector behind one address: people go where `slots` sends them, as the real edge does it.

    Attributes:
        applications: by slot.
        slots: who gets which.
        refuse: how many of the next requests are told to come later.
        home: where the collector keeps its spool.
    """

    def __init__(self, collector: Any, home: Path) -> None:
        self.applications: dict[str, Any] = {}
        self.collector, self.slots = collector, Slots()
        self.refuse, self.home = 0, home

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.refuse:
            self.refuse -= 1
            headers = [(b"retry-after", b"1")]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        elif scope["path"] == "/v1/events":
            await self.collector(scope, receive, send)
        else:
            await self._listed(scope, receive, send)

    async def _listed(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        slot, _ = self.slots.slot_of(json.loads(body)["user_id"])

        async def again() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def named(out: Any) -> None:
            if out["type"] == "http.response.start":
                out = {**out, "headers": [*out["headers"], (b"x-rankloop-slot", slot.encode())]}
            await send(out)

        await self.applications[slot](scope, again, named)


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    writer = SpoolWriter(tmp_path / "spool" / "events", fsync="never", max_bytes=1 << 26, when_full="refuse")
    collector = build_collector(
        Settings(home=tmp_path),
        writer=writer,
        store=open_store(Settings(home=tmp_path)),
        tokens=Tokens((), tmp_path / "tokens.json"),
        metrics=EventMetrics(process=False),
    )
    yield Edge(collector, tmp_path)
    writer.close()


@pytest.fixture
def application(tmp_path: Path) -> Callable[[Path], Any]:
    """The real application of a bundle."""

    def opened(bundle: Path) -> Any:
        settings = Settings(home=tmp_path, budget_ms=1e6)
        return build_app(Engine(Bundle.open(bundle), settings), settings)

    return opened


@pytest.fixture
def asking(edge: Edge) -> Asking:
    """A client in front of the edge, who does not really wait."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    found = Asking("http://edge", token="", policy=Policy(), seed=1, transport=httpx.ASGITransport(edge), sleep=sleep)
    found.waits = waits  # type: ignore[attr-defined]
    return found
