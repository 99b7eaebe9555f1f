"""The HTTP edge of events: checks them, keeps them in the spool, and only then says so."""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import unquote

import msgspec
from litestar import Litestar, delete, get, post
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Receive, Send
from litestar.types import Scope as ASGIScope

from monitoring.metrics import EventMetrics
from rankloop.errors import DataError, Overloaded, SpoolError, StateUnavailable
from rankloop.files import write_json
from services.auth import Scope, Tokens
from services.events.intake import Intake
from services.events.openapi import OPERATIONS, document
from services.events.records import ErasureRecord, Record, encode
from services.events.spool import SpoolWriter
from services.events.streams import open_writer
from services.events.wire import Accepted, ActShown, CollectorReadiness, Receipt, StateShown
from services.http import Asked, application, request_id
from services.online import StateStore, open_store
from services.settings import Settings

__all__ = ["build_collector", "open_collector"]

log = logging.getLogger(__name__)

_RECEIPT: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST: Final = 256
_RETRY: Final = {"Retry-After": "5"}
_WAITING: Final = 256


def open_collector(settings: Settings) -> Litestar:
    """The collector of a home folder, with a spool of its own.

    Raises:
        SettingsError: the tokens or the online store's address are broken.
        SpoolError: the spool cannot be made.
    """
    metrics = EventMetrics()
    store, tokens = open_store(settings), Tokens.read(settings)
    return build_collector(settings, writer=open_writer(settings, "events", metrics), store=store, tokens=tokens, metrics=metrics)


def build_collector(
    settings: Settings,
    *,
    writer: SpoolWriter,
    store: StateStore,
    tokens: Tokens,
    metrics: EventMetrics,
    clock: Callable[[], int] = time.time_ns,
) -> Litestar:
    """The ASGI application; it closes the spool and the store when it ends.

    Args:
        settings: the home folder and the limits.
        writer: the spool.
        store: read only, to show what is known of a person.
        tokens: who may ask.
        metrics: where events are counted.
        clock: nanoseconds since the epoch.
    """
    collector = application(
        [_events, _forget, _state, _receipt, _readyz],
        OPERATIONS,
        metrics=metrics,
        tokens=tokens,
        openapi=document(settings),
        max_body_bytes=settings.max_events_bytes,
        intake=Intake(max_events=settings.max_events, max_age_days=settings.event_max_age_days),
        writer=writer,
        store=store,
        receipts=settings.home / "privacy" / "receipts",
        now=lambda: clock() // 1000,
        room=asyncio.Semaphore(_WAITING),
        on_shutdown=[writer.close, store.close],
    )
    collector.asgi_handler = _as_sent(collector.asgi_handler)
    return collector


@post("/v1/events", status_code=200, scope=Scope.EVENTS)
async def _events(request: Asked) -> Accepted:
    state = request.app.state
    named, body = request_id(request), await request.body()
    with state.metrics.batch_seconds.time():
        taken = state.intake.read(body, state.now())
        if taken.records:
            await _keep(request, named, taken.records)
    for (kind, outcome), count in taken.counts.items():
        state.metrics.events.labels(kind, outcome).inc(count)
    accepted: Accepted = taken.answer
    return accepted


@delete("/v1/users/{user_id:str}", status_code=202, scope=Scope.ADMIN)
async def _forget(request: Asked) -> Receipt:
    """Answers once the demand is on the disk; the receipt lies there before, so that it is never asked for in vain."""
    state = request.app.state
    named, user_id, now = request_id(request), _user_id(request), state.now()
    receipt = Receipt(secrets.token_hex(16), "pending", _text(now))
    file = state.receipts / f"{receipt.receipt_id}.json"
    await asyncio.to_thread(_write, file, receipt)
    try:
        await _keep(request, named, [ErasureRecord(receipt.receipt_id, user_id, now)])
    except (HTTPException, Overloaded):
        await asyncio.to_thread(file.unlink, missing_ok=True)
        raise
    return receipt


@get("/v1/users/{user_id:str}/state", scope=Scope.READ)
async def _state(request: Asked) -> StateShown:
    request_id(request)
    user_id = _user_id(request)
    try:
        known = await asyncio.to_thread(request.app.state.store.user, user_id)
    except StateUnavailable as error:
        log.warning("the state of a person could not be read: %s", error)
        raise HTTPException(
            status_code=503, detail="the online store does not answer; ask again later", headers={"Retry-After": "1"}
        ) from error
    if known is None:
        raise HTTPException(status_code=404, detail=f"nothing is known of user {user_id!r} beyond what a release may know")
    session = known.session
    return StateShown(
        user_id,
        [ActShown(act.item_id, act.kind, _text(act.ts)) for act in known.acts],
        dict(known.counts),
        None if session is None else _text(session.began),
        0 if session is None else session.events,
        None if known.erased_at is None else _text(known.erased_at),
    )


@get("/v1/receipts/{receipt_id:str}", scope=Scope.ADMIN)
async def _receipt(request: Asked) -> Receipt:
    request_id(request)
    given = request.path_params["receipt_id"]
    try:
        if not _RECEIPT.fullmatch(given):
            raise FileNotFoundError(given)
        written = await asyncio.to_thread((request.app.state.receipts / f"{given}.json").read_bytes)
    except FileNotFoundError:
        raise HTTPException(
            status_code=404, detail=f"there is no receipt {given[:64]!r}; DELETE /v1/users/{{user_id}} gives one"
        ) from None
    return msgspec.json.decode(written, type=Receipt)


@get("/readyz", scope=None)
async def _readyz(request: Asked) -> CollectorReadiness:
    """Ready also while the spool is full: it refuses events by itself, and answers what else it is asked."""
    writer: SpoolWriter = request.app.state.writer
    return CollectorReadiness("ready", writer.name, writer.stream_bytes)


async def _keep(request: Asked, named: str, records: Sequence[Record]) -> None:
    """Keeps one frame, durably.

    Raises:
        HTTPException: 503, it could not be kept.
        Overloaded: too many wait for the disk.
    """
    state = request.app.state
    if state.room.locked():
        raise Overloaded(f"{_WAITING} batches wait for the disk already and more are not held in memory; send it again later")
    try:
        async with state.room:
            await state.writer.append_durably(encode(records))
    except SpoolError as error:
        state.metrics.spool_refused.labels("events").inc()
        log.warning("request %s is refused: %s", named, error)
        _refuse(error)


def _refuse(error: SpoolError) -> NoReturn:
    raise HTTPException(
        status_code=503,
        detail="this could not be kept, for want of room or a disk that works; send all of it again later, ids as they are",
        headers=_RETRY,
    ) from error


def _as_sent(handler: ASGIApp) -> ASGIApp:
    """Routes by the path as it was sent: unescaped, a slash in an id would be taken for the router's own."""

    async def routed(scope: ASGIScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (raw := scope.get("raw_path")):
            scope["path"] = raw.partition(b"?")[0].decode("latin-1")
        await handler(scope, receive, send)

    return routed


def _user_id(request: Asked) -> str:
    """The id in the path.

    Raises:
        DataError: it is too long, or no text.
    """
    try:
        user_id = unquote(request.path_params["user_id"], errors="strict")
    except UnicodeDecodeError as error:
        raise DataError("user_id is not UTF-8; encode it so, then escape it for the path") from error
    if not 1 <= len(user_id) <= _LONGEST:
        raise DataError(f"user_id has {len(user_id)} characters; it must have 1 to {_LONGEST}")
    return user_id


def _write(file: Path, receipt: Receipt) -> None:
    file.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(file, msgspec.to_builtins(receipt))


def _text(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat()
