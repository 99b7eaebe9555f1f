"""Who may ask what: API tokens with scopes, kept as hashes, and the guard in front of every route.

A token is `rl_` and 43 url-safe characters: 256 random bits. Only its SHA-256 is kept. A hash without salt and
without cost is enough for such a secret, since there is no dictionary to try; and finding it by its hash in a table
leaks nothing worth timing, since whoever could choose the hash's first digits would have inverted SHA-256.
"""

import hashlib
import hmac
import ipaddress
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import msgspec
from msgspec import Meta

from rankloop.errors import SettingsError
from services.settings import Settings

__all__ = ["TOKEN_PREFIX", "Scope", "TokenEntry", "Tokens", "digest", "entries_in", "guard", "read_entries", "refuse_strangers"]

log = logging.getLogger(__name__)

TOKEN_PREFIX: Final = "rl_"
_LOOK_EVERY: Final = 1.0
_CHALLENGE: Final = 'Bearer realm="rankloop"'


class Scope(StrEnum):
    """What a token may do; none contains another."""

    READ = "read"
    EVENTS = "events"
    ADMIN = "admin"


class TokenEntry(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is kept of one token.

    Attributes:
        name: of the application or person that holds it; not secret.
        sha256: of the whole token, 64 hexadecimal digits.
        scopes: what it may do.
        created_at: null for one from the environment.
        expires_at: from this moment on it is refused; null: never.
    """

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    scopes: Annotated[list[Scope], Meta(min_length=1)]
    created_at: Annotated[datetime, Meta(tz=True)] | None = None
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tokens: list[TokenEntry]


class Tokens:
    """The tokens that are good now.

    The file is looked at once a second at most and read again when it changed, so a token is revoked without a
    restart. A file that breaks or vanishes later changes nothing: the last good one holds, and the log says so.
    Nothing is enforced while no token was ever configured; where there is a file, even an empty one, everything is.

    Args:
        given: tokens that do not come from the file.
        path: the file; it may not exist yet.
        must_exist: whether it has to.
        clock: seconds since the epoch.
        own: tokens of the stack's own programs; they are good, and close nothing that is open.

    Raises:
        SettingsError: the file cannot be read, or an entry is broken.
    """

    def __init__(
        self,
        given: Sequence[TokenEntry],
        path: Path,
        *,
        must_exist: bool = False,
        clock: Callable[[], float] = time.time,
        own: Sequence[TokenEntry] = (),
    ) -> None:
        self._path, self._clock = path, clock
        self._given = {entry.sha256: entry for entry in (*own, *given)}
        self._known: dict[str, TokenEntry] = dict(self._given)
        self._looked = clock()
        self._seen = _signature(path)
        if self._seen is not None or must_exist:
            self._known = self._given | {entry.sha256: entry for entry in read_entries(path)}
        self._enforced = bool(given) or self._seen is not None

    @classmethod
    def read(cls, settings: Settings) -> "Tokens":
        """Those of `RANKLOOP_TOKENS_FILE` and `RANKLOOP_TOKENS_SHA256`, and the stack's own.

        Raises:
            SettingsError: as the class.
        """
        own = read_entries(settings.watcher_tokens_path) if settings.watcher_tokens_path.exists() else []
        given = entries_in(settings.tokens_sha256)
        return cls(given, settings.tokens_path, must_exist=bool(settings.tokens_file), own=own)

    @property
    def enforced(self) -> bool:
        """Whether a request needs a token at all."""
        self._look()
        return self._enforced

    def find(self, token: str | None) -> TokenEntry | None:
        """The entry of a token that is known and has not expired."""
        self._look()
        if not token:
            return None
        hashed = digest(token)
        entry = self._known.get(hashed)
        if entry is None or not hmac.compare_digest(entry.sha256, hashed):
            return None
        expired = entry.expires_at is not None and self._clock() >= entry.expires_at.timestamp()
        return None if expired else entry

    def allows(self, token: str | None, scope: Scope) -> bool:
        """Whether a request with this token may do what needs this scope."""
        if not self.enforced:
            return True
        entry = self.find(token)
        return entry is not None and scope in entry.scopes

    def _look(self) -> None:
        now = self._clock()
        if abs(now - self._looked) < _LOOK_EVERY:
            return
        self._looked, before = now, self._seen
        try:
            self._seen = _signature(self._path)
            if self._seen == before:
                return
            self._enforced = True
            self._known = self._given | {entry.sha256: entry for entry in read_entries(self._path)}
        except SettingsError as error:
            log.error("the tokens stay as they were: %s", error)
        else:
            log.info("read %d tokens again from %s", len(self._known.keys() - self._given), self._path)


def guard(tokens: Tokens, scope: Mapping[str, Any]) -> None:
    """Refuses a request that its route does not allow; both applications call it before anything else.

    A route says what it needs with `scope=Scope.READ`, or that it is open with `scope=None`; one that says nothing
    needs `admin`. It is no guard of the framework, which would copy the route's handler for each request.

    Args:
        tokens: those that are good.
        scope: of ASGI, with the framework's `route_handler` in it.

    Raises:
        HTTPException: 401 without a good token, 403 with one that lacks the scope.
    """
    needed = scope["route_handler"].opt.get("scope", Scope.ADMIN)
    if needed is None or not tokens.enforced:
        return
    token = next((_bearer(value) for name, value in scope["headers"] if name == b"authorization"), "")
    entry = tokens.find(token)
    if entry is None:
        _unknown(token)
    if needed not in entry.scopes:
        _refuse(
            403,
            f"the token {entry.name!r} has no scope {needed.value!r}; "
            f"use one made with `rankloop tokens create --scope {needed.value}`",
            f'{_CHALLENGE}, error="insufficient_scope", scope="{needed.value}"',
        )


def refuse_strangers(tokens: Tokens, address: str) -> None:
    """Holds that what listens beyond this machine's loopback address asks for a token.

    Args:
        tokens: those that are good.
        address: what is listened on: an IP address, a host's name, or `*`.

    Raises:
        SettingsError: anybody who reaches the address could ask.
    """
    try:
        near = address == "localhost" or ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        near = False
    if not near and not tokens.enforced:
        raise SettingsError(
            f"{address!r} can be reached from other machines, and no token is configured: anybody could ask; "
            "make one with `rankloop tokens create --name NAME --scope read`, or listen on 127.0.0.1"
        )


def digest(token: str) -> str:
    """What is kept of a token: its SHA-256, in hexadecimal digits."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_entries(path: Path) -> list[TokenEntry]:
    """The entries of a file of tokens.

    Raises:
        SettingsError: it cannot be read, anybody may write it, or an entry is broken.
    """
    rule = 'it must hold {"tokens": [{"name", "sha256", "scopes", "created_at"}, ...]}; `rankloop tokens` writes it so'
    try:
        if path.stat().st_mode & 0o002:
            raise SettingsError(f"anybody on this machine may write {path}, the tokens' file; say chmod 600 {path}")
        entries = msgspec.json.decode(path.read_bytes(), type=_File).tokens
    except OSError as error:
        raise SettingsError(f"the tokens' file {path} cannot be read ({error.strerror}); set RANKLOOP_TOKENS_FILE") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the tokens' file {path} is broken ({error}): {rule}") from error
    names = [entry.name for entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError(f"the tokens' file {path} has two tokens named {', '.join(twice)}; keep one of each name")
    return entries


def entries_in(text: str) -> list[TokenEntry]:
    """The entries of `RANKLOOP_TOKENS_SHA256`.

    Raises:
        SettingsError: one is broken.
    """
    entries = []
    for number, part in enumerate(filter(None, (part.strip() for part in text.split(","))), start=1):
        name, scopes, hashed = [*part.split(":"), "", ""][:3]
        try:
            made = {"name": name, "sha256": hashed.lower(), "scopes": scopes.split("+")}
            entries.append(msgspec.convert(made, TokenEntry))
        except msgspec.ValidationError as error:
            raise SettingsError(
                f"RANKLOOP_TOKENS_SHA256, token {number}: {error}; write name:scope+scope:hash, where a scope is read, events "
                "or admin and the hash is the token's SHA-256 in 64 hexadecimal digits"
            ) from error
    return entries


def _signature(path: Path) -> tuple[int, int, int] | None:
    """What tells whether a file is another one; None where there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError:
        return (0, 0, 0)
    return found.st_mtime_ns, found.st_size, found.st_ino


def _bearer(header: bytes) -> str:
    scheme, _, token = header.decode("latin-1").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _unknown(token: str) -> NoReturn:
    remedy = "send `Authorization: Bearer rl_...` with a token that `rankloop tokens create` made"
    if not token:
        _refuse(401, f"the request has no token; {remedy}", _CHALLENGE)
    _refuse(401, f"the token is unknown, revoked or expired; {remedy}", f'{_CHALLENGE}, error="invalid_token"')


def _refuse(status: int, detail: str, challenge: str) -> NoReturn:
    # here, so that the terminal program makes tokens without loading a web framework
    from litestar.exceptions import HTTPException

    raise HTTPException(status_code=status, detail=detail, headers={"WWW-Authenticate": challenge})
