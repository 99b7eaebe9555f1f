"""`python -m services.control` as a process: it leads, ends well, hands its lease over, and names a busy port."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from services.control.client import ControlClient
from tests.services.edge.conftest import free_ports, until

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a control plane of the home folder on a port."""
    started: list[subprocess.Popen[str]] = []

    def one(port: int, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        ports = {"RANKLOOP_CONTROL_PORT": str(port), "RANKLOOP_INNER_PORT": "19000", "RANKLOOP_DASHBOARD_PORT": "18999"}
        environment = {**os.environ, **ports, "RANKLOOP_HOME": str(tmp_path / "home"), **variables}
        command = [sys.executable, "-m", "services.control", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(command, env=environment, **pipes))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.communicate()


def role(port: int) -> str:
    """What the process on a port is; empty while it does not answer."""
    try:
        return str(httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).json()["role"])
    except httpx.TransportError:
        return ""


@pytest.mark.slow
def test_of_two_one_leads_and_when_it_is_told_to_end_the_other_does_at_once(start: Start) -> None:
    first, second = free_ports(2)
    leader = start(first)
    until(lambda: role(first) == "leader", "the first leads", 60)
    follower = start(second)
    until(lambda: role(second) == "follower", "the second follows", 60)
    with ControlClient(f"http://127.0.0.1:{second}") as client:
        assert client.ready().holder
        assert client.releases().releases == []
    leader.send_signal(signal.SIGTERM)
    said, _ = leader.communicate(timeout=30)
    assert leader.returncode == 0, said
    until(lambda: role(second) == "leader", "the second leads", 30)
    follower.send_signal(signal.SIGINT)
    said, _ = follower.communicate(timeout=30)
    assert follower.returncode == 0, said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_busy_port_and_an_open_address_without_tokens_are_one_sentence(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said, _ = (process := start(port)).communicate(timeout=60)
        assert process.returncode == 1
        assert said.strip().splitlines()[-1].startswith(f"port {port} is taken")
        assert "RANKLOOP_CONTROL_PORT" in said
    said, _ = (process := start(free_ports(1)[0], "--host", "0.0.0.0")).communicate(timeout=60)
    assert process.returncode == 1
    assert "no token is configured" in said


@pytest.mark.slow
def test_a_record_that_does_not_answer_is_one_sentence_without_its_password(start: Start) -> None:
    (nobody,) = free_ports(1)
    url = f"postgresql+psycopg://rankloop:never-to-be-seen@127.0.0.1:{nobody}/rankloop"
    said, _ = (process := start(free_ports(1)[0], RANKLOOP_DATABASE_URL=url)).communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "never-to-be-seen" not in said
