"""The online store of one machine: LMDB, read by every process from shared memory and written by one."""

import struct
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import lmdb
import msgspec

from rankloop.errors import StateUnavailable
from rankloop.state import Act, ItemState, UserState, folded, item_folded
from services.events.records import EventRecord
from services.online.base import Place, Places, acts_by, digest
from services.online.mapped import Mapped, mapped

__all__ = ["EmbeddedStore"]

_USERS, _ITEMS, _POSITIONS, _SEEN = b"users", b"items", b"positions", b"seen"
_LONGEST_KEY: Final = 500
_SECOND: Final = 1_000_000
_SWEPT: Final = 4
_CHECK_EVERY: Final = 256
_EXPIRY: Final = struct.Struct(">I")


class EmbeddedStore:
    """States in an LMDB environment; see `services.online.base.StateStore`.

    Event ids are remembered for `seen_seconds`. Each fold looks on over four times as many remembered ids as it had
    events and drops those that are over their time, so that they never pile up and no fold has to drop them all.

    Args:
        folder: the environment's; it need not exist before the first write.
        write: whether this process is the one that writes.
        map_bytes: how large the map is at first; it doubles when it is full.
        seen_seconds: how long an event id is remembered.
    """

    def __init__(self, folder: Path, *, write: bool = False, map_bytes: int, seen_seconds: int) -> None:
        self._mapped: Mapped | None = mapped(folder)
        self._mapped.hold(map_bytes if write else None)
        self._write, self._seen_seconds = write, seen_seconds
        self._places = Places()
        self._hand: bytes | None = None
        self._folds = 0
        self._user = msgspec.msgpack.Decoder(UserState)
        self._item = msgspec.msgpack.Decoder(ItemState)
        self._place = msgspec.msgpack.Decoder(Place)
        self._encode = msgspec.msgpack.Encoder().encode

    def user(self, user_id: str) -> UserState | None:
        """A person's state; None: nothing is known."""
        found = self._files.get(_USERS, _key(user_id))
        return None if found is None else _decoded(self._user, found)

    def item(self, item_id: str) -> ItemState | None:
        """An item's state; None: nothing is known."""
        found = self._files.get(_ITEMS, _key(item_id))
        return None if found is None else _decoded(self._item, found)

    def position(self, source: str) -> Place:
        """Up to where a source is folded."""
        return self._places.asked(source, self._at(self._files.get(_POSITIONS, _key(source))))

    def fold(self, source: str, position: Place, events: Sequence[EventRecord], *, now: int) -> int:
        """Applies each event once and moves the position, in one transaction."""
        second = now // _SECOND
        hand = self._hand

        def work(txn: "lmdb.Transaction[bytes]", tables: Mapping[bytes, Any]) -> int:
            nonlocal hand
            at = self._at(txn.get(_key(source), db=tables[_POSITIONS]))
            if at >= position:
                return 0
            if at < self._places.expected(source):
                raise self._places.gone_back(source, at)
            fresh = [event for event in events if self._is_new(txn, tables[_SEEN], event.event_id, second)]
            self._apply(txn, tables, fresh)
            hand = self._swept(txn, tables[_SEEN], second, _SWEPT * len(events))
            txn.put(_key(source), self._encode(position), db=tables[_POSITIONS])
            return len(fresh)

        new = self._writable.write(work)
        self._hand = hand
        self._places.moved(source, position)
        self._folds += 1
        if self._folds % _CHECK_EVERY == 0:
            self._files.check_readers()
        return new

    def erase(self, user_id: str, at: int) -> bool:
        """Forgets a person and leaves only when; returns whether anything was known."""
        key = _key(user_id)

        def work(txn: "lmdb.Transaction[bytes]", tables: Mapping[bytes, Any]) -> bool:
            found = txn.get(key, db=tables[_USERS])
            state = UserState() if found is None else _decoded(self._user, found)
            forgotten = UserState(erased_at=max(at, state.erased_at or at))
            txn.put(key, self._encode(forgotten), db=tables[_USERS])
            return bool(state.counts)

        return self._writable.write(work)

    def close(self) -> None:
        """Lets go of the files; may be called twice."""
        files, self._mapped = self._mapped, None
        if files is not None:
            files.release()

    @property
    def _files(self) -> Mapped:
        if self._mapped is None:
            raise StateUnavailable("the online store was closed; open another one")
        return self._mapped

    @property
    def _writable(self) -> Mapped:
        if not self._write:
            raise StateUnavailable("the online store was opened to be read; open it with write=True")
        return self._files

    def _at(self, found: bytes | None) -> Place:
        return (0, 0) if found is None else _decoded(self._place, found)

    def _is_new(self, txn: "lmdb.Transaction[bytes]", table: Any, event_id: str, second: int) -> bool:
        """Whether an event id is not remembered; it is from now on."""
        key = digest(event_id)
        found = txn.get(key, db=table)
        if found is not None and _EXPIRY.unpack(found)[0] > second:
            return False
        txn.put(key, _EXPIRY.pack(second + self._seen_seconds), db=table)
        return True

    def _apply(self, txn: "lmdb.Transaction[bytes]", tables: Mapping[bytes, Any], events: Sequence[EventRecord]) -> None:
        users, items = acts_by(events)
        for table, decoder, fold, acts in ((_USERS, self._user, folded, users), (_ITEMS, self._item, item_folded, items)):
            self._change(txn, tables[table], decoder, fold, acts)

    def _change(self, txn: "lmdb.Transaction[bytes]", table: Any, decoder: Any, fold: Any, acts: Mapping[str, list[Act]]) -> None:
        for name in sorted(acts):  # neighbours in the tree share the pages that a transaction copies
            key = _key(name)
            found = txn.get(key, db=table)
            state = fold(None if found is None else _decoded(decoder, found), acts[name])
            txn.put(key, self._encode(state), db=table)

    def _swept(self, txn: "lmdb.Transaction[bytes]", table: Any, second: int, count: int) -> bytes | None:
        """Drops remembered ids that are over their time, `count` ids on from the last place; returns the next place."""
        cursor = txn.cursor(table)
        there = cursor.first() if self._hand is None else cursor.set_range(self._hand)
        for _ in range(count):
            if not there:
                return None
            over = _EXPIRY.unpack(cursor.value())[0] <= second
            there = (cursor.delete() and bool(cursor.key())) if over else cursor.next()
        return cursor.key() if there else None


def _key(name: str) -> bytes:
    """A key of LMDB, which has 1 to 511 bytes, for an id of any length."""
    raw = name.encode()
    return b"=" + raw if len(raw) < _LONGEST_KEY else b"#" + blake2b(raw).digest()


def _decoded(decoder: Any, found: bytes) -> Any:
    try:
        return decoder.decode(found)
    except msgspec.DecodeError as error:
        raise StateUnavailable(
            f"the online store holds a value that is none of ours ({error}); move its folder away and restart the curator, "
            f"which folds the spools into a new one"
        ) from error
