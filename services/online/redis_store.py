"""The online store of several machines: Redis or Valkey, written by scripts that are whole or not at all."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from redis import ConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ResponseError
from redis.retry import Retry

from rankloop.errors import SettingsError, StateUnavailable
from rankloop.state import ACTS_KEPT, SESSION_GAP, Act, ItemState, Session, UserState
from services.events.records import EventRecord
from services.online.base import Place, Places, digest
from services.online.breaker import Breaker

__all__ = ["SCRIPT_EVENTS", "URL_SCHEMES", "RedisStore"]

log = logging.getLogger(__name__)

URL_SCHEMES: Final = ("redis", "rediss", "unix")
"""TCP, TLS over TCP, and a socket file."""

SCRIPT_EVENTS: Final = 50
"""Events one script applies: Redis answers nobody else meanwhile, about 1.5 ms. Longer scripts fold no faster."""

_PREFIX: Final = "rl:"
_POSITIONS: Final = "rl:positions"
_PARTS: Final = "rl:parts"
_RUN: Final = "rl:run"
_REST: Final = 0.5
_WRITE_SECONDS: Final = 5.0


class RedisStore:
    """States in a Redis or Valkey server; see `services.online.base.StateStore`.

    A read is one round trip, tried once: after a failure, further reads fail at once for half a second, so that a
    server that is gone costs one request its timeout and not every request. Folding has seconds, and is not read by
    anybody who waits. Not for Redis Cluster, where one script cannot touch two people: use one primary with replicas.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`; never shown, since it may hold a password.
        timeout: longest wait of a read for a connection, and again for the answer, seconds.
        write: whether this process writes.
        seen_seconds: how long an event id is remembered.

    Raises:
        SettingsError: the URL cannot be read.
    """

    def __init__(self, url: str, *, timeout: float, write: bool = False, seen_seconds: int) -> None:
        self._reads, self._writes = _client(url, timeout), _client(url, _WRITE_SECONDS)
        self._where = _where(self._reads)
        self._write, self._seen_seconds = write, seen_seconds
        self._breaker, self._places = Breaker(_REST), Places()
        self._may_be_another_run = True
        self._scripts = {
            name: (Path(__file__).with_name(f"{name}.lua")).read_text(encoding="utf-8") for name in ("fold", "erase")
        }
        self._digests: dict[str, str] = {}
        self._acts = msgspec.msgpack.Decoder(list[Act])
        self._encode = msgspec.msgpack.Encoder().encode

    def user(self, user_id: str) -> UserState | None:
        """A person's state; None: nothing is known."""
        fields, log = self._read(("HGETALL", _user_key(user_id)), ("GET", _acts_key(user_id)))
        if not fields:
            return None
        try:
            return self._user(fields, log or b"")
        except (KeyError, ValueError) as error:
            raise StateUnavailable(
                f"the online store at {self._where} holds a state of {user_id!r} that is none of ours"
            ) from error

    def item(self, item_id: str) -> ItemState | None:
        """An item's state; None: nothing is known."""
        (fields,) = self._read(("HGETALL", f"{_PREFIX}i:{item_id}"))
        return ItemState(int(fields[b"day"]), _counts(fields, b"."), _counts(fields, b"+")) if fields else None

    def position(self, source: str) -> Place:
        """Up to where a source is folded."""
        try:
            found: Any = self._writes.hget(_POSITIONS, source)
            segment, offset = (0, 0) if found is None else map(int, found.split(b":"))
            if self._write and (self._may_be_another_run or (segment, offset) < self._places.expected(source)):
                self._mend()
        except RedisError as error:
            raise self._unavailable(error) from error
        return self._places.asked(source, (segment, offset))

    def fold(self, source: str, position: Place, events: Sequence[EventRecord], *, now: int) -> int:
        """Applies each event once and moves the position.

        A long batch is several scripts, of which the last moves the position, so that requests come between; each finds
        that the one before it still stands. Where a batch ends early, its events are known by their ids when they come again.
        """
        parts = [events[first : first + SCRIPT_EVENTS] for first in range(0, len(events) or 1, SCRIPT_EVENTS)]
        new = sum(self._fold(source, position, events, part, part == len(parts) - 1) for part, events in enumerate(parts))
        self._places.moved(source, position)
        return new

    def erase(self, user_id: str, at: int) -> bool:
        """Forgets a person and leaves only when; returns whether anything was known."""
        return bool(self._run("erase", [_user_key(user_id), _acts_key(user_id)], [at]))

    def close(self) -> None:
        """Lets go of connections; may be called twice."""
        self._reads.close()
        self._writes.close()

    def _fold(self, source: str, position: Place, events: Sequence[EventRecord], part: int, is_last: bool) -> int:
        given = [
            (_text(digest(one.event_id)), one.user_id, one.item_id, one.kind, one.ts, _text(self._encode(act)))
            for one, act in ((one, Act(one.item_id, one.kind, one.ts)) for one in events)
        ]
        places = (*self._places.expected(source), *position)
        limits = (self._seen_seconds, ACTS_KEPT, SESSION_GAP)
        arguments = [_PREFIX, source, *places, part, int(is_last), *limits, self._encode(given)]
        new, *found = self._run("fold", [_POSITIONS, _PARTS], arguments)
        if new < 0:
            self._may_be_another_run = True
            raise self._places.gone_back(source, (int(found[0]), int(found[1])))
        return int(new)

    def _mend(self) -> None:
        """Has a server that was started anew write its append-only file anew, once.

        Where a crash cut the file within a script's changes, Redis, and Valkey before its pull request 4342, leave them out
        and leave their beginning in the file, and the next start applies it together with what was folded in their place.
        """
        self._may_be_another_run = False
        run = str(self._writes.info("server").get("run_id"))
        met: Any = self._writes.getset(_RUN, run)
        if met == run.encode() or not self._writes.info("persistence").get("aof_enabled"):
            return
        try:
            self._writes.bgrewriteaof()
        except ResponseError as error:  # not everybody may, and it may be under way
            log.warning("the append-only file of %s was not written anew: %s", self._where, error)

    def _read(self, *commands: tuple[str, str]) -> list[Any]:
        """The answers to commands that are sent together, of one moment."""
        if not self._breaker.admits():
            raise StateUnavailable(f"the online store at {self._where} did not answer less than {_REST} s ago; it is not asked")
        try:
            if len(commands) == 1:
                answers = [self._reads.execute_command(*commands[0])]
            else:
                pipeline = self._reads.pipeline(transaction=True)
                for command in commands:
                    pipeline.execute_command(*command)
                answers = pipeline.execute()
        except RedisError as error:
            self._breaker.failed()
            raise self._unavailable(error) from error
        self._breaker.succeeded()
        return answers

    def _run(self, name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Runs a script by its digest; a server that was started anew is given it again."""
        if not self._write:
            raise StateUnavailable("the online store was opened to be read; open it with write=True")
        try:
            try:
                if name not in self._digests:
                    raise NoScriptError
                return self._writes.evalsha(self._digests[name], len(keys), *keys, *arguments)
            except NoScriptError:
                self._digests[name] = str(self._writes.script_load(self._scripts[name]))
                return self._writes.evalsha(self._digests[name], len(keys), *keys, *arguments)
        except RedisError as error:
            raise self._unavailable(error) from error

    def _user(self, fields: Mapping[bytes, bytes], log: bytes) -> UserState:
        erased = fields.get(b"erased")
        erased_at = None if erased is None else int(erased)
        if b"n" not in fields:
            return UserState(erased_at=erased_at)
        acts = self._acts.decode(b"\xdc" + int(fields[b"n"]).to_bytes(2) + log)
        session = Session(int(fields[b"began"]), int(fields[b"last"]), int(fields[b"events"]))
        return UserState(tuple(acts[-ACTS_KEPT:]), _counts(fields, b"+"), session, erased_at)

    def _unavailable(self, error: RedisError) -> StateUnavailable:
        self._may_be_another_run = True
        return StateUnavailable(
            f"the online store at {self._where} does not answer ({type(error).__name__}: {error}); see that the server runs and "
            f"takes writes; until then requests are answered without what people did last"
        )


def _client(url: str, seconds: float) -> Redis:
    options: dict[str, Any] = {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    try:
        return Redis(connection_pool=ConnectionPool.from_url(url, **options))
    except (ValueError, TypeError):
        pass
    # raised here, where the message of the error above, which may quote the password, is in no trace
    raise SettingsError(
        "RANKLOOP_STATE_URL cannot be read; write redis://:password@host:port/0, with rediss:// for TLS, and percent-encode what "
        "is special in a URL"
    )


def _where(client: Redis) -> str:
    """The server's address without user and password."""
    known: dict[str, Any] = client.connection_pool.connection_kwargs
    return str(known.get("path") or f"{known.get('host', 'localhost')}:{known.get('port', 6379)}")


def _text(raw: bytes) -> msgspec.Raw:
    """Bytes as msgpack's text: a script's msgpack knows no bytes, and takes text for what it is."""
    return msgspec.Raw(b"\xdb" + len(raw).to_bytes(4) + raw)


def _counts(fields: Mapping[bytes, bytes], mark: bytes) -> dict[str, int]:
    return {name[1:].decode(): int(count) for name, count in fields.items() if name[:1] == mark}


def _user_key(user_id: str) -> str:
    return f"{_PREFIX}u:{user_id}"


def _acts_key(user_id: str) -> str:
    return f"{_PREFIX}a:{user_id}"
