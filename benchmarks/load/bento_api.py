"""An alternative: BentoML's own `@bentoml.api`, as `bentoml serve benchmarks.load.bento_api:Ranking` runs it.

The engine is ours; workers are as many as our replicas, everything else is BentoML's default.
"""

import os
from typing import Any

import bentoml
import msgspec

from benchmarks.load.bare import Bare


@bentoml.service(workers=int(os.environ.get("BENCH_WORKERS", "1")))
class Ranking:
    """The engine behind two routes."""

    def __init__(self) -> None:
        self._bare = Bare.opened(os.environ["BENCH_BUNDLE"], os.environ["BENCH_HOME"])

    @bentoml.api(route="/v1/recommend")
    def recommend(self, user_id: str, k: int = 10) -> dict[str, Any]:
        """The best items for a person."""
        plain: dict[str, Any] = msgspec.to_builtins(self._bare.answer({"user_id": user_id, "k": k}))
        return plain

    @bentoml.api(route="/v1/search")
    def search(self, query: str, user_id: str, k: int = 10) -> dict[str, Any]:
        """The best items for a search text."""
        plain: dict[str, Any] = msgspec.to_builtins(self._bare.answer({"query": query, "user_id": user_id, "k": k}))
        return plain
