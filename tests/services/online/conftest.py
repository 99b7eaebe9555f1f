"""A real Redis server on a free port, which a test may kill, freeze and start again."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

BINARY = shutil.which("redis-server") or shutil.which("valkey-server")


class Server:
    """One server; its port and its files stay its own when it is started again."""

    def __init__(self, folder: Path, *options: str, scheme: str = "redis", password: str = "") -> None:
        self.folder, self.options, self.scheme, self.password = folder, options, scheme, password
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Starts it and waits until it answers; on another port where somebody took the one it was to have."""
        for _ in range(5):
            self.port = self.port or free_port()
            given = (f"--port {self.port}" if self.scheme == "redis" else f"--port 0 --tls-port {self.port}").split()
            secret = ["--requirepass", self.password] if self.password else []
            command = [
                str(BINARY),
                *given,
                "--bind",
                "127.0.0.1",
                "--dir",
                str(self.folder),
                "--save",
                "",
                *secret,
                *self.options,
            ]
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if self._answers():
                return
            self.stop()
            self.port = 0
        pytest.fail(f"{BINARY} does not start: {command}")

    def kill(self) -> None:
        """kill -9."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Lets it accept connections, and answer nobody."""
        assert self.process
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, **({"ssl_cert_reqs": "none"} if self.scheme == "rediss" else {}))

    def _answers(self) -> bool:
        assert self.process
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with self.client() as client:
                    client.ping()
                return True
            except redis.RedisError:
                time.sleep(0.02)
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


Starter = Callable[..., Server]


@pytest.fixture(scope="session")
def start_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    """Starts servers that end with the tests."""
    if BINARY is None:
        pytest.skip("redis-server is not installed")
    started: list[Server] = []

    def start(*options: str, scheme: str = "redis", password: str = "") -> Server:
        server = Server(tmp_path_factory.mktemp("redis"), *options, scheme=scheme, password=password)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def redis_server(start_redis: Starter) -> Server:
    """One server that many tests share, each with ids of its own."""
    return start_redis()
