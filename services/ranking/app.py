"""The HTTP edge of a release: decodes, asks the engine, encodes; mounted in the Bento and in Ray Serve alike."""

import re
import time
from typing import Final

from litestar import Litestar, get, post
from litestar.exceptions import HTTPException

from monitoring.metrics import OTHER
from rankloop.errors import DataError, RankloopError
from services.auth import Scope, Tokens
from services.http import Asked, application, decoded, request_id
from services.ranking.answering import SIMILAR, Answering
from services.ranking.engine import Engine
from services.ranking.impressions import AnyAnswer, Shown
from services.ranking.interleave import PART, Beside, Interleaver
from services.ranking.openapi import OPERATIONS, document
from services.ranking.schemas import (
    Answer,
    RankAnswer,
    RankRequest,
    Readiness,
    RecommendRequest,
    SearchRequest,
    SimilarAnswer,
)
from services.settings import Settings

__all__ = ["build_app"]

_START: Final = re.compile(r"t=(\d{1,17})")
_LONGEST: Final = 60.0


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
    return application(
        [_recommend, _search, _rank, _similar, _readyz],
        OPERATIONS,
        metrics=engine.metrics,
        tokens=Tokens.read(settings),
        openapi=document(settings),
        max_body_bytes=settings.max_body_bytes,
        name_answers=name_answers,
        engine=engine,
        settings=settings,
        interleaver=Interleaver(settings.slot_url, settings.budget_ms / 1000, engine.metrics),
        readiness=None,
        on_shutdown=[engine.close],
    )


@post("/v1/recommend", status_code=200, scope=Scope.READ)
async def _recommend(request: Asked) -> Answer:
    asked, engine = await decoded(request, RecommendRequest), _engine(request)
    named, waited = request_id(request), _waited(request)
    with _answering(request, asked.surface, waited) as answering:
        async with await _beside(request, named, waited) as other:
            shown = engine.recommend(asked.user_id, asked.k, asked.surface, request_id=named, waited=waited)
            return _given(request, answering, *await other.merged(shown, asked.k))


@post("/v1/search", status_code=200, scope=Scope.READ)
async def _search(request: Asked) -> Answer:
    asked, engine = await decoded(request, SearchRequest), _engine(request)
    named, waited = request_id(request), _waited(request)
    with _answering(request, asked.surface, waited) as answering:
        async with await _beside(request, named, waited) as other:
            shown = engine.search(asked.query, asked.user_id, asked.k, asked.surface, request_id=named, waited=waited)
            return _given(request, answering, *await other.merged(shown, asked.k))


@post("/v1/rank", status_code=200, scope=Scope.READ)
async def _rank(request: Asked) -> RankAnswer:
    asked, engine = await decoded(request, RankRequest), _engine(request)
    named, waited = request_id(request), _waited(request)
    surface = asked.surface or engine.usual_surface(asked.query)
    with _answering(request, surface, waited) as answering:
        shown = engine.rank(
            asked.user_id,
            asked.item_ids,
            query=asked.query,
            surface=surface,
            explain=asked.explain,
            request_id=named,
            waited=waited,
        )
        return _given(request, answering, shown)


@get("/v1/items/{item_id:str}/similar", scope=Scope.READ)
async def _similar(request: Asked) -> SimilarAnswer:
    engine, item_id, given = _engine(request), request.path_params["item_id"], request.query_params.get("k", "10")
    if not engine.knows_item(item_id):
        raise HTTPException(
            status_code=404, detail=f"release {engine.release_id} does not hold item {item_id!r}; give an item it has shown"
        )
    if not re.fullmatch(r"-?\d{1,9}", given):
        raise DataError(f"k is {given!r}; it must be a whole number from 1 to {request.app.state.settings.max_k}")
    named = request_id(request)
    with Answering(engine.metrics, SIMILAR, waited=_waited(request), counts=PART not in request.headers) as answering:
        answer = engine.similar(item_id, int(given), request_id=named)
        answering.similar(answer)
        return answer


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


def _engine(request: Asked) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _beside(request: Asked, named: str, waited: float) -> Beside:
    """What the other slot says to the same request, where lists of both are to be interleaved."""
    interleaver: Interleaver = request.app.state.interleaver
    path, body = request.scope["path"], await request.body()
    return interleaver.beside(path, body, request.headers, request_id=named, waited=waited)


def _answering(request: Asked, surface: str, waited: float) -> Answering:
    engine = _engine(request)
    place = surface if engine.knows_surface(surface) else OTHER
    return Answering(engine.metrics, place, waited=waited, counts=PART not in request.headers)


def _given(request: Asked, answering: Answering, shown: Shown[AnyAnswer], teams: list[str] | None = None) -> AnyAnswer:
    """The answer; logged, unless another program only wants to see what would have been shown."""
    if PART not in request.headers:
        _engine(request).log(shown, teams=teams)
    answering.given(shown)
    return shown.answer


def _waited(request: Asked) -> float:
    """Seconds since the request reached the edge, by the edge's clock; 0 where no edge says when, or clocks differ."""
    since = _START.fullmatch(request.headers.get("x-request-start", ""))
    return min(max(time.time() - int(since[1]) / 1e6, 0.0), _LONGEST) if since else 0.0
