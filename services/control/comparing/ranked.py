"""What a release that need not serve answers to given requests: opened in a process of its own, which ends with it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from rankloop.errors import BundleError
from services.control.drivers.warming import Asked
from services.ranking.schemas import Answer, RecommendRequest, SearchRequest
from services.settings import Settings

__all__ = ["main", "ranked_by"]

_SECONDS: Final = 600.0
_UNHURRIED_MS: Final = 1e9


def ranked_by(bundle: str | Path, requests: Sequence[Asked], settings: Settings, *, seconds: float = _SECONDS) -> list[Answer]:
    """The answers of a bundle to requests, in their order.

    It knows of people what was known when it was packed, without what they did since; the moment is the one it would
    answer for in service. Nothing is logged.

    Args:
        bundle: the bundle's folder.
        requests: what is asked.
        settings: the limits of requests.
        seconds: the longest time for all of it.

    Raises:
        BundleError: the bundle is missing or altered, does not answer, or not in time.
    """
    command = [sys.executable, "-m", "services.control.comparing", str(bundle)]
    environment = _environment(settings)
    try:
        done = subprocess.run(
            command, input=msgspec.json.encode(list(requests)), capture_output=True, env=environment, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BundleError(f"{bundle} did not answer {len(requests)} requests in {seconds:.0f} s; compare fewer") from error
    if done.returncode:
        raise BundleError(done.stderr.decode(errors="replace").strip()[-1200:] or f"{bundle} ended with {done.returncode}")
    return msgspec.json.decode(done.stdout, type=list[Answer])


def main(bundle: str, content: bytes) -> bytes:
    """Opens a bundle and answers: the body of that process.

    Args:
        bundle: the bundle's folder.
        content: requests, as JSON.

    Returns:
        Their answers, as JSON.
    """
    from rankloop.bundle import Bundle
    from services.ranking.engine import Engine

    settings = Settings.read(budget_ms=_UNHURRIED_MS)
    engine = Engine(Bundle.open(bundle, lean=True), settings)
    answers = []
    for number, raw in enumerate(msgspec.json.decode(content, type=list[msgspec.Raw])):
        asked, name = _asked(bytes(raw)), f"compared-{number}"
        if isinstance(asked, SearchRequest):
            shown = engine.search(asked.query, asked.user_id, asked.k, asked.surface, request_id=name)
        else:
            shown = engine.recommend(asked.user_id, asked.k, asked.surface, request_id=name)
        answers.append(shown.answer)
    return msgspec.json.encode(answers)


def _asked(raw: bytes) -> Asked:
    fields = msgspec.json.decode(raw)
    return msgspec.convert(fields, SearchRequest) if "query" in fields else msgspec.convert(fields, RecommendRequest)


def _environment(settings: Settings) -> dict[str, str]:
    return {**os.environ, **settings.variables()}
