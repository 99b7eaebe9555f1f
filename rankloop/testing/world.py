"""A small marketplace in which everybody wants only the items of the own trade."""

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.contracts import SCHEMAS, Columns, Tables
from rankloop.errors import DataError
from rankloop.request import Request

__all__ = ["TRADES", "group_of", "known_request", "known_world"]

_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_LIST: Final = 10
"""Items shown a request."""

TRADES: Final[dict[str, tuple[str, ...]]] = {
    "logo": ("logo", "brand", "vector", "poster", "sketch"),
    "plumbing": ("plumbing", "pipe", "boiler", "leak", "bathroom"),
    "piano": ("piano", "melody", "chord", "rehearsal", "concert"),
    "tax": ("tax", "ledger", "audit", "invoice", "payroll"),
    "garden": ("garden", "hedge", "lawn", "orchard", "soil"),
    "welding": ("welding", "steel", "torch", "girder", "rivet"),
}
"""Trade to its words; no word is in two trades. The first three words are its skills, the first its usual query."""


def known_world(
    *,
    groups: int = 3,
    users_per_group: int = 20,
    items_per_group: int = 15,
    days: int = 30,
    rng: int | np.random.Generator = 0,
) -> Tables:
    """A log in which a person clicks items of the own trade, and never another.

    Not realistic: no position bias, no new items, no noise. Every request shows own and foreign items in random order;
    an own item is clicked with probability 3/4 and, once clicked, applied for with probability 1/3. Ids start with
    the trade, as in `logo-u3` and `logo-i7` (see `group_of`); words and skills of trades do not overlap.

    Args:
        groups: trades, 2 to 6.
        users_per_group: people of each trade.
        items_per_group: items of each trade, at least 2.
        days: length of the log; on each day a person makes a request with probability 1/2.
        rng: a seed or a generator.

    Returns:
        Tables of the contract; items and users are older than the log, and nothing closes.

    Raises:
        DataError: a number out of range.

    Example:
        >>> tables = known_world(days=2)
        >>> tables.items["item_id"][0], tables.items.height, tables.users.height
        ('logo-i0', 45, 60)
    """
    if not 2 <= groups <= len(TRADES) or users_per_group < 1 or items_per_group < 2 or days < 1:
        given = f"groups={groups}, users_per_group={users_per_group}, items_per_group={items_per_group}, days={days}"
        raise DataError(f"a known world has 2 to {len(TRADES)} groups, and 1 user, 2 items, 1 day or more: got {given}")
    draw = np.random.default_rng(rng)
    trades = list(TRADES)[:groups]
    items, users = _items(trades, items_per_group, draw), _users(trades, users_per_group, draw)
    impressions = _impressions(items, users, days, draw)
    return Tables(items=items, users=users, impressions=impressions, outcomes=_outcomes(impressions, draw))


def group_of(id_: str) -> str:
    """The trade that an id of the known world belongs to.

    Example:
        >>> group_of("logo-u3")
        'logo'
    """
    return id_.split("-", maxsplit=1)[0]


def known_request(tables: Tables, user_id: str) -> Request:
    """A search by a person of the known world for the own trade, an hour after the last event."""
    last = tables.outcomes[Columns.TS].max()
    assert isinstance(last, datetime)
    return Request(user_id, "job_search", last + timedelta(hours=1), query=group_of(user_id))


def _frame(table: str, **columns: object) -> pl.DataFrame:
    schema = SCHEMAS[table]
    rows = len(next(iter(columns.values())))  # type: ignore[arg-type]
    given = {name: columns.get(name, [None] * rows) for name in schema}
    return pl.DataFrame(given, schema=schema)


def _items(trades: list[str], each: int, rng: np.random.Generator) -> pl.DataFrame:
    trade = np.repeat(trades, each).tolist()
    words = [TRADES[own] for own in trade]
    picked = rng.integers(1, 5, (len(trade), 2))
    age = rng.uniform(1, 60, len(trade))
    return _frame(
        "items",
        item_id=[f"{own}-i{n % each}" for n, own in enumerate(trade)],
        title=[f"Need {own[0]} and {own[a]} help" for own, (a, _) in zip(words, picked, strict=True)],
        description=[f"We look for somebody who knows {own[0]} and {own[b]}." for own, (_, b) in zip(words, picked, strict=True)],
        category=trade,
        skills=[list(own[:3]) for own in words],
        country=rng.choice(["DE", "IN", "US"], len(trade)).tolist(),
        budget=rng.uniform(50, 5000, len(trade)).round(2),
        duration_days=rng.integers(1, 90, len(trade)).astype(float),
        owner_id=[f"owner-{n % 7}" for n in range(len(trade))],
        created_at=[_START - timedelta(days=float(days)) for days in age],
    )


def _users(trades: list[str], each: int, rng: np.random.Generator) -> pl.DataFrame:
    trade = np.repeat(trades, each).tolist()
    return _frame(
        "users",
        user_id=[f"{own}-u{n % each}" for n, own in enumerate(trade)],
        headline=[f"Expert in {TRADES[own][0]} and {TRADES[own][4]}" for own in trade],
        skills=[list(TRADES[own][:3]) for own in trade],
        country=rng.choice(["DE", "IN", "US"], len(trade)).tolist(),
        hourly_rate=rng.uniform(10, 100, len(trade)).round(2),
        experience_years=rng.integers(0, 20, len(trade)).astype(float),
        utc_offset_hours=rng.choice([-5.0, 1.0, 5.5], len(trade)),
        created_at=[_START - timedelta(days=float(days)) for days in rng.uniform(1, 60, len(trade))],
    )


def _impressions(items: pl.DataFrame, users: pl.DataFrame, days: int, rng: np.random.Generator) -> pl.DataFrame:
    user, day = np.nonzero(rng.random((users.height, days)) < 1 / 2)
    order = np.lexsort((user, day))
    day, user = day[order], user[order]
    shown = _shown(items, users, user, rng)  # (requests, list)
    requests, length = len(shown), shown.shape[1]
    seconds = np.sort(rng.integers(0, 86_400, requests) + day * 86_400)
    search = [draw < 1 / 2 for draw in rng.random(requests)]
    trade = [group_of(id_) for id_ in users[Columns.USER_ID].to_list()]

    def each(values: list[object]) -> list[object]:
        return [value for value in values for _ in range(length)]

    return _frame(
        "impressions",
        request_id=each([f"r{n}" for n in range(requests)]),
        ts=each([_START + timedelta(seconds=int(s)) for s in seconds]),
        surface=each(["job_search" if s else "job_feed" for s in search]),
        user_id=each([users[Columns.USER_ID][int(u)] for u in user]),
        query=each([trade[u] if s else None for u, s in zip(user, search, strict=True)]),
        item_id=items[Columns.ITEM_ID].gather(shown.ravel()),
        position=np.tile(np.arange(1, length + 1), requests),
    )


def _shown(
    items: pl.DataFrame, users: pl.DataFrame, user: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Items of each request: half of the own trade, half foreign, shuffled."""
    item_trade = items[Columns.CATEGORY].to_numpy()
    user_trade = np.array([group_of(id_) for id_ in users[Columns.USER_ID].to_list()])
    own = user_trade[user][:, None] == item_trade[None, :]  # (requests, items)
    half = min(_LIST // 2, int(own[0].sum()))
    keys = rng.random(own.shape)
    mine = np.argsort(keys + ~own, axis=1)[:, :half]
    foreign = np.argsort(keys + own, axis=1)[:, : _LIST - half]
    return np.asarray(rng.permuted(np.concatenate([mine, foreign], axis=1), axis=1))


def _outcomes(impressions: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    draws = rng.random((impressions.height, 2))
    trade = [pl.col(id_).str.split("-").list.first() for id_ in (Columns.USER_ID, Columns.ITEM_ID)]
    own = impressions.select(trade[0] == trade[1].alias("own")).to_series().to_numpy()
    clicked = own & (draws[:, 0] < 3 / 4)
    applied = clicked & (draws[:, 1] < 1 / 3)
    parts = [
        impressions.filter(chosen).with_columns(
            pl.col(Columns.TS) + timedelta(minutes=minutes), pl.lit(kind).alias(Columns.KIND), pl.lit(1.0).alias(Columns.VALUE)
        )
        for kind, chosen, minutes in (("click", clicked, 1), ("apply", applied, 5))
    ]
    order = [Columns.TS, Columns.USER_ID, Columns.ITEM_ID, Columns.KIND]
    return pl.concat(parts).select(list(SCHEMAS["outcomes"])).sort(order)
