"""An alternative: a collector as it is usually begun, FastAPI in front of SQLite.

It checks each event by itself, keeps an id once, and answers when the disk has the batch, as ours does.
`uvicorn benchmarks.load.fastapi_sqlite:api --workers 2`, the file in `BENCH_SQLITE`.
"""

import os
import sqlite3
from datetime import datetime
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ValidationError

_COLUMNS = "event_id TEXT PRIMARY KEY, user_id TEXT, item_id TEXT, kind TEXT, ts TEXT, value REAL"

api = FastAPI()
database = sqlite3.connect(os.environ.get("BENCH_SQLITE", ":memory:"), isolation_level=None, timeout=60, check_same_thread=False)
database.execute("PRAGMA journal_mode=WAL")
database.execute("PRAGMA synchronous=FULL")
database.execute(f"CREATE TABLE IF NOT EXISTS events ({_COLUMNS})")


class Event(BaseModel):
    """One thing a person did."""

    event_id: str
    user_id: str
    item_id: str
    kind: Literal["click", "save", "apply", "interview", "hire", "dismiss"]
    ts: datetime
    value: float | None = None


class Batch(BaseModel):
    """Events, not checked yet."""

    events: list[dict[str, Any]]


@api.post("/v1/events")
def collect(batch: Batch) -> dict[str, Any]:
    """Keeps the good ones, and says which are not."""
    rows, rejected = [], []
    for index, given in enumerate(batch.events):
        try:
            event = Event.model_validate(given)
        except ValidationError as error:
            rejected.append({"index": index, "reason": str(error)})
            continue
        rows.append((event.event_id, event.user_id, event.item_id, event.kind, event.ts.isoformat(), event.value))
    database.execute("BEGIN IMMEDIATE")
    database.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
    database.execute("COMMIT")
    return {"accepted": len(rows), "rejected": rejected}
