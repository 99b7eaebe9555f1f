"""How many answers a second a system gives, asked by wrk, which takes less of the machine than a client in Python."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.load.missing import WORDS
from rankloop.errors import RankloopError

__all__ = ["Told", "wrk"]

_SCRIPT = Path(__file__).with_suffix(".lua")


class Told(NamedTuple):
    """What wrk saw.

    Attributes:
        seconds: how long it asked.
        full: answers of which nothing was left out.
        partial: others with status 200.
        failed: requests with another answer, or with none.
    """

    seconds: float
    full: int
    partial: int
    failed: int

    @property
    def full_per_s(self) -> float:
        """Answers a second of which nothing was left out: others are cheaper."""
        return self.full / self.seconds


def wrk(address: tuple[str, int], requests: Sequence[bytes], *, clients: int, seconds: float) -> Told:
    """Asks with so many clients, each of which sends the next request when the last one was answered.

    Args:
        address: host and port.
        requests: whole HTTP/1.1 requests, sent in turn.
        clients: connections.
        seconds: how long, at least one.

    Raises:
        RankloopError: there is no wrk on this machine, or it cannot reach the address.
    """
    program = shutil.which("wrk")
    if program is None:
        raise RankloopError("wrk is not installed; install it (Debian: wrk), the benchmark asks with it")
    with tempfile.NamedTemporaryFile(prefix="rankloop-wrk-") as file:
        for request in requests:
            file.write(b"%d\n%s" % (len(request), request))
        file.flush()
        length = f"{max(round(seconds), 1)}s"
        flags = ["--threads", "1", "--connections", str(clients), "--duration", length, "--timeout", "30s"]
        url = f"http://{address[0]}:{address[1]}"
        command = [program, *flags, "--script", str(_SCRIPT), url, "--", file.name, *WORDS]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RankloopError(f"wrk cannot ask {url}: {(done.stderr or done.stdout).strip()}")
    return Told(**json.loads(done.stdout.splitlines()[-1]))
