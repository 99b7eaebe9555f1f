"""Seconds and peak memory of a function or a command, measured from outside, in a process of its own."""

import multiprocessing
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from rankloop.errors import RankloopError

__all__ = ["Peak", "measure", "measure_command"]

_EVERY_S = 0.02


class Peak(NamedTuple):
    """What a child process cost.

    Attributes:
        seconds: wall time of the call, without the start of the interpreter; of a command, all of it.
        peak_bytes: the highest sum of resident memory over the child and its descendants. A page that two
            processes share counts in both, so this is an upper bound.
        value: what the function returned; of a command, its standard output.
    """

    seconds: float
    peak_bytes: int
    value: Any

    @property
    def peak_gb(self) -> float:
        """`peak_bytes` in units of 10^9 bytes."""
        return self.peak_bytes / 1e9


def measure(function: Callable[..., Any], *arguments: Any, **named: Any) -> Peak:
    """Calls an importable function in a fresh interpreter and watches it.

    Args:
        function: a module-level function; it, its arguments and its answer must pickle.
        arguments: positional arguments.
        named: named arguments.

    Raises:
        RankloopError: the function raised (the child's trace is in the message) or its process died.
    """
    fresh = multiprocessing.get_context("spawn")
    ours, theirs = fresh.Pipe(duplex=False)
    child = fresh.Process(target=_call, args=(theirs, function, arguments, named))
    child.start()
    theirs.close()
    peak = _watch(child.pid or 0, lambda: ours.poll(_EVERY_S) or not child.is_alive())
    try:
        seconds, value, failure = ours.recv()
    except EOFError:
        child.join()
        raise RankloopError(f"{function.__name__} ended with exit code {child.exitcode} and no answer") from None
    child.join()
    if failure:
        raise RankloopError(f"{function.__name__} failed in its own process:\n{failure}")
    return Peak(seconds, peak, value)


def measure_command(command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | Path | None = None) -> Peak:
    """Runs a command to its end and watches it; `env` is added to the environment.

    Raises:
        RankloopError: the command's exit code is not 0; its standard error is in the message.
    """
    begin = time.perf_counter()
    full = {**os.environ, **(env or {})}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=full, cwd=cwd)
    ended: list[tuple[str, str]] = []

    def over() -> bool:
        try:
            ended.append(child.communicate(timeout=_EVERY_S))
        except subprocess.TimeoutExpired:
            return False
        return True

    peak = _watch(child.pid, over)
    seconds = time.perf_counter() - begin
    output, errors = ended[0]
    if child.returncode:
        raise RankloopError(f"{' '.join(command)} ended with exit code {child.returncode}:\n{errors[-4000:]}")
    return Peak(seconds, peak, output)


def _call(pipe: Connection, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    begin = time.perf_counter()
    try:
        value, failure = function(*arguments, **named), ""
    except Exception:
        value, failure = None, traceback.format_exc()
    pipe.send((time.perf_counter() - begin, value, failure))
    pipe.close()


def _watch(pid: int, over: Callable[[], bool]) -> int:
    """The highest memory seen until `over()`, which waits a little at each call."""
    peak = 0
    while True:
        last = over()
        peak = max(peak, _resident(pid))
        if last:
            return peak


def _resident(pid: int) -> int:
    """Resident bytes of a process tree now, or the high-water mark of its largest member if that is more."""
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    now, marks = 0, [0]
    for process in tree:
        try:
            now += process.memory_info().rss
            marks.append(_high_water(process.pid))
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return max(now, *marks)


def _high_water(pid: int) -> int:
    """The kernel's own high-water mark, which no sampling misses; 0 where there is none to read."""
    if sys.platform != "linux":
        return 0
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)
