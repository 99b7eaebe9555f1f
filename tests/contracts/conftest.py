"""A small marketplace in which nothing is wrong, to break one thing at a time."""

from collections.abc import Callable
from datetime import UTC as ZONE
from datetime import datetime, timedelta

import polars as pl
import pytest

from rankloop.contracts import Validated

START = datetime(2026, 1, 1, tzinfo=ZONE)
NOON = START + timedelta(hours=12)
LATER = NOON + timedelta(minutes=1)

Rows = dict[str, list[dict[str, object]]]


@pytest.fixture
def rows() -> Rows:
    """Two of everything."""
    item = {
        "title": "a job",
        "description": "work",
        "category": "design",
        "skills": ["sql"],
        "country": "PT",
        "budget": 100.0,
        "duration_days": 3.0,
        "owner_id": "o",
        "created_at": START,
        "closed_at": NOON + timedelta(days=9),
    }
    user = {
        "headline": "I draw",
        "skills": ["sql"],
        "country": "PT",
        "hourly_rate": 10.0,
        "experience_years": 2.0,
        "utc_offset_hours": 1.0,
        "created_at": START,
    }
    shown = {"ts": NOON, "surface": "job_feed", "query": None, "propensity": 0.5, "release_id": "r", "features": [1.0]}
    acted = {"ts": LATER, "request_id": "r1", "kind": "click", "value": 1.0}
    return {
        "items": [{"item_id": "i1", **item}, {"item_id": "i2", **item}],
        "users": [{"user_id": "u1", **user}, {"user_id": "u2", **user}],
        "impressions": [
            {"request_id": "r1", "user_id": "u1", "item_id": "i1", "position": 1, **shown},
            {"request_id": "r1", "user_id": "u1", "item_id": "i2", "position": 2, **shown},
        ],
        "outcomes": [{"user_id": "u1", "item_id": "i1", **acted}, {"user_id": "u1", "item_id": "i2", **acted}],
    }


@pytest.fixture
def framed() -> Callable[[Rows], dict[str, pl.DataFrame]]:
    """Rows as frames."""
    return lambda rows: {name: pl.DataFrame(table, infer_schema_length=None) for name, table in rows.items()}


@pytest.fixture
def frames(rows: Rows, framed: Callable[[Rows], dict[str, pl.DataFrame]]) -> dict[str, pl.DataFrame]:
    """The marketplace as frames."""
    return framed(rows)


@pytest.fixture
def reasons() -> Callable[[Validated], dict[str, list[list[str]]]]:
    """The reasons of every row in quarantine, for the tables that have any."""
    return lambda validated: {name: frame["reasons"].to_list() for name, frame in validated.quarantine.items() if frame.height}
