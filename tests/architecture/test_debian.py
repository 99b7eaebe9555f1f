"""`.ci/debian`: what is missing is installed where one may, and else the command is said."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PAIRS = ("bash:bash", "no-such-program:a-package", "another-one:b-package")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH with nothing but what the script itself needs."""
    for name in ("bash", "env"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    return tmp_path


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)


def asked(root: Path, programs: Path, *pairs: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": str(programs)}
    command = [str(programs / "bash"), str(root / ".ci" / "debian"), *pairs]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_nothing_is_done_where_nothing_is_missing(root: Path, programs: Path) -> None:
    done = asked(root, programs, "bash:bash")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_missing_is_installed_and_not_started(root: Path, programs: Path) -> None:
    put(programs, "id", "echo 0")
    put(programs, "apt-get", 'echo "$RUNLEVEL $*"')
    done = asked(root, programs, *PAIRS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [" update -qq", "1 install -y -qq --no-install-recommends a-package b-package"]


def test_who_is_not_root_installs_with_sudo_where_it_asks_for_no_password(root: Path, programs: Path) -> None:
    put(programs, "id", "echo 1000")
    put(programs, "sudo", '[ "$1" = -n ] && shift && exec "$@"')
    put(programs, "true", "exit 0")
    put(programs, "apt-get", 'echo "$RUNLEVEL $*"')
    done = asked(root, programs, *PAIRS)
    assert done.stdout.splitlines()[-1] == "1 install -y -qq --no-install-recommends a-package b-package"


def test_who_may_not_install_is_told_what_to_run(root: Path, programs: Path) -> None:
    put(programs, "id", "echo 1000")
    put(programs, "sudo", "exit 1")
    put(programs, "apt-get", "exit 1")
    done = asked(root, programs, *PAIRS)
    assert done.returncode == 1
    assert done.stdout == ("not installed: a-package b-package; run: sudo RUNLEVEL=1 apt-get install a-package b-package\n")


def test_another_system_is_told_what_is_missing(root: Path, programs: Path) -> None:
    done = asked(root, programs, *PAIRS)
    assert (done.returncode, "this is no Debian" in done.stdout) == (1, True)
