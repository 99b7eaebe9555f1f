"""What BentoML serves from inside a Bento: the same application, mounted; `bentoml serve TAG` runs it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import bentoml

__all__ = ["RankloopRanking"]

_OWN_HEALTH: Final = ("/healthz", "/readyz")
_SOURCES: Final = Path(__file__).resolve().parents[2]
Asgi = Callable[..., Awaitable[None]]


class _Mounted:
    """An application that opens its release when the service is made: BentoML imports this module to build, too."""

    app: Asgi | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert self.app is not None, "BentoML makes the service before it takes requests"
        await self.app(scope, receive, send)


_mounted = _Mounted()


class _Front:
    """Sends the health routes to our application; BentoML's own would answer before any mount, and know no release."""

    def __init__(self, app: Asgi) -> None:
        self._bentoml = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        ours = scope["type"] == "http" and scope["path"] in _OWN_HEALTH
        await (_mounted if ours else self._bentoml)(scope, receive, send)


@bentoml.service(  # type: ignore[untyped-decorator]
    name="rankloop-ranking",
    workers=1,
    metrics={"enabled": False},
    monitoring={"enabled": False},
    logging={"access": {"enabled": False}},
)
@bentoml.asgi_app(_mounted, path="/", name="ranking")
class RankloopRanking:
    """Answers API v1 from the bundle that lies beside the sources in the Bento."""

    def __init__(self) -> None:
        # the models' libraries take seconds to import, which a build, that only looks at the class, need not wait for
        from services.ranking.opening import BUNDLE, open_release
        from services.settings import Settings

        _mounted.app = open_release(_SOURCES / BUNDLE, Settings.read())


RankloopRanking.add_asgi_middleware(_Front)  # type: ignore[attr-defined]
