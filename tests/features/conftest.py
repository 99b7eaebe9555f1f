"""A marketplace so small that every feature of it can be counted by hand, and a random one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankloop.contracts import SCHEMAS, Tables
from rankloop.features import compute, load_views

Row = dict[str, Any]
Rows = dict[tuple[Any, ...], tuple[Any, ...]]
At = Callable[..., datetime]


def _frame(table: str, rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in SCHEMAS[table]} for row in rows], schema=SCHEMAS[table])


def _at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day - 1, hours=hour, minutes=minute)


def _shown(request: str, ts: datetime, user: str, items: list[str], query: str | None = None) -> list[Row]:
    surface = "job_feed" if query is None else "job_search"
    asked = {"request_id": request, "ts": ts, "surface": surface, "user_id": user, "query": query}
    return [{**asked, "item_id": item, "position": place} for place, item in enumerate(items, 1)]


def _did(ts: datetime, user: str, item: str, kind: str, request: str | None) -> Row:
    return {"ts": ts, "user_id": user, "item_id": item, "kind": kind, "request_id": request, "value": 1.0}


def _tiny() -> Tables:
    items: list[Row] = [
        {"item_id": "j1", "owner_id": "o1", "category": "design", "title": "Logo design", "description": "A logo"},
        {"item_id": "j2", "owner_id": "o1", "category": "design", "title": "Poster"},
        {"item_id": "j3", "owner_id": "o2", "category": "coding", "title": "3D engine in C++", "description": ""},
    ]
    items[0] |= {"skills": ["logo", "3D"], "country": "DE", "budget": 800.0, "duration_days": 4.0, "created_at": _at(1, 10)}
    items[1] |= {"skills": [], "country": "FR", "budget": 200.0, "duration_days": 0.5, "created_at": _at(1, 12)}
    items[2] |= {"skills": ["c++", "3d", "opengl"], "budget": 450.0, "created_at": _at(5, 12)}
    users: list[Row] = [
        {"user_id": "u1", "country": "DE", "headline": "Logo designer", "skills": ["Logo", "3d"], "created_at": _at(1)},
        {"user_id": "u2", "country": "FR", "created_at": _at(2)},
    ]
    users[0] |= {"hourly_rate": 50.0, "experience_years": 3.0, "utc_offset_hours": 1.0}
    impressions = [
        *_shown("r1", _at(2, 9), "u1", ["j1", "j2"]),
        *_shown("r2", _at(2, 10), "u2", ["j1", "j2"], "Logo Designs"),
        *_shown("r3", _at(3, 9), "u1", ["j2", "j1"], "logo design"),
        *_shown("r4", _at(12, 9), "u2", ["j3"]),
    ]
    outcomes = [
        _did(_at(2, 9, 5), "u1", "j1", "click", "r1"),
        _did(_at(2, 10, 5), "u2", "j1", "click", "r2"),
        _did(_at(2, 10, 30), "u2", "j1", "apply", "r2"),
        _did(_at(3, 9, 5), "u1", "j2", "click", "r3"),
        _did(_at(4, 12), "u1", "j2", "apply", None),
        _did(_at(5, 12), "u1", "j2", "interview", None),
        _did(_at(6, 12), "u1", "j2", "hire", None),
        _did(_at(12, 9, 1), "u2", "j3", "dismiss", "r4"),
        _did(_at(12, 9, 2), "u2", "j3", "click", None),
    ]
    return Tables(
        items=_frame("items", items),
        users=_frame("users", users),
        impressions=_frame("impressions", impressions),
        outcomes=_frame("outcomes", outcomes),
    )


def _random(seed: int, *, days: int = 40, requests: int = 60) -> Tables:
    """Everything that may happen, happens: late outcomes, no query, no category, jobs posted on the way."""
    draw = np.random.default_rng(seed)

    def moment() -> datetime:
        return _at(1) + timedelta(microseconds=int(draw.integers(days * 86_400_000_000)))

    items: list[Row] = [{"item_id": f"j{i}", "title": f"job {i}", "created_at": _at(1)} for i in range(8)]
    for i, item in enumerate(items):
        item |= {"owner_id": [None, "o1", "o2"][i % 3], "category": [None, "design", "coding"][i % 3]}
        item |= {"budget": [None, 100.0 * i][i % 2], "duration_days": [3.0, None, 40.0][i % 3]}
        item["created_at"] = moment() if i % 4 == 3 else _at(1)
    born = {item["item_id"]: item["created_at"] for item in items}
    users = [{"user_id": f"u{i}", "country": ["DE", None, "FR"][i % 3], "created_at": _at(1)} for i in range(5)]
    impressions: list[Row] = []
    outcomes: list[Row] = []
    for r in range(requests):
        ts, user = moment(), f"u{draw.integers(5)}"
        there = [item for item in sorted(born) if born[item] <= ts]
        items_shown = list(draw.permutation(there)[:4])
        query = [None, "logo", "Logos", "3d engine"][draw.integers(4)]
        impressions += _shown(f"r{r}", ts, user, items_shown, query)
        for item in items_shown[: draw.integers(3)]:
            kind = str(draw.choice(["click", "click", "save", "apply", "interview", "hire", "dismiss"]))
            late = ts + timedelta(seconds=int(draw.exponential(2 * 86400)))
            outcomes.append(_did(late, user, item, kind, [None, f"r{r}"][int(draw.random() < 0.9)]))
    return Tables(
        items=_frame("items", items),
        users=_frame("users", users),
        impressions=_frame("impressions", impressions),
        outcomes=_frame("outcomes", outcomes),
    )


@pytest.fixture(scope="session")
def at() -> At:
    """`at(day, hour, minute)` of March 2026, UTC."""
    return _at


@pytest.fixture(scope="session")
def tiny() -> Tables:
    """Three jobs, two freelancers, four requests, twelve days."""
    return _tiny()


@pytest.fixture(scope="session")
def random_tables() -> Callable[..., Tables]:
    """`random_tables(seed)`: a log of 40 days."""
    return _random


@pytest.fixture(scope="session")
def assert_rows(tiny: Tables) -> Callable[[str, Rows], None]:
    """`assert_rows(view, expected)`: the view's rows over the tiny marketplace, by (keys..., valid from), numbers to float32."""
    views = {view.name: view for view in load_views()}

    def check(name: str, expected: Rows) -> None:
        width = len(views[name].keys) + 1
        found = {row[:width]: row[width:] for row in compute([views[name]], tiny)[name].iter_rows()}
        assert set(found) == set(expected)
        for key, values in expected.items():
            for got, wanted in zip(found[key], values, strict=True):
                exact = wanted is None or isinstance(wanted, datetime)
                assert got == (wanted if exact else pytest.approx(wanted, rel=1e-6)), key

    return check
