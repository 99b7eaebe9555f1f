"""The HTTP edge of a release: decodes, asks the engine, encodes; mounted in the Bento and in Ray Serve alike."""

import logging
import re
import secrets
import time
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import HTTPException, NotFoundException
from litestar.types import Message

from rankloop.errors import DataError, RankloopError
from services.auth import Scope, Tokens, guard
from services.ranking.engine import Engine
from services.ranking.openapi import OPERATIONS, document
from services.ranking.schemas import (
    Answer,
    Health,
    Problem,
    RankAnswer,
    RankRequest,
    Readiness,
    RecommendRequest,
    SearchRequest,
    SimilarAnswer,
)
from services.settings import Settings

__all__ = ["build_app"]

log = logging.getLogger(__name__)

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_ID, _STARTED = "rankloop_request_id", "rankloop_started"
_ROUTES: Final = frozenset(operation.path for operation in OPERATIONS)
_Struct = TypeVar("_Struct", bound=msgspec.Struct)
Asked = Request[Any, Any, State]


def build_app(engine: Engine, settings: Settings, *, name_answers: bool = True) -> Litestar:
    """The ASGI application of one release.

    Every answer is made in the event loop's own thread: a list takes a few milliseconds, less than handing it to
    another thread and back costs under load, and replicas are what scales.

    Args:
        engine: the release, opened.
        settings: limits of the API.
        name_answers: add `X-Request-Id` to answers; Ray Serve adds its own, and two would be one too many.

    Raises:
        SettingsError: the tokens are broken.
    """
    return Litestar(
        [_recommend, _search, _rank, _similar, _healthz, _readyz, _metrics, _openapi],
        state=State(
            {
                "engine": engine,
                "settings": settings,
                "tokens": Tokens.read(settings),
                "openapi": document(),
                "readiness": None,
                "name_answers": name_answers,
            }
        ),
        request_max_body_size=settings.max_body_bytes,
        before_request=_began,
        before_send=[_ended],
        exception_handlers={Exception: _problem},
        openapi_config=None,
        logging_config=None,
    )


@post("/v1/recommend", status_code=200, scope=Scope.READ)
async def _recommend(request: Asked) -> Answer:
    asked = await _decoded(request, RecommendRequest)
    return _engine(request).recommend(asked.user_id, asked.k, asked.surface, request_id=_request_id(request))


@post("/v1/search", status_code=200, scope=Scope.READ)
async def _search(request: Asked) -> Answer:
    asked = await _decoded(request, SearchRequest)
    return _engine(request).search(asked.query, asked.user_id, asked.k, asked.surface, request_id=_request_id(request))


@post("/v1/rank", status_code=200, scope=Scope.READ)
async def _rank(request: Asked) -> RankAnswer:
    asked = await _decoded(request, RankRequest)
    return _engine(request).rank(
        asked.user_id,
        asked.item_ids,
        query=asked.query,
        surface=asked.surface,
        explain=asked.explain,
        request_id=_request_id(request),
    )


@get("/v1/items/{item_id:str}/similar", scope=Scope.READ)
async def _similar(request: Asked) -> SimilarAnswer:
    engine, item_id, given = _engine(request), request.path_params["item_id"], request.query_params.get("k", "10")
    if not engine.knows_item(item_id):
        raise HTTPException(
            status_code=404, detail=f"release {engine.release_id} does not hold item {item_id!r}; give an item it has shown"
        )
    if not re.fullmatch(r"-?\d{1,9}", given):
        raise DataError(f"k is {given!r}; it must be a whole number from 1 to {request.app.state.settings.max_k}")
    return engine.similar(item_id, int(given), request_id=_request_id(request))


@get("/healthz", scope=None)
async def _healthz() -> Health:
    return Health()


@get("/readyz", scope=None)
async def _readyz(request: Asked) -> Readiness:
    state = request.app.state
    if state.readiness is None:
        try:
            state.readiness = state.engine.self_test()
        except RankloopError as error:
            raise HTTPException(status_code=503, detail=f"the self-test failed: {error}") from error
    ready: Readiness = state.readiness
    return ready


@get("/metrics", scope=Scope.READ)
async def _metrics(request: Asked) -> Response[bytes]:
    return Response(_engine(request).metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@get("/schema/openapi.json", scope=None)
async def _openapi(request: Asked) -> Response[bytes]:
    return Response(request.app.state.openapi, media_type="application/vnd.oai.openapi+json")


def _engine(request: Asked) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _decoded(request: Asked, kind: type[_Struct]) -> _Struct:
    """Strictly typed, unlike the framework's own decoding, which takes "3" for 3 and "" for no body."""
    return msgspec.json.decode(await request.body(), type=kind)


def _request_id(request: Asked) -> str:
    """The caller's id where it gave one.

    Raises:
        DataError: the caller's id could not be searched for in a log.
    """
    given = request.headers.get("x-request-id")
    if given is not None and not _REQUEST_ID.fullmatch(given):
        raise DataError(
            f"X-Request-Id is {given[:128]!r}; it must be 1 to 128 letters, digits or '._:-': mend it, or leave the header out"
        )
    return _named(request.scope)


def _named(scope: Any) -> str:
    if _ID not in scope:
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
        scope[_ID] = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    name: str = scope[_ID]
    return name


async def _began(request: Asked) -> None:
    request.scope[_STARTED] = time.perf_counter()  # type: ignore[literal-required]
    guard(request.app.state.tokens, request.scope)


async def _ended(message: Message, scope: Any) -> None:
    if message["type"] != "http.response.start" or scope["type"] != "http":
        return
    state = scope["litestar_app"].state
    if state.name_answers:
        message["headers"] = [*message["headers"], (b"x-request-id", _named(scope).encode())]
    metrics = state.engine.metrics
    template = re.sub(r":\w+}", "}", scope.get("path_template") or "")
    route = template if template in _ROUTES else "none"
    metrics.requests.labels(route, scope["method"] if route != "none" else "any", str(message["status"])).inc()
    if (started := scope.get(_STARTED)) is not None:
        metrics.request_seconds.labels(route).observe(time.perf_counter() - started)


def _problem(request: Asked, error: Exception) -> Response[Problem]:
    request_id = _named(request.scope)
    status, detail = _explained(request, error, request_id)
    headers = getattr(error, "headers", None) or {}
    return Response(
        Problem(status, HTTPStatus(status).phrase, detail, request_id),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


def _explained(request: Asked, error: Exception, request_id: str) -> tuple[int, str]:
    match error:
        case DataError():
            return 422, str(error)
        case msgspec.ValidationError():
            rule, _, where = str(error).partition(" - at ")
            field = where.strip("`").removeprefix("$.") or "the body"
            return 422, f"{field}: {rule[0].lower()}{rule[1:]}; /schema/openapi.json says what is taken"
        case msgspec.DecodeError() | UnicodeDecodeError():
            return 400, f"the body is not JSON: {error}; send one JSON object, encoded as UTF-8"
        case NotFoundException():  # the router's; an unknown item is a plain HTTPException
            return 404, f"there is no {request.scope['path']!r}; the routes are {', '.join(sorted(_ROUTES))}"
        case HTTPException(status_code=405):
            allowed = [operation.method.upper() for operation in OPERATIONS if operation.path == request.scope["path"]]
            return 405, f"{request.scope['path']} does not take {request.method}; use {' or '.join(allowed) or 'GET'}"
        case HTTPException(status_code=413):
            return (
                413,
                f"the body is larger than {request.app.state.settings.max_body_bytes} bytes, the limit; ask for less at once",
            )
        case HTTPException():
            return error.status_code, error.detail
    log.error("request %s failed", request_id, exc_info=error)
    return 500, f"an error of ours; the log has its trace under request id {request_id}"
