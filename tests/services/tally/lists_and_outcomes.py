"""A world of two slots: lists and outcomes made up for a purpose, and spools that hold them."""

import itertools
from pathlib import Path

from rankloop.canary import Ratio
from services.events.records import ErasureRecord, EventRecord, ImpressionRecord, Record, encode
from services.events.spool import SpoolWriter
from services.settings import Settings
from services.tally.phase import Phase
from services.tally.tally import Tally

BEGAN = 1_700_000_000.0
PHASE = Phase(BEGAN, ("blue", "green"), ("r-old", "r-new"), 500)
_names = (f"e{n}" for n in itertools.count())


def shown(request: str, user: str = "ann", *, release: str = "r-old", after: float = 1.0, began: float = BEGAN, **changed):
    """A list that was shown so many seconds after the phase began."""
    items = changed.pop("items", [f"i{n}" for n in range(12)])
    record = {
        "request_id": request,
        "ts": round(1e6 * (began + after)),
        "as_of": 0,
        "surface": "job_feed",
        "user_id": user,
        "query": None,
        "release_id": release,
        "items": items,
        "scores": [1.0] * len(items),
        "sources": ["popular"] * len(items),
        "teams": None,
        "feature_names": "",
        "features": b"",
        "micros": 4000,
        "fallback": None,
    }
    return ImpressionRecord(**record | changed)


def done(kind: str, item: str, request: str | None = None, user: str = "ann", *, after: float = 2.0, began: float = BEGAN):
    """An outcome, so many seconds after the phase began."""
    ts = round(1e6 * (began + after))
    return EventRecord(next(_names), ts, ts, user, item, kind, None, request)


def tallied(*records: Record, phase: Phase = PHASE) -> Tally:
    """A tally of a phase that has taken all of them, and a minute more."""
    tally = Tally(secret=7)
    tally.begin(phase)
    return taken(tally, *records)


def taken(tally: Tally, *records: Record) -> Tally:
    for record in records:
        if isinstance(record, ImpressionRecord):
            tally.take_list(record)
        elif isinstance(record, EventRecord):
            tally.take_event(record)
        elif isinstance(record, ErasureRecord):
            tally.forget(record.user_id, 12345)
    tally.advance(max([BEGAN, *(record.ts / 1e6 for record in records)]) + 60)
    return tally


def ratio_of(*units: tuple[float, float]) -> Ratio:
    """The moments of units, each with its x and y, by their definition."""
    kept = [(x, y) for x, y in units if y > 0]
    sums = [sum(x**i * y**j for x, y in kept) for i, j in ((1, 0), (0, 1), (2, 0), (0, 2), (1, 1))]
    return Ratio(len(kept), *(float(one) for one in sums))


class FixedPhases:
    """What holds is what a test says."""

    def __init__(self, phase: Phase) -> None:
        self.phase = phase

    def now(self) -> Phase:
        return self.phase


class Home:
    """A home folder with both spools."""

    def __init__(self, folder: Path, **settings) -> None:
        self.settings = Settings.read(home=folder, **settings)
        self.writers = {stream: self.new_writer(stream) for stream in ("impressions", "events")}

    def new_writer(self, stream: str) -> SpoolWriter:
        return SpoolWriter(self.settings.home / "spool" / stream, fsync="never", max_bytes=1 << 28, when_full="refuse")

    def log(self, *records: Record) -> None:
        for record in records:
            self.writers["impressions" if isinstance(record, ImpressionRecord) else "events"].append(encode([record]))

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()
