"""Two releases in two slots, a spool of what one of them showed, and a worker that compares."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from monitoring.metrics import ShadowMetrics
from rankloop.bundle import Bundle
from services.edge import Slots
from services.events.records import ImpressionRecord, encode
from services.events.spool import SpoolWriter
from services.ranking.app import build_app
from services.ranking.engine import Engine
from services.ranking.impressions import ImpressionLog, fingerprint_of
from services.settings import Settings
from services.shadow.slots import EdgeSlots
from services.shadow.worker import Worker


class Both:
    """Blue shows lists and logs them; green is asked in the shadow."""

    def __init__(self, server, stable: Bundle, other: Bundle, home: Path) -> None:
        self.server, self.bundles = server, {"blue": stable, "green": other}
        self.settings = Settings.read(
            home=home, budget_ms=60_000, inner_port=server.inner_port, shadow_share=1.0, shadow_rate=10_000, shadow_keep_worst=3
        )
        self.metrics = ShadowMetrics(process=False)
        self.spool = home / "spool" / "impressions"
        self.writer = self.new_writer()
        Slots().write(home / "edge" / "slots.json")
        for slot, bundle in self.bundles.items():
            self.fill(slot, bundle)

    def new_writer(self) -> SpoolWriter:
        return SpoolWriter(self.spool, fsync="never", max_bytes=1 << 24, when_full="refuse")

    def fill(self, slot: str, bundle: Bundle) -> None:
        engine = Engine(bundle, self.settings, clock=Engine(bundle, self.settings).moment)
        self.server.slots[slot] = build_app(engine, self.settings)

    def release(self, slot: str) -> str:
        return self.bundles[slot].manifest.release_id

    def shown(self, count: int, *, start: int = 0, age: float = 0.0, **changed) -> list[ImpressionRecord]:
        """Lists that blue really makes, as it logs them, some for a query."""
        engine = Engine(self.bundles["blue"], self.settings)
        log, records = ImpressionLog(None, (), engine.metrics), []
        people = [f"logo-u{n}" for n in range(8)]
        for n in range(start, start + count):
            user, named = people[n % len(people)], f"q{n}"
            if n % 3:
                shown = engine.recommend(user, 10, "job_feed", request_id=named)
            else:
                shown = engine.search("logo design", user, 10, "job_search", request_id=named)
            record = log._record(shown, round(1e6 * (time.time() - age)), None)
            records.append(msgspec.structs.replace(record, feature_names=fingerprint_of(()), **changed))
        return records

    def log(self, *records: ImpressionRecord) -> None:
        for record in records:
            self.writer.append(encode([record]))

    def worker(self, **changed) -> Worker:
        settings = self.settings.model_copy(update=changed)
        return Worker(settings, EdgeSlots(settings), self.metrics)

    def work(self, worker: Worker | None = None, **changed) -> Worker:
        """Works until the spool is read, and keeps what there is."""
        own = worker or self.worker(**changed)

        async def through() -> None:
            while await own.step():
                pass
            own.save()

        asyncio.run(through())
        return own


@pytest.fixture(scope="session")
def other_bundle(other_release) -> Bundle:
    return Bundle.open(other_release.folder)


@pytest.fixture
def both(slot_server, bundle: Bundle, other_bundle: Bundle, tmp_path: Path) -> Iterator[Both]:
    both = Both(slot_server, bundle, other_bundle, tmp_path)
    yield both
    both.writer.close()
