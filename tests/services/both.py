"""Both applications behind one address, divided as the edge divides them."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

import uvicorn
from litestar import Litestar

from rankloop.bundle import Bundle
from services.auth import Scope, digest
from services.events.collector import open_collector
from services.listening import listening
from services.ranking.app import build_app
from services.ranking.engine import Engine
from services.settings import Settings

__all__ = ["TOKENS", "applications", "divided", "guarded", "served"]

TOKENS: Final = {scope.value: f"rl_{scope.value:x<43}" for scope in Scope} | {"all": f"rl_{'all':x<43}"}
"""One token for each scope, and one for all."""

_COLLECTED: Final = ("/v1/events", "/v1/users/", "/v1/receipts/")
Asgi = Callable[..., Any]


def guarded(**fields: Any) -> Settings:
    """Settings under which every token of `TOKENS` is good."""
    scopes = {name: "+".join(Scope) if name == "all" else name for name in TOKENS}
    text = ",".join(f"{name}:{scopes[name]}:{digest(token)}" for name, token in TOKENS.items())
    return Settings.read(tokens_sha256=text, **fields)


@contextlib.contextmanager
def applications(bundle: Bundle, settings: Settings) -> Iterator[tuple[Litestar, Litestar]]:
    """A release's application and a collector."""
    engine = Engine(bundle, settings, clock=lambda: Engine(bundle, settings).moment())
    collector = open_collector(settings)
    yield build_app(engine, settings), collector
    for end in collector.on_shutdown:
        cast("Callable[[], None]", end)()


def divided(ranking: Asgi, collector: Asgi) -> Asgi:
    """One ASGI application of two."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        await (collector if scope["path"].startswith(_COLLECTED) else ranking)(scope, receive, send)

    return app


@contextlib.contextmanager
def served(app: Asgi) -> Iterator[str]:
    """The application over HTTP on a free port; gives its address."""
    with listening("127.0.0.1", 0) as listens:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listens])), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listens.getsockname()[1]}"
        server.should_exit = True
        thread.join(30)
