"""Settings whose ports are free on this machine, so that tests and a running stack do not meet."""

import random
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from services.settings import INNER_PORTS, Settings
from services.stack.ports import NAMED


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


@pytest.fixture(scope="session")
def free_settings() -> Callable[..., Settings]:
    """Makes settings for a home folder, every port of them free."""

    def made(home: Path, **more: object) -> Settings:
        block = INNER_PORTS + len(NAMED)
        starts = list(range(12_000, 31_000, block))
        random.SystemRandom().shuffle(starts)  # tests run side by side
        start = next(first for first in starts if all(is_free(first + n) for n in range(block)))
        ports = {name: start + INNER_PORTS + n for n, name in enumerate(NAMED)}
        given: dict[str, object] = {"inner_port": start, "object_store_mb": 100, "start_seconds": 150, **ports, **more}
        return Settings.read(home=home, **given)

    return made
