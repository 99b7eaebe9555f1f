"""Rows by a 64-bit key, in arrays: some twenty bytes a key, where a dictionary takes over a hundred."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Table"]

_EMPTY: Final = -1
_LEAST: Final = 1 << 10
_MIX: Final = 0x9E3779B97F4A7C15
_WORD: Final = 2**64 - 1
_SHIFT: Final = 20


class Table:
    """An open-addressing index with linear probing, and columns of one number a key.

    Keys are hashes, so two things of one key are taken for one: of five million, with probability 1e-6.

    Args:
        columns: name to dtype; every value begins at 0.
        keys: those there are already, all different, in the order of rows.
        values: their columns.

    Example:
        >>> table = Table({"seen": np.uint32})
        >>> table.row(7), table.row(9), table.row(7), table.find(8)
        (0, 1, 0, -1)
        >>> table.put("seen", table.find(9), 1)
        >>> table["seen"].tolist()
        [0, 1]
    """

    def __init__(
        self,
        columns: dict[str, type[np.generic]],
        keys: Sequence[int] | npt.NDArray[np.uint64] = (),
        values: dict[str, npt.NDArray[Any]] | None = None,
    ) -> None:
        self._size = len(keys)
        self._room = max(_LEAST, 1 << self._size.bit_length())
        self._keys = np.zeros(self._room, np.uint64)
        self._keys[: self._size] = keys
        self._columns: dict[str, npt.NDArray[Any]] = {name: np.zeros(self._room, dtype) for name, dtype in columns.items()}
        for name, column in (values or {}).items():
            self._columns[name][: self._size] = column
        self._reindex()

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        """`(keys,)` a column, to be read and written."""
        return self._columns[column][: self._size]

    @property
    def keys(self) -> npt.NDArray[np.uint64]:
        """`(keys,)`, in the order of rows."""
        return self._keys[: self._size]

    @property
    def dtypes(self) -> dict[str, type[np.generic]]:
        """The columns there are."""
        return {name: column.dtype.type for name, column in self._columns.items()}

    @property
    def bytes(self) -> int:
        """Bytes of all arrays."""
        return self._index.nbytes + self._keys.nbytes + sum(column.nbytes for column in self._columns.values())

    def find(self, key: int) -> int:
        """The row of a key; -1 where there is none."""
        return self._rows[self._place(key)]

    def row(self, key: int) -> int:
        """The row of a key, a new one where there is none."""
        place = self._place(key)
        if (row := self._rows[place]) != _EMPTY:
            return row
        if self._size == self._room:
            self._grow()
            place = self._place(key)
        row, self._size = self._size, self._size + 1
        self._known[row] = key
        self._rows[place] = row
        return row

    def number(self, column: str, row: int) -> int:
        """One value."""
        return self._values[column][row]

    def put(self, column: str, row: int, value: int) -> None:
        """Changes one value."""
        self._values[column][row] = value

    def rename(self, key: int, new: int) -> None:
        """Gives the row of a key another one, by which it may not be found either: nobody knows whose it is any more."""
        if (row := self.find(key)) != _EMPTY:
            self._keys[row] = new

    def _place(self, key: int) -> int:
        """Where a key is in the index, or would be."""
        rows, known = self._rows, self._known
        mask = len(rows) - 1
        place = (key * _MIX & _WORD) >> _SHIFT & mask
        while (row := rows[place]) != _EMPTY and known[row] != key:
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        self._room *= 2
        self._keys = np.resize(self._keys, self._room)
        for name, column in self._columns.items():
            grown = np.zeros(self._room, column.dtype)
            grown[: self._size] = column
            self._columns[name] = grown
        self._reindex()

    def _reindex(self) -> None:
        """Also makes the views by which single values are read: three times as fast as by the arrays."""
        self._index = self._indexed()
        self._rows, self._known = _view(self._index), _view(self._keys)
        self._values = {name: _view(column) for name, column in self._columns.items()}

    def _indexed(self) -> npt.NDArray[np.int32]:
        """The index, at most half full, made of all keys at once: each round places one key at every wanted place."""
        index = np.full(2 * self._room, _EMPTY, np.int32)
        mask = np.uint64(2 * self._room - 1)
        rows = np.arange(self._size, dtype=np.int32)
        places = ((self._keys[: self._size] * np.uint64(_MIX)) >> np.uint64(_SHIFT)) & mask
        while len(rows):
            free = index[places] == _EMPTY
            index[places[free]] = rows[free]  # of several that want one place the last has it
            left = index[places] != rows
            rows, places = rows[left], (places[left] + np.uint64(1)) & mask
        return index


def _view(array: Any) -> memoryview:
    return memoryview(array)
