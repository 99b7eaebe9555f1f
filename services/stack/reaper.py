"""Finds the stack's processes by their mark, and ends them: Ray's own `stop` leaves HAProxy and takes strangers."""

import os
import time
from collections.abc import Callable, Sequence

import psutil

from rankloop.errors import StackError
from services.stack.place import MARK

__all__ = ["is_whole", "own_processes", "reap"]

_LAST = "gcs_server"  # Ray's other processes ask it for leave to end
_VITAL = {_LAST, "raylet", "haproxy"}


def own_processes(mark: str) -> list[psutil.Process]:
    """Every living process of the stack.

    These are the processes that inherited the mark, their descendants, and those of the sessions they live in: a
    process that writes its title (Ray's dashboard does) overwrites its own environment, mark included.
    """
    living = [process for process in psutil.process_iter() if _alive(process)]
    marked = {process.pid for process in living if _mark_of(process) == mark}
    pids = {process.pid for process in living}
    # a session whose leader lives unmarked is somebody's terminal, whatever was exported in it
    sessions = {sid for pid in marked if (sid := _session(pid)) and (sid in marked or sid not in pids)}
    own = marked | {pid for pid in pids if _session(pid) in sessions}
    grown = True
    while grown:
        heirs = {process.pid for process in living if _parent(process) in own} - own
        own |= heirs
        grown = bool(heirs)
    return [process for process in living if process.pid in own - {os.getpid()}]


def is_whole(processes: Sequence[psutil.Process]) -> bool:
    """Whether the processes are there without which nothing is answered; Serve brings back its own, HAProxy in half a minute."""
    return {_name(process) for process in processes} >= _VITAL


def reap(mark: str, *, seconds: float, say: Callable[[str], None]) -> int:
    """Asks every process of the stack to end, waits, and kills what is left.

    Args:
        mark: whose processes.
        seconds: how long a process may take to end by itself.
        say: takes one line of progress.

    Returns:
        How many processes there were.

    Raises:
        StackError: a process survived being killed.
    """
    seen: set[int] = set()
    for _ in range(3):  # a process may be born while its parent dies
        own = own_processes(mark)
        if not own:
            return len(seen)
        seen |= {process.pid for process in own}
        say(f"ending {len(own)} processes")
        last = [process for process in own if _name(process) == _LAST]
        _end([process for process in own if process not in last], seconds)
        _end(last, seconds)
    left = own_processes(mark)
    if left:
        names = ", ".join(f"{_name(process)} (process {process.pid})" for process in left)
        raise StackError(f"these processes of the stack survived being killed: {names}; end them yourself")
    return len(seen)


def _end(processes: Sequence[psutil.Process], seconds: float) -> None:
    for process in processes:
        _signalled(process.terminate)
    for process in _surviving(processes, seconds):
        _signalled(process.kill)
    _surviving(processes, seconds)


def _surviving(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    end, waiting = time.monotonic() + seconds, list(processes)
    while waiting := [process for process in waiting if _alive(process)]:
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    return waiting


def _signalled(act: Callable[[], None]) -> None:
    try:
        act()
    except psutil.NoSuchProcess:
        return  # it ended by itself in the meantime


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):  # ended, or another user's
        return None


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return None


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return "ended"
