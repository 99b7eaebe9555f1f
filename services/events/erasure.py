"""Who asked to be forgotten: the key, the list of keyed hashes, what is still to be done, and the receipts.

Nothing here tells a person's id. The list is also written beside the log, so that whoever reads the log anywhere, with
the key, leaves these people out.
"""

import re
import secrets
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

import msgspec

from rankloop.erasures import Erased, fingerprint, hashed, parse, text_of
from rankloop.files import write_aside, write_json
from rankloop.sources.log_layout import ERASURES
from services.events.records import ErasureRecord
from services.events.wire import Place, Receipt

__all__ = ["KAFKA", "LOG", "SPOOL", "STATE", "UPLOADED", "ErasureBook", "Pending", "receipt_path"]

STATE: Final = "online state"
SPOOL: Final = "spool"
LOG: Final = "log"
UPLOADED: Final = "uploaded log"
KAFKA: Final = "kafka"

_NOTES: Final = {KAFKA: "what was sent before cannot be taken back; a notice of the erasure was sent"}
_SAFE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REMEMBERED: Final = 100_000


class Pending(msgspec.Struct):
    """An erasure that is not complete.

    Attributes:
        receipt_id: names the demand.
        who: the keyed hash of the person's id.
        at: when the demand came, microseconds since the epoch.
        segments: spool segments that may hold the person's records, `<stream>/<writer>/<number>`.
        places: where the person is to be forgotten.
        rows: by place, and within it by file or segment, the rows removed; so that doing it twice counts once.
        done: by place when it was done, ISO 8601.
    """

    receipt_id: str
    who: str
    at: int
    segments: list[str]
    places: list[str]
    rows: dict[str, dict[str, int]] = {}
    done: dict[str, str] = {}

    def receipt(self) -> Receipt:
        """What the person who asked may read."""
        state: Literal["pending", "complete"] = "complete" if self.is_complete() else "pending"
        places = [Place(place, self._rows(place), self.done.get(place), _NOTES.get(place)) for place in self.places]
        return Receipt(self.receipt_id, state, datetime.fromtimestamp(self.at / 1e6, UTC).isoformat(), places)

    def is_complete(self) -> bool:
        """Whether every place is done."""
        return all(place in self.done for place in self.places)

    def _rows(self, place: str) -> int | None:
        return None if place == KAFKA else sum(self.rows.get(place, {}).values())


def receipt_path(home: Path, receipt_id: str) -> Path:
    """Where a receipt lies, or will lie; an id that is no file's name is hashed."""
    return home / "privacy" / "receipts" / f"{_name(receipt_id)}.json"


class ErasureBook:
    """Everything about erasures in one home folder; safe to share between threads.

    Args:
        home: the state folder.

    Raises:
        DataError: the list cannot be read.
    """

    def __init__(self, home: Path) -> None:
        self._home, self._folder = home, home / "privacy"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.key = _key(self._folder / "key")
        self.name = f"{fingerprint(self.key)}.json"
        self._lock = threading.RLock()
        self._list = self._folder / "erasures.json"
        self._at: dict[str, int] = dict(parse(self._list.read_text(), str(self._list)).at) if self._list.is_file() else {}
        self._hash = lru_cache(maxsize=_REMEMBERED)(partial(hashed, self.key))
        self._pending = {one.receipt_id: one for one in map(_read, sorted((self._folder / "pending").glob("*.json")))}
        if self._at:
            self._write_list()

    @property
    def list_file(self) -> Path:
        """The list as it travels with the log."""
        return self._home / "log" / ERASURES / self.name

    def who(self, user_id: str) -> str:
        """The keyed hash of a person's id."""
        return self._hash(user_id)

    def covers(self, user_id: str, moment: int) -> bool:
        """Whether what a person did at a moment (microseconds) is erased."""
        return bool(self._at) and moment <= self._at.get(self._hash(user_id), -1)

    def all(self) -> dict[str, int]:
        """Every erasure, by keyed hash."""
        with self._lock:
            return dict(self._at)

    def pending(self) -> list[Pending]:
        """The erasures that are not complete, oldest first."""
        with self._lock:
            return sorted(self._pending.values(), key=lambda one: one.at)

    def ask(self, record: ErasureRecord, segments: Iterable[str], places: Iterable[str]) -> None:
        """Takes a demand: from here on whoever asks `covers` or `all` leaves the person out, after a crash too.

        A demand that is complete is left alone, one that is pending keeps what was done.
        """
        with self._lock:
            who = self._hash(record.user_id)
            if record.ts > self._at.get(who, -1):
                self._at[who] = record.ts
                self._write_list()
            if record.receipt_id in self._pending or self._is_complete(record.receipt_id):
                return
            self._keep(Pending(record.receipt_id, who, record.ts, list(segments), list(places)))

    def count(self, rows: Mapping[str, int], place: str, part: str) -> None:
        """Notes the rows that a part of a place (a file, a segment) lost, by keyed hash; a second time changes nothing."""
        with self._lock:
            for one in self._pending.values():
                if one.who in rows and one.rows.get(place, {}).get(part, 0) < rows[one.who]:
                    one.rows.setdefault(place, {})[part] = rows[one.who]
                    self._keep(one)

    def done(self, receipt_id: str, place: str, now: float) -> bool:
        """Notes that a place is done; returns whether that made the erasure complete."""
        with self._lock:
            one = self._pending.get(receipt_id)
            if one is None:
                return False
            one.done.setdefault(place, datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"))
            self._keep(one)
            if one.is_complete():
                del self._pending[receipt_id]
                self._file(receipt_id).unlink(missing_ok=True)
            return one.is_complete()

    def _keep(self, one: Pending) -> None:
        write_aside(self._file(one.receipt_id), msgspec.json.encode(one).decode(), durable=True)
        write_json(receipt_path(self._home, one.receipt_id), msgspec.to_builtins(one.receipt()), durable=True)
        self._pending[one.receipt_id] = one

    def _write_list(self) -> None:
        text = text_of(Erased(fingerprint(self.key), self._at))
        write_aside(self._list, text, durable=True)
        write_aside(self.list_file, text)

    def _is_complete(self, receipt_id: str) -> bool:
        file = receipt_path(self._home, receipt_id)
        return file.is_file() and msgspec.json.decode(file.read_bytes()).get("state") == "complete"

    def _file(self, receipt_id: str) -> Path:
        return self._folder / "pending" / f"{_name(receipt_id)}.json"


def _read(file: Path) -> Pending:
    return msgspec.json.decode(file.read_bytes(), type=Pending)


def _name(receipt_id: str) -> str:
    return receipt_id if _SAFE.fullmatch(receipt_id) else sha256(receipt_id.encode()).hexdigest()


def _key(file: Path) -> bytes:
    """The key, made when there is none; only its owner may read it."""
    if not file.is_file():
        write_aside(file, secrets.token_hex(32), mode=0o600, durable=True)
    return file.read_bytes().strip()
