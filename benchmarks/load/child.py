"""Systems that are started for a measurement and gone after it."""

import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from benchmarks.result import ROOT
from pipelines.environment import RAY_ENVIRONMENT
from rankloop.errors import RankloopError
from services.stack.place import MARK
from services.stack.reaper import own_processes, reap

__all__ = ["answers", "child", "free_port", "processes", "short_folder", "waited"]

_START_S: Final = 240.0
_TAIL: Final = 3_000


@contextmanager
def child(command: Sequence[str], *, env: Mapping[str, str], ready: Callable[[], bool]) -> Iterator[str]:
    """Runs a command until the block ends; then it, and everything it started, is ended.

    Args:
        command: a program and its arguments.
        env: added to the environment.
        ready: whether it answers.

    Yields:
        The mark of its processes, see `services.stack.reaper`.

    Raises:
        RankloopError: it ended, or did not answer in time; its last words are in the message.
    """
    mark = f"bench-{secrets.token_hex(8)}"
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "RANKLOOP_"))}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            env={**mine, **RAY_ENVIRONMENT, "PYTHONPATH": str(ROOT), **env, MARK: mark},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            waited(ready, lambda: process.poll() is None, command)
            yield mark
        except BaseException as error:
            said.seek(0)
            error.add_note(f"{' '.join(command)} said:\n{said.read().decode(errors='replace')[-_TAIL:]}")
            raise
        finally:
            reap(mark, seconds=10.0, say=lambda _: None)
            process.wait()


def waited(ready: Callable[[], bool], alive: Callable[[], bool], what: Sequence[str]) -> None:
    """Waits until something is ready.

    Raises:
        RankloopError: it ended before, or it takes too long.
    """
    end = time.monotonic() + _START_S
    while not ready():
        if not alive() or time.monotonic() > end:
            raise RankloopError(f"{' '.join(what)} {'did not answer in time' if alive() else 'ended'}; its last words follow")
        time.sleep(0.2)


def answers(url: str, body: Mapping[str, object]) -> bool:
    """Whether a request is answered with 2xx."""
    try:
        return httpx.post(url, json=body, timeout=10.0).is_success
    except httpx.TransportError:
        return False


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a short name, for the sockets that Ray and HAProxy make; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="rl-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def processes(mark: str, part: str) -> list[int]:
    """The marked processes whose name or command holds a part, by number."""
    return [own.pid for own in own_processes(mark) if part in " ".join([own.name(), *own.cmdline()])]
