"""An alternative: FastAPI on Ray Serve behind its default proxy, a router that calls the engine's deployment by handle.

It is the composition that Ray's guides show for models behind an application. The engine is ours, as many replicas
as ours have; the router is one, the default. `python -m benchmarks.load.fastapi_on_serve BUNDLE HOME PORT REPLICAS FOLDER`.
"""

import sys
import threading
from typing import Any

import msgspec
import ray
from fastapi import FastAPI
from pydantic import BaseModel
from ray import serve
from ray.serve.handle import DeploymentHandle

from benchmarks.load.bare import Bare

_ONGOING = 256
"""Far above the default of 5, at which it refuses work sooner."""

api = FastAPI()


class Recommend(BaseModel):
    """The body of `/v1/recommend`."""

    user_id: str
    k: int = 10


class Search(Recommend):
    """The body of `/v1/search`."""

    query: str


@serve.deployment(max_ongoing_requests=_ONGOING)
class Ranking:
    """The engine's replica."""

    def __init__(self, bundle: str, home: str) -> None:
        self._bare = Bare.opened(bundle, home)

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """An answer as plain values."""
        plain: dict[str, Any] = msgspec.to_builtins(self._bare.answer(body))
        return plain


@serve.deployment(max_ongoing_requests=_ONGOING)
@serve.ingress(api)
class Router:
    """The application in front."""

    def __init__(self, ranking: DeploymentHandle) -> None:
        self._ranking = ranking

    @api.post("/v1/recommend")
    async def recommend(self, asked: Recommend) -> dict[str, Any]:
        """The best items for a person."""
        answer: dict[str, Any] = await self._ranking.answer.remote(asked.model_dump())
        return answer

    @api.post("/v1/search")
    async def search(self, asked: Search) -> dict[str, Any]:
        """The best items for a search text."""
        answer: dict[str, Any] = await self._ranking.answer.remote(asked.model_dump())
        return answer


def main(bundle: str, home: str, port: str, replicas: str, folder: str) -> None:
    """Serves until it is ended; Ray's files go to `folder`, whose name is short."""
    few = {"num_cpus": 0.1}
    ray.init(address="local", num_cpus=4, include_dashboard=False, object_store_memory=100 * 2**20, _temp_dir=folder)
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)}, logging_config={"enable_access_log": False})
    ranking = Ranking.options(num_replicas=int(replicas), ray_actor_options=few).bind(bundle, home)  # type: ignore[attr-defined]
    serve.run(Router.options(ray_actor_options=few).bind(ranking))  # type: ignore[attr-defined]
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
