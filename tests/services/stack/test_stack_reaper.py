"""The reaper ends the stack's processes, all of them, and nobody else's."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping

import psutil
import pytest

from services.stack.place import MARK
from services.stack.reaper import own_processes, reap

SLEEP = "import time; print(1, flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
PARENT = f"""
import os, subprocess, sys
bare = {{}} if sys.argv[1] == "bare" else None
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], env=bare, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
if sys.argv[2] == "stays":
    child.wait()
"""


class Spawner:
    """Starts processes and remembers them, so that no test leaves one."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def __call__(self, code: str, *arguments: str, mark: str | None, own_session: bool = True) -> tuple[int, int]:
        environment: Mapping[str, str] = {**os.environ, MARK: mark} if mark else dict(os.environ)
        command = [sys.executable, "-c", code, *arguments]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=own_session)
        self.started.append(process)
        assert process.stdout is not None
        return process.pid, int(process.stdout.readline())


@pytest.fixture
def spawn() -> Iterator[Spawner]:
    spawner = Spawner()
    yield spawner
    for process in spawner.started:
        process.kill()
        process.wait()


def pids(mark: str) -> set[int]:
    return {process.pid for process in own_processes(mark)}


def living(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_marked_process_is_ours_and_another_is_not(spawn: Spawner) -> None:
    ours, _ = spawn(SLEEP, mark="m1")
    spawn(SLEEP, mark="m2")
    spawn(SLEEP, mark=None)
    assert pids("m1") == {ours}


def test_a_child_that_lost_the_mark_is_ours(spawn: Spawner) -> None:
    parent, child = spawn(PARENT, "bare", "stays", mark="m3")
    assert pids("m3") == {parent, child}


def test_an_orphan_without_the_mark_is_ours_while_a_marked_one_shares_its_session(spawn: Spawner) -> None:
    script = (
        "import subprocess, sys, os\n"
        f"bare = subprocess.Popen([sys.executable, '-c', {PARENT!r}, 'bare', 'leaves'], env={{}}, stdout=subprocess.PIPE)\n"
        "pid = int(bare.stdout.readline()); bare.wait(); print(pid, flush=True)\n"
        f"{SLEEP.replace('print(1, flush=True); ', '')}"
    )
    leader, orphan = spawn(script, mark="m4")
    assert psutil.Process(orphan).ppid() != leader
    assert orphan in pids("m4")


def test_a_mark_exported_in_a_terminal_does_not_make_the_terminal_ours(spawn: Spawner) -> None:
    script = (
        "import os, subprocess, sys, time\n"
        f"both = {{**os.environ, {MARK!r}: 'm5'}}\n"
        f"marked = subprocess.Popen([sys.executable, '-c', {SLEEP!r}], env=both, stdout=subprocess.PIPE)\n"
        "marked.stdout.readline(); print(marked.pid, flush=True); time.sleep(60)"
    )
    terminal, marked = spawn(script, mark=None)
    assert pids("m5") == {marked}
    reap("m5", seconds=5, say=lambda _: None)
    assert living(terminal)


def test_a_stubborn_process_is_killed(spawn: Spawner) -> None:
    pid, _ = spawn(STUBBORN, mark="m6")
    assert reap("m6", seconds=0.3, say=lambda _: None) == 1
    assert not living(pid)


def test_reaping_twice_finds_nothing_the_second_time(spawn: Spawner) -> None:
    spawn(PARENT, "bare", "stays", mark="m7")
    said: list[str] = []
    assert reap("m7", seconds=5, say=said.append) == 2
    assert said == ["ending 2 processes"]
    assert reap("m7", seconds=5, say=said.append) == 0
    assert said == ["ending 2 processes"]


def test_the_caller_is_never_its_own_prey(monkeypatch: pytest.MonkeyPatch, spawn: Spawner) -> None:
    script = (
        "import os, sys; sys.path[:0] = sys.argv[1].split(os.pathsep)\n"
        "from services.stack.reaper import reap\n"
        "print(reap('m8', seconds=1, say=lambda _: None), flush=True)"
    )
    _, ended = spawn(script, os.pathsep.join(filter(None, sys.path)), mark="m8")
    assert ended == 0
