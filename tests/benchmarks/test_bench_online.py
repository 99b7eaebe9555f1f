"""The online store's benchmark measures the same thing of each store."""

import shutil

import pytest

from benchmarks import online


@pytest.mark.slow
def test_every_store_is_measured_in_every_way():
    result = online.run(quick=True)
    keys = set(result.versus["SQLite"])
    assert set(result.figures["LMDB"]) == keys
    if shutil.which("redis-server"):
        assert set(result.figures["Redis"]) == keys
    assert all(value > 0 for figures in (result.figures["LMDB"], result.versus["SQLite"]) for value in figures.values())


def test_sqlite_keeps_what_the_other_stores_keep(tmp_path):
    stores = [online._opened("LMDB", str(tmp_path / "lmdb")), online._opened("SQLite", str(tmp_path / "sqlite"))]
    batches = online._batches(0, 50, 2000)
    for number, batch in enumerate([*batches, batches[0]], start=1):
        assert len({store.fold("w", (1, number), batch, now=online._NOW) for store in stores}) == 1
    for user in range(50):
        assert stores[0].user(f"u{user:06d}") == stores[1].user(f"u{user:06d}")
    for store in stores:
        store.close()
