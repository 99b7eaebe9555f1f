"""What every application of ours does alike: request ids, tokens, problems, counts, and the routes about itself."""

import logging
import re
import secrets
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.types import Message

from monitoring.metrics import HttpMetrics
from rankloop.errors import DataError, Overloaded
from services.auth import Scope, Tokens, guard
from services.openapi import Operation
from services.ranking.schemas import REQUEST_ID, Health, Problem
from services.strict import in_words

__all__ = ["Asked", "application", "decoded", "request_id"]

log = logging.getLogger(__name__)

_REQUEST_ID: Final = re.compile(REQUEST_ID)
_ID, _STARTED = "rankloop_request_id", "rankloop_started"
_Struct = TypeVar("_Struct", bound=msgspec.Struct)
Asked = Request[Any, Any, State]


def application(
    handlers: Sequence[HTTPRouteHandler],
    operations: Sequence[Operation],
    *,
    metrics: HttpMetrics,
    tokens: Tokens,
    openapi: bytes,
    max_body_bytes: int,
    name_answers: bool = True,
    **own: Any,
) -> Litestar:
    """An ASGI application: its own routes, and `/healthz`, `/metrics` and `/schema/openapi.json`.

    Args:
        handlers: its own routes.
        operations: every route, as it is described; counts are by these paths.
        metrics: what `/metrics` shows.
        tokens: who may ask.
        openapi: the document.
        max_body_bytes: a larger body is refused.
        name_answers: add `X-Request-Id` to answers; Ray Serve adds its own, and two would be one too many.
        own: what else its routes find in `request.app.state`, and Litestar's own hooks `on_startup`, `on_shutdown`.
    """
    hooks = {name: own.pop(name) for name in ("on_startup", "on_shutdown") if name in own}
    shared = {
        "metrics": metrics,
        "tokens": tokens,
        "openapi": openapi,
        "max_body_bytes": max_body_bytes,
        "name_answers": name_answers,
        "routes": frozenset(operation.path for operation in operations),
    }
    return Litestar(
        [*handlers, _healthz, _metrics, _openapi],
        state=State({**shared, **own}),
        request_max_body_size=max_body_bytes,
        before_request=_began,
        before_send=[_ended],
        exception_handlers={Exception: _problem},
        openapi_config=None,
        logging_config=None,
        **hooks,
    )


@get("/healthz", scope=None)
async def _healthz() -> Health:
    return Health()


@get("/metrics", scope=Scope.READ)
async def _metrics(request: Asked) -> Response[bytes]:
    return Response(request.app.state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@get("/schema/openapi.json", scope=None)
async def _openapi(request: Asked) -> Response[bytes]:
    return Response(request.app.state.openapi, media_type="application/vnd.oai.openapi+json")


async def decoded(request: Asked, kind: type[_Struct]) -> _Struct:
    """The body, strictly typed, unlike the framework's own decoding, which takes "3" for 3 and "" for no body.

    A whole number may be written as 3.0, which is an integer to JSON Schema, too.
    """
    body = await request.body()
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        if "got `float`" not in str(error):
            raise
        try:
            return msgspec.convert(_whole(msgspec.json.decode(body)), kind)
        except RecursionError:
            raise error from None


def _whole(body: Any) -> Any:
    if not isinstance(body, dict):
        return body
    return {name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in body.items()}


def request_id(request: Asked) -> str:
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
    template = re.sub(r":\w+}", "}", scope.get("path_template") or "")
    route = template if template in state.routes else "none"
    state.metrics.requests.labels(route, scope["method"] if route != "none" else "any", str(message["status"])).inc()
    if (started := scope.get(_STARTED)) is not None:
        state.metrics.request_seconds.labels(route).observe(time.perf_counter() - started)


def _problem(request: Asked, error: Exception) -> Response[Problem]:
    name = _named(request.scope)
    status, detail = _explained(request, error, name)
    headers = {"Retry-After": "1"} if isinstance(error, Overloaded) else getattr(error, "headers", None) or {}
    return Response(
        Problem(status, HTTPStatus(status).phrase, detail, name),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


def _explained(request: Asked, error: Exception, name: str) -> tuple[int, str]:
    state, path = request.app.state, request.scope["path"]
    match error:
        case DataError():
            return 422, str(error)
        case Overloaded():
            return 503, str(error)
        case msgspec.ValidationError():
            return 422, f"{in_words(error)}; /schema/openapi.json says what is taken"
        case msgspec.DecodeError() | UnicodeDecodeError():
            return 400, f"the body is not JSON: {error}; send one JSON object, encoded as UTF-8"
        case NotFoundException():  # the router's; an unknown item is a plain HTTPException
            return 404, f"there is no {path!r}; the routes are {', '.join(sorted(state.routes))}"
        case HTTPException(status_code=405):
            allowed = [method for method in (error.headers or {}).get("allow", "").split(", ") if method != "OPTIONS"]
            return 405, f"{path} does not take {request.method}; use {' or '.join(sorted(allowed))}"
        case HTTPException(status_code=413):
            return 413, f"the body is larger than {state.max_body_bytes} bytes, the limit; ask for less at once"
        case HTTPException():
            return error.status_code, error.detail
    log.error("request %s failed", name, exc_info=error)
    return 500, f"an error of ours; the log has its trace under request id {name}"
