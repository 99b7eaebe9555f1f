"""A small, real release of the known world: every part of it is fitted, nothing is made up."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import polars as pl
import pytest
import uvicorn

from rankloop.bundle import Bundle
from rankloop.contracts import Columns, Tables
from rankloop.features import FeatureStore, compute, load_views
from rankloop.ranking import LambdaMart
from rankloop.recipe import Recipe
from rankloop.testing import known_world
from rankloop.training import bundle_parts, fit_retrievers, windows
from services.listening import listening
from services.settings import Settings

CLOSED = "logo-i3"
"""An item that closed before the release's last moment."""


@dataclass(frozen=True)
class Release:
    """A bundle on disk, and what is known of it.

    Attributes:
        folder: the bundle's.
        tables: what it was made from.
        as_of: its last moment.
    """

    folder: Path
    tables: Tables
    as_of: datetime


@pytest.fixture(scope="session")
def make_release(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Release]:
    """Makes a release from a known world of a seed, with the retrievers of a recipe unless others are named."""

    def made(seed: int, retrievers: tuple[str, ...] = Recipe().retrievers) -> Release:
        tables = closed_early(known_world(days=20, rng=seed))
        recipe = Recipe(retrievers=retrievers, depth=40)
        views = load_views()
        store = FeatureStore(views, compute(views, tables))
        fits = fit_retrievers(tables, recipe, print)
        judged = windows(tables, store, fits, recipe, print)
        ranker = LambdaMart().fit(judged.training, judged.validation, rng=np.random.default_rng(seed))
        folder, as_of = tmp_path_factory.mktemp("release") / "bundle", last_moment(tables)
        Bundle.write(
            bundle_parts(tables, store, fits, ranker, recipe),
            folder,
            as_of=as_of,
            created_at=datetime(2026, 2, 1, tzinfo=UTC),
            surfaces=("job_feed", "job_search"),
            numbers={"ndcg@10": 0.5},
            lineage={"data": f"known world {seed}"},
        )
        return Release(folder, tables, as_of)

    return made


@pytest.fixture(scope="session")
def release(make_release: Callable[..., Release]) -> Release:
    """The release most tests share."""
    return make_release(0)


@pytest.fixture(scope="session")
def bundle(release: Release) -> Bundle:
    """The same, opened."""
    return Bundle.open(release.folder)


def closed_early(tables: Tables) -> Tables:
    """The world, but one item closes a day before its end."""
    closing = last_moment(tables) - timedelta(days=1)
    column = pl.when(pl.col(Columns.ITEM_ID) == CLOSED).then(pl.lit(closing)).otherwise(pl.col(Columns.CLOSED_AT))
    items = tables.items.with_columns(column.cast(tables.items.schema[Columns.CLOSED_AT]).alias(Columns.CLOSED_AT))
    return replace(tables, items=items)


def last_moment(tables: Tables) -> datetime:
    """The newest event."""
    last = tables.outcomes[Columns.TS].max()
    assert isinstance(last, datetime)
    return last


@pytest.fixture(scope="session")
def other_release(make_release: Callable[[int], Release]) -> Release:
    """Another one, of another world."""
    return make_release(1)


class SlotServer:
    """Answers at /blue/... and /green/..., as the edge's inner listener does; a slot without an application is 503.

    Attributes:
        slots: the applications by slot; tests change them.
        port: where it listens.
        inner_port: the setting that makes `Settings.slot_url` lead here.
    """

    def __init__(self) -> None:
        self.slots: dict[str, Any] = {}
        listens = listening("127.0.0.1", 0)
        self.port: int = listens.getsockname()[1]
        self.inner_port = self.port - urlsplit(Settings(inner_port=20_000).inner_url).port + 20_000
        config = uvicorn.Config(
            self._answer, interface="asgi3", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listens]}, daemon=True)
        self._thread.start()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        _, slot, path = scope["path"].split("/", 2)
        if slot in self.slots:
            await self.slots[slot]({**scope, "path": f"/{path}", "raw_path": f"/{path}".encode()}, receive, send)
            return
        await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def stop(self) -> None:
        """Ends it."""
        self._server.should_exit = True
        self._thread.join(30)


@pytest.fixture
def slot_server() -> Iterator[SlotServer]:
    """Both slots, empty."""
    server = SlotServer()
    yield server
    server.stop()
