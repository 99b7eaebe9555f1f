"""A home folder with both spools."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.tally.lists_and_outcomes import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    own = Home(tmp_path / "home")
    yield own
    own.close()


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]
