"""The stack as a user starts it: `up` on ports and in a folder of its own, a release put into service, `down` at the end."""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from benchmarks.load.bundle import Made
from components.serve_api import put_into_service
from rankloop.errors import RankloopError
from services.ranking.bento import build_bento
from services.settings import INNER_PORTS, Settings
from services.stack import StackStatus, down, status, up
from services.stack.ports import assert_free

__all__ = ["Ours", "deployed", "ours"]

_DEPLOY_S = 300.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Ours:
    """A running stack.

    Attributes:
        settings: what it was started with.
    """

    settings: Settings

    @property
    def address(self) -> tuple[str, int]:
        """Where people ask."""
        return "127.0.0.1", self.settings.http_port

    def status(self) -> StackStatus:
        """Its processes and the release that serves."""
        return status(self.settings)

    def pids(self, role: str) -> list[int]:
        """The processes of a role, by number; read anew, since a killed one is replaced."""
        return [process.pid for process in self.status().processes if process.role == role]

    def eventually(self, true: Callable[[], bool], what: str, *, seconds: float = 120.0) -> float:
        """Waits until something is so; the seconds it took.

        Raises:
            RankloopError: it takes too long.
        """
        began = time.monotonic()
        while not true():
            if time.monotonic() - began > seconds:
                raise RankloopError(f"{what} did not happen within {seconds:.0f} s; see {self.settings.home / 'stack' / 'logs'}")
            time.sleep(0.1)
        return time.monotonic() - began

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request through the edge."""
        return httpx.request(method, self.settings.service_url + path, timeout=30.0, **options)


@contextmanager
def ours(home: Path, say: Say, **chosen: Any) -> Iterator[Ours]:
    """The stack on free ports, until the block ends.

    Args:
        home: its folder, whose name is short.
        say: takes one line of progress.
        chosen: settings that differ from the defaults.
    """
    settings = _settings(home, chosen)
    with _environment(settings):
        try:
            up(settings, say=say)
            stack = Ours(settings)
            stack.eventually(lambda: stack.ask("POST", "/v1/events", json={"events": []}).is_success, "a collector's answer")
            yield stack
        finally:
            down(settings, say=say)


def deployed(stack: Ours, release: Made, say: Say) -> None:
    """Puts the release into service, as a pipeline's last steps do."""
    settings = stack.settings
    say("building the Bento")
    built = build_bento(release.folder, settings.bento_store)
    put_into_service(
        built.path,
        built.release_id,
        serve_api=settings.dashboard_url,
        serve_url=settings.service_url,
        say=say,
        seconds=_DEPLOY_S,
    )
    stack.eventually(lambda: len(stack.pids("replica")) >= settings.replicas, "every replica's start")


def _settings(home: Path, chosen: dict[str, Any]) -> Settings:
    """The settings with ports that are free; begun anywhere, so that two benchmarks do not meet."""
    named = [name for name in Settings.model_fields if name.endswith("_port") and name != "inner_port"]
    block = INNER_PORTS + len(named)
    starts = list(range(12_000, 31_000, block))
    random.SystemRandom().shuffle(starts)
    for start in starts:
        ports = {name: start + INNER_PORTS + place for place, name in enumerate(named)}
        settings = Settings.read(home=home, inner_port=start, start_seconds=240.0, **ports, **chosen)
        try:
            assert_free(settings)
        except RankloopError:
            continue
        return settings
    raise RankloopError(f"there are no {block} consecutive free ports between 12000 and 31000; end what holds them")


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """The variables that its processes read: those chosen here, and none that happen to be set."""
    before = {name: value for name, value in os.environ.items() if name.startswith("RANKLOOP_")}
    chosen = {f"RANKLOOP_{name.upper()}": _plain(getattr(settings, name)) for name in settings.model_fields_set}
    for name in before:
        del os.environ[name]
    os.environ.update(chosen)
    try:
        yield
    finally:
        for name in chosen:
            os.environ.pop(name, None)
        os.environ.update(before)


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
