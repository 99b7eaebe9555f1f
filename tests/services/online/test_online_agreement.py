"""LMDB, Redis and the library agree about the same events, whatever their order, parts and repetitions."""

import random
from pathlib import Path

import pytest

from rankloop.state import DAY
from services.online import StateStore
from services.online.embedded import EmbeddedStore
from services.online.redis_store import RedisStore
from tests.services.online.conftest import Server
from tests.services.online.contract import MINUTE, NOW, Model, event, fresh


@pytest.mark.parametrize("seed", range(4))
def test_both_stores_say_what_the_library_says(redis_server: Server, tmp_path: Path, seed: int) -> None:
    rng, mark = random.Random(seed), fresh("#")
    users, items = [f"u{one}{mark}" for one in range(4)], [f"j{one}{mark}" for one in range(6)]
    log = [
        event(
            f"e{number}{mark}",
            rng.choice(users),
            rng.choice(items),
            rng.choice(["click", "save", "apply"]),
            NOW + number * MINUTE,
        )
        for number in range(3000)
    ]
    log.sort(key=lambda one: one.ts + rng.expovariate(1 / (40 * MINUTE)))  # most come nearly in order
    log += [event(f"x{one}{mark}", users[0], items[0], ts=NOW + rng.choice([-DAY, DAY, 7]) * one) for one in range(20)]
    batches = []
    while log:
        size = rng.choice([1, 3, 50, 450])
        again = rng.sample(log[:size], min(len(log[:size]), 5))
        batches.append(log[:size] + again + (rng.choices(batches[-1], k=7) if batches else []))
        log = log[size:]
    stores: list[StateStore] = [
        EmbeddedStore(tmp_path / "online", write=True, map_bytes=1 << 26, seen_seconds=600),
        RedisStore(redis_server.url, timeout=5.0, write=True, seen_seconds=600),
    ]
    model = Model()
    for number, batch in enumerate(batches, start=1):
        assert {store.fold(f"w{mark}", (1, number), batch, now=NOW) for store in stores} == {model.fold(batch)}
        if rng.random() < 0.05:
            user, at = rng.choice(users), max(one.ts for one in batch) - rng.choice([0, 60]) * MINUTE
            assert {store.erase(user, at) for store in stores} == {model.erase(user, at)}
    for store in stores:
        assert [store.user(user) for user in users] == [model.users.get(user) for user in users]
        assert [store.item(item) for item in items] == [model.items.get(item) for item in items]
        store.close()
