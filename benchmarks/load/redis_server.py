"""A redis-server of the benchmark's own, which can be killed and started again."""

import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

import redis

from benchmarks.load.child import free_port, waited
from rankloop.errors import RankloopError

__all__ = ["RedisServer"]


class RedisServer:
    """A server on a free port of the loopback address that appends every write to a file; a context manager.

    Args:
        folder: where its file lies, so that a server that is started again knows what the killed one knew.
        fsync: when it hands the file to the disk, in its own words: `always` or `everysec`.
    """

    def __init__(self, folder: Path, *, fsync: str) -> None:
        self.port, self._folder, self._fsync = free_port(), folder, fsync
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """For `RANKLOOP_STATE_URL`."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process that runs now."""
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def start(self) -> None:
        """Starts it, on the same port and file as before, and waits until it answers.

        Raises:
            RankloopError: there is no redis-server on this machine.
        """
        program = shutil.which("redis-server")
        if program is None:
            raise RankloopError("redis-server is not installed; install it (Debian: redis-server), the benchmark kills it")
        flags = {"port": self.port, "bind": "127.0.0.1", "dir": self._folder, "appendonly": "yes", "appendfsync": self._fsync}
        command = [program, *(word for name, value in flags.items() for word in (f"--{name}", str(value))), "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        waited(self._answers, lambda: self._process.poll() is None, command)

    def kill(self) -> None:
        """Ends it in the middle of whatever it does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _answers(self) -> bool:
        try:
            return bool(redis.Redis(port=self.port, socket_timeout=1.0).ping())
        except redis.RedisError:
            return False
