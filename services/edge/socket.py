"""HAProxy's sockets: what is said to a running edge."""

import csv
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rankloop.errors import StackError
from services.edge.slots import Slots

__all__ = ["AdminSocket", "ServerState"]

_VALUE: Final = re.compile(r"value=<(.*)>")
_TCP: Final = re.compile(r"\[?([^/\]]+)\]?:(\d{1,5})")
_CHUNK: Final = 65_536
_NUMBERS: Final = ("canary_bp", "interleave_bp", "split_seed", "interleave_seed")


@dataclass(frozen=True)
class ServerState:
    """One server behind the edge.

    Attributes:
        backend: `blue`, `green` or `collectors`.
        name: the server's, such as `serve`.
        up: whether it takes requests.
        status: HAProxy's own word, such as `UP`, `DOWN` or `MAINT`.
        check: how the last health check ended, such as `L7OK` or `L4CON`.
        address: where it listens, as host:port.
    """

    backend: str
    name: str
    up: bool
    status: str
    check: str
    address: str


class AdminSocket:
    """Asks and tells a running HAProxy by its admin socket; it holds no connection.

    HAProxy asks nobody at this socket who they are: one that is reached over TCP must be closed to strangers by the network.

    Args:
        address: the path of a UNIX socket; or as text also `host:port`, with an IPv6 address in brackets.
        seconds: the longest wait for a connection, and again for each part of an answer.
    """

    def __init__(self, address: Path | str, *, seconds: float = 5.0) -> None:
        found = _TCP.fullmatch(address) if isinstance(address, str) else None
        self._remote = (found[1], int(found[2])) if found else None
        self._address, self._seconds = address, seconds

    @property
    def address(self) -> str:
        """Where it is asked."""
        return str(self._address)

    def command(self, text: str) -> str:
        """Says one line, which may hold several commands with `;` between, and returns what HAProxy says.

        Raises:
            StackError: nobody listens.
        """
        heard = bytearray()
        try:
            with self._connected() as line:
                line.sendall(text.encode() + b"\n")
                while chunk := line.recv(_CHUNK):
                    heard += chunk
        except (OSError, OverflowError) as error:  # a port beyond 65535 is an OverflowError
            raise StackError(f"the edge does not answer at {self.address} ({error}); is the stack up? `rankloop up`") from error
        return heard.decode(errors="replace").strip()

    def answers(self) -> bool:
        """Whether an edge listens."""
        try:
            return "Uptime" in self.command("show info")
        except StackError:
            return False

    def weights(self) -> Slots:
        """Who gets which release now.

        Raises:
            StackError: the edge does not answer, or not as an edge of ours.
        """
        stable, *numbers = self._variables("stable", *_NUMBERS)
        return Slots(stable, **dict(zip(_NUMBERS, map(int, numbers), strict=True)))

    def set_weights(self, wanted: Slots) -> None:
        """Makes the edge split so from the next request on; another stable slot is one switch, with no state between.

        Naming the canary's slot stable gives everybody that slot at once; what is written after it changes nobody's.

        Raises:
            StackError: the edge does not answer, or did not take a value; or the seeds would change, which takes a reload.
        """
        before = self.weights()
        seeds = (before.split_seed, before.interleave_seed)
        if (wanted.split_seed, wanted.interleave_seed) != seeds:
            raise StackError(
                f"the seeds are {seeds} in the configuration of {self.address}, not "
                f"{(wanted.split_seed, wanted.interleave_seed)}; no running edge changes them: configure it anew and reload it"
            )
        commands = [f"set var proc.stable str({wanted.stable})"] if before.stable != wanted.stable else []
        commands += [
            f"set var proc.canary_bp int({wanted.canary_bp})",
            f"set var proc.interleave_bp int({wanted.interleave_bp})",
            f"set var proc.canary str({wanted.idle})",
        ]
        said = self.command("; ".join(["experimental-mode on", *commands]))
        found = self.weights()
        if found != wanted or self._variables("canary") != [wanted.idle]:
            raise StackError(
                f"the edge was told {wanted} and has {found}: {said or 'it gave no reason'}; try again, then `rankloop up`"
            )

    def servers(self) -> list[ServerState]:
        """The servers behind the edge, as its health checks see them.

        Raises:
            StackError: the edge does not answer.
        """
        rows = csv.DictReader(self.command("show stat -1 4 -1").removeprefix("# ").splitlines())
        return [
            ServerState(
                row["pxname"],
                row["svname"],
                row["status"].startswith("UP"),
                row["status"],
                row["check_status"].lstrip("* "),
                row["addr"],
            )
            for row in rows
        ]

    def _connected(self) -> socket.socket:
        if self._remote is not None:
            return socket.create_connection(self._remote, timeout=self._seconds)
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.settimeout(self._seconds)
            line.connect(self.address)
        except OSError:
            line.close()
            raise
        return line

    def _variables(self, *names: str) -> list[str]:
        said = self.command("; ".join(f"get var proc.{name}" for name in names))
        if len(found := _VALUE.findall(said)) != len(names):
            raise StackError(
                f"{self.address} does not know all of {', '.join(names)} ({said}); it is no edge of this version: "
                "`rankloop down`, `rankloop up`"
            )
        return found
