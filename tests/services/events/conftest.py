"""Small spools, and the parts of a curator over one home folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from monitoring.metrics import CuratorMetrics
from services.events.erasure import ErasureBook
from services.events.records import EventRecord, ImpressionRecord, Record, encode
from services.events.rolling import Rolling
from services.events.segments import SpoolReader
from services.events.spool import SpoolWriter
from services.events.streams import Stream, folder_of
from services.online import StateStore, open_store
from services.settings import Settings

HOUR = 3_600_000_000
START = 1_772_355_600_000_000
"""2026-03-01 09:00 UTC, microseconds."""


class Home:
    """A home folder with what a curator has in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metrics = CuratorMetrics(process=False)
        self.readers = {stream: SpoolReader(folder_of(folder, stream)) for stream in ("events", "impressions")}
        self.book = ErasureBook(folder)
        self.rolling = Rolling(folder, self.readers, self.book, self.metrics)

    def write(self, stream: Stream, *frames: list[Record]) -> str:
        """One writer that lived and ended; returns its name."""
        writer = self.writer(stream)
        for frame in frames:
            writer.append(encode(frame))
        writer.close()
        return writer.name

    def writer(self, stream: Stream, **further) -> SpoolWriter:
        """A writer that lives until the test closes it."""
        return SpoolWriter(
            folder_of(self.folder, stream), **{"fsync": "never", "max_bytes": 1 << 30, "when_full": "refuse"} | further
        )

    def value(self, name: str, **labels: str) -> float:
        """A series' value; 0 where it has none yet."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def settings(home: Home) -> Settings:
    return Settings(home=home.folder)


@pytest.fixture
def store(settings: Settings) -> Iterator[StateStore]:
    opened = open_store(settings, write=True)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def event() -> Callable[..., EventRecord]:
    """An event; what a test does not say is made up."""

    def made(event_id: str, user_id: str = "u1", ts: int = START, **further) -> EventRecord:
        return EventRecord(**{
            "event_id": event_id, "ts": ts, "received": ts, "user_id": user_id, "item_id": "j1", "kind": "click",
            "value": None, "request_id": None,
        } | further)  # fmt: skip

    return made


@pytest.fixture(scope="session")
def impression() -> Callable[..., ImpressionRecord]:
    """An answer of three items with two features each."""

    def made(request_id: str, user_id: str = "u1", ts: int = START, **further) -> ImpressionRecord:
        return ImpressionRecord(**{
            "request_id": request_id, "ts": ts, "as_of": ts - 1, "surface": "job_feed", "user_id": user_id, "query": None,
            "release_id": "r1", "items": ["a", "b", "c"], "scores": [3.0, 2.0, 1.0], "sources": ["als", "bm25", "als"],
            "teams": None, "feature_names": "f" * 16, "features": np.arange(6, dtype="<f4").tobytes(), "micros": 900,
            "fallback": None,
        } | further)  # fmt: skip

    return made
