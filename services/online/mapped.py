"""One LMDB environment as a process sees it: opened when it is there, grown when it is full, let go after a fork."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import lmdb

from rankloop.errors import StateUnavailable

__all__ = ["TABLES", "Mapped", "mapped"]

T = TypeVar("T")

TABLES: Final = (b"users", b"items", b"positions", b"seen")
"""The sub-databases."""

_DATA: Final = "data.mdb"
_READERS: Final = 1024
_LOOK_EVERY: Final = 1.0
_GROWTH: Final = 2

_in_this_process: dict[Path, "Mapped"] = {}


def mapped(folder: Path) -> "Mapped":
    """The one object of this process for a folder: LMDB must not open the same files twice in one process."""
    return _in_this_process.setdefault(folder.resolve(), Mapped(folder.resolve()))


class Mapped:
    """An environment that several processes read and one writes.

    No read transaction outlives a call: a snapshot that is held keeps every page freed since then from being used
    again, and the file grows. One lock orders this process's own threads, because a map may only be resized while
    nobody reads from it; it is held for about a microsecond, the time of a lookup.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / _DATA
        self._lock = threading.RLock()
        self._env: lmdb.Environment | None = None
        self._tables: dict[bytes, Any] = {}
        self._file: tuple[int, int] | None = None
        self._look_at = 0.0
        self._map_bytes = 0
        self._holders = 0
        os.register_at_fork(after_in_child=self._forked)

    def hold(self, map_bytes: int | None) -> None:
        """One more user of this environment, who will write when a size is given to begin with."""
        with self._lock:
            self._holders += 1
            if map_bytes is not None and not self._map_bytes:
                self._map_bytes = map_bytes
                self._drop()

    def release(self) -> None:
        """One user fewer; the last one closes the files."""
        with self._lock:
            self._holders -= 1
            if not self._holders:
                self._map_bytes = 0
                self._drop()

    def get(self, table: bytes, key: bytes) -> bytes | None:
        """The value of a key; None where there is none, or no environment yet.

        Raises:
            StateUnavailable: the files are damaged, or cannot be read.
        """
        try:
            with self._lock:
                env = self._current()
                return None if env is None else self._found(env, table, key)
        except lmdb.Error as error:
            raise self._unavailable(error) from error

    def write(self, work: Callable[["lmdb.Transaction[bytes]", dict[bytes, Any]], T]) -> T:
        """Does the work in one transaction, growing the map and doing it again when it does not fit.

        Args:
            work: is given the transaction and the tables; may be called several times, and must not remember.

        Raises:
            StateUnavailable: the files are damaged or cannot be written, for example because the disk is full.
        """
        try:
            with self._lock:
                while True:
                    env = self._current() or self._created()
                    try:
                        with env.begin(write=True) as txn:
                            done = work(txn, self._tables)
                    except lmdb.MapFullError:
                        env.set_mapsize(env.info()["map_size"] * _GROWTH)
                    except lmdb.MapResizedError:
                        env.set_mapsize(0)
                    else:
                        self._fill(env)
                        return done
        except (lmdb.Error, OSError) as error:
            raise self._unavailable(error) from error

    def check_readers(self) -> int:
        """Frees the slots of readers that died while reading, so that their snapshots hold no page back."""
        with self._lock:
            return self._env.reader_check() if self._env is not None else 0

    def _found(self, env: lmdb.Environment, table: bytes, key: bytes) -> bytes | None:
        while True:
            try:
                with env.begin(self._tables[table]) as txn:
                    return txn.get(key)
            except lmdb.MapResizedError:  # the writer has grown the map
                env.set_mapsize(0)

    def _current(self) -> lmdb.Environment | None:
        """The open environment, opened now if its files have come, or come anew; None while there are none."""
        if self._env is not None and time.monotonic() < self._look_at:
            return self._env
        self._look_at = time.monotonic() + _LOOK_EVERY
        file = self._on_disk()
        if self._env is not None and file == self._file:
            return self._env
        self._drop()
        if file is None:
            return None
        self._open(file, create=bool(self._map_bytes))
        return self._env

    def _created(self) -> lmdb.Environment:
        if not self._map_bytes:
            raise StateUnavailable(f"the online store in {self._folder} was opened to be read; open it with write=True")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._open(None, create=True)
        assert self._env is not None
        return self._env

    def _open(self, file: tuple[int, int] | None, *, create: bool) -> None:
        env = lmdb.open(
            str(self._folder),
            map_size=self._map_bytes,
            readonly=not self._map_bytes,
            create=False,
            max_dbs=len(TABLES),
            max_readers=_READERS,
            metasync=False,  # a crash of the machine may undo the last fold, whole: position and counts together
            readahead=False,
        )
        try:
            self._assert_whole(env)
            self._tables = {name: env.open_db(name, create=create) for name in TABLES}
        except lmdb.NotFoundError:  # its writer has made the file and not yet the tables
            env.close()
            return
        except BaseException:
            env.close()
            raise
        self._env, self._file = env, file or self._on_disk()
        if create:
            env.reader_check()

    def _assert_whole(self, env: lmdb.Environment) -> None:
        """A file that was cut short is not opened: reading past its end would end the process with a signal."""
        size, used = self._data.stat().st_size, _used(env)
        if size < used:
            raise lmdb.CorruptedError(f"{_DATA} has {size} bytes of {used}")

    def _fill(self, env: lmdb.Environment) -> None:
        """Gives the file the length its last page asks for: LMDB leaves pages unwritten that it never filled."""
        used = _used(env)
        if self._data.stat().st_size < used:
            os.truncate(self._data, used)

    def _on_disk(self) -> tuple[int, int] | None:
        try:
            found = self._data.stat()
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found.st_size else None

    def _drop(self) -> None:
        if self._env is not None:
            self._env.close()
        self._env, self._tables, self._look_at = None, {}, 0.0

    def _forked(self) -> None:
        """A child must not use its parent's environment, nor wait for a lock that a thread of the parent held."""
        self._lock = threading.RLock()
        self._drop()

    def _unavailable(self, error: Exception) -> StateUnavailable:
        return StateUnavailable(
            f"the online store in {self._folder} cannot be used ({type(error).__name__}: {error}); if its disk is full, make "
            f"room; if its files are damaged, move the folder away and restart the curator, which folds the spools into a new one"
        )


def _used(env: lmdb.Environment) -> int:
    """Bytes up to the last page in use."""
    return (env.info()["last_pgno"] + 1) * env.stat()["psize"]
