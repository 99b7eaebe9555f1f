"""The processes beside Ray: edge, collectors, curator, tally, shadow worker, control plane, watchers; under one supervisor."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from configparser import RawConfigParser
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from typing import Any, Final
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from rankloop.files import write_aside
from services.edge import Edge, open_edge
from services.settings import Settings
from services.stack.head import environment
from services.stack.place import Place
from services.stack.watchers import NAMES, Watchers

__all__ = ["Children", "Program"]

_POLL_SECONDS: Final = 0.05
_LOG_BYTES: Final = "10MB"


@dataclass(frozen=True)
class Program:
    """One process that is started again whenever it ends.

    Attributes:
        name: as it is called, and its log.
        command: what starts it.
        rank: a lower one starts earlier and ends later.
    """

    name: str
    command: tuple[str, ...]
    rank: int


class Children:
    """Starts, asks and stops the supervisor of one stack.

    Args:
        place: the stack's folders.
        settings: what the processes do.
        watchers: Prometheus and Alertmanager; None: those that are installed.
    """

    def __init__(self, place: Place, settings: Settings, watchers: Watchers | None = None) -> None:
        self._place, self._settings = place, settings
        self.watchers = watchers or Watchers(settings)
        self._socket = place.door / "supervisor.sock"

    @cached_property
    def edge(self) -> Edge:
        """The edge among them.

        Raises:
            SettingsError: other machines could reach it, and no token is configured.
        """
        return open_edge(self._settings, self._place.door)

    def programs(self) -> Iterator[Program]:
        """What runs, in the order it starts: who takes requests comes last, and ends first."""
        python = (sys.executable, "-m")
        yield Program("curator", (*python, "services.events", "curate"), 10)
        for number, port in enumerate(self._settings.collector_ports, start=1):
            yield Program(f"collector-{number}", (*python, "services.events", "collect", "--port", str(port)), 20)
        yield Program("tally", (*python, "services.tally"), 30)
        if self._settings.shadow_share > 0:
            yield Program("shadow", (*python, "services.shadow"), 30)
        yield Program("edge", tuple(self.edge.command), 40)
        # what changes the others begins when they are there, and ends before they do
        yield Program("control", (*python, "services.control"), 50)
        # what judges them begins when they are there, and ends before it could call them dead
        for name, command in self.watchers.commands().items():
            yield Program(name, command, 60)

    def start(self) -> None:
        """Starts the supervisor in a session of its own; it starts the rest.

        Raises:
            StackError: HAProxy refuses the edge's configuration.
            SettingsError: the edge could be reached by strangers.
        """
        self.edge.prepare()
        file = write_aside(self._place.folder / "supervisord.conf", self.configuration())
        with (self._place.logs / "supervisor-start.log").open("wb") as out:
            subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(file)],
                env=environment(self._place, self._settings, os.environ),
                cwd=self._place.home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def configuration(self) -> str:
        """The supervisor's configuration."""
        folder = self._place.folder
        sections: dict[str, dict[str, Any]] = {
            "supervisord": {
                "logfile": self._place.logs / "supervisor.log",
                "logfile_maxbytes": _LOG_BYTES,
                "logfile_backups": 1,
                "pidfile": folder / "supervisor.pid",
                "silent": "true",
            },
            "unix_http_server": {"file": self._socket, "chmod": "0700"},
            "rpcinterface:supervisor": {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        }
        sections |= {f"program:{own.name}": self._section(own) for own in self.programs()}
        # one group ends at once, in order; several would each wait for the one before
        sections["group:rankloop"] = {"programs": ",".join(own.name for own in self.programs())}
        parser = RawConfigParser()
        for name, own in sections.items():
            parser[name] = {key: str(value).replace("%", "%%") for key, value in own.items()}
        parser.write(out := StringIO())
        return out.getvalue()

    def states(self) -> dict[str, str]:
        """By name, the supervisor's word for each process, such as RUNNING or BACKOFF; empty where none answers."""
        try:
            with self._asked() as supervisor:
                told: Any = supervisor.supervisor.getAllProcessInfo()
        except (OSError, Fault):
            return {}
        return {own["name"]: own["statename"] for own in told}

    def answer(self) -> bool:
        """Whether the edge takes requests, and somebody watches it."""
        return bool(self.states()) and self.edge.admin.answers()

    def take_events(self) -> bool:
        """Whether every collector passes the edge's health check."""
        return all(own.up for own in self.edge.admin.servers() if own.backend == "collectors")

    def ailing(self) -> dict[str, str]:
        """By name, the processes that do not run just now, and the supervisor's word for why."""
        return {name: state for name, state in self.states().items() if state != "RUNNING"}

    def at_work(self) -> bool:
        """Whether every process runs without which something is not done; those that only watch may be ill."""
        return not set(self.ailing()) - set(NAMES)

    def stop(self, *, seconds: float) -> bool:
        """Tells them to end: first the edge, last the curator. What does not end in time is the reaper's.

        Returns:
            Whether there was a supervisor to ask.
        """
        try:
            with self._asked() as supervisor:
                supervisor.supervisor.shutdown()
        except (OSError, Fault):
            return False
        end = time.monotonic() + seconds
        while self._socket.exists() and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
        return True

    def _asked(self) -> ServerProxy:
        return ServerProxy("http://127.0.0.1", transport=SupervisorTransport(None, None, f"unix://{self._socket}"))

    def _section(self, program: Program) -> dict[str, Any]:
        return {
            "command": shlex.join(program.command),
            "directory": self._place.home,
            "priority": program.rank,
            "autorestart": "true",
            # one that ends sooner is started again a second later, then after two, and so on
            "startsecs": 1,
            "startretries": 1_000_000,
            "stopwaitsecs": max(1, round(self._settings.stop_seconds / 2)),
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": self._place.logs / f"{program.name}.log",
            "stdout_logfile_maxbytes": _LOG_BYTES,
            "stdout_logfile_backups": 1,
        }
