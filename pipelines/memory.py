"""How much memory a run takes: its own processes, and the trials that Ray runs for it elsewhere on this machine."""

from collections.abc import Iterator
from typing import Final

import psutil

__all__ = ["MemoryWatch"]

_TRIAL: Final = "ray::_Trial"
"""Ray names a worker after the actor it runs; see `rankloop.ranking.tuning`."""


class MemoryWatch:
    """Samples proportional set size: a page that n processes share counts 1/n in each.

    Args:
        pid: the run's process; its descendants count too.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def sample_mb(self) -> float:
        """MiB in use at this moment."""
        return sum(_pss(process) for process in self._processes()) / 2**20

    def _processes(self) -> Iterator[psutil.Process]:
        try:
            run = psutil.Process(self._pid)
            yield run
            own = run.children(recursive=True)
        except psutil.NoSuchProcess:
            return
        yield from own
        counted = {process.pid for process in own}
        for process in psutil.process_iter(["name", "cmdline"]):
            if process.pid not in counted and " ".join(process.info["cmdline"] or ()).startswith(_TRIAL):
                yield process


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
