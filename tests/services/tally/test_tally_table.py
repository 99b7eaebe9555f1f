"""Rows by key, beside a dictionary."""

import numpy as np

from services.tally.table import Table


def test_it_finds_what_a_dictionary_finds_while_it_grows() -> None:
    rng = np.random.default_rng(3)
    keys = [int(key) for key in rng.integers(0, 2**64, 6000, np.uint64)] + list(range(3000))
    table, plain = Table({"seen": np.uint32}), dict[int, int]()
    for key in [*keys, *keys[::3]]:
        row = table.row(key)
        table["seen"][row] += 1
        plain[key] = plain.get(key, 0) + 1
    assert len(table) == len(plain)
    assert {int(key): int(seen) for key, seen in zip(table.keys, table["seen"], strict=True)} == plain
    assert all(table.keys[table.find(key)] == key for key in plain)
    assert table.find(2**64 - 5) == -1


def test_a_table_made_of_its_own_columns_is_the_same() -> None:
    table = Table({"seen": np.int64})
    for key in range(0, 50_000, 7):
        row = table.row(key)
        table["seen"][row] = -key
    again = Table(table.dtypes, table.keys, {"seen": table["seen"]})
    assert all(again["seen"][again.find(key)] == -key for key in range(0, 50_000, 7))
    assert again.find(1) == -1


def test_a_million_keys_take_some_tens_of_bytes_each() -> None:
    count = 1_000_000
    table = Table({"seen": np.uint32}, np.arange(count, dtype=np.uint64), {"seen": np.ones(count, np.uint32)})
    assert table.bytes / count < 2.1 * (8 + 4 + 2 * 4)
