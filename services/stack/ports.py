"""Which ports the stack needs, and who has them."""

import socket
from dataclasses import dataclass
from typing import Final

import psutil

from rankloop.errors import PortBusy
from services.settings import INNER_PORTS, Settings
from services.stack.watchers import NAMES as WATCHERS
from services.stack.watchers import Watchers

__all__ = ["NAMED", "InnerPorts", "assert_free", "holders", "needed"]

NAMED: Final = (
    "http_port",
    "serve_port",
    "edge_metrics_port",
    "curator_port",
    "shadow_port",
    "control_port",
    "tally_port",
    "dashboard_port",
    "ray_port",
    "haproxy_metrics_port",
    "haproxy_stats_port",
    "prometheus_port",
    "alertmanager_port",
)
"""The settings that are ports of their own."""

_EVERYWHERE: Final = ("haproxy_metrics_port", "haproxy_stats_port")


@dataclass(frozen=True)
class InnerPorts:
    """How the consecutive ports of processes that only talk to each other are shared out.

    Attributes:
        first: the first of them.
    """

    first: int

    @property
    def agent(self) -> int:
        """Ray's agent, over HTTP; the next ten are its sisters, in the order of `services.stack.head`.

        Then come the edge's inner listener and the event collectors (`services.settings`).
        """
        return self.first

    @property
    def workers(self) -> tuple[int, int]:
        """Ray's workers and drivers: first and last."""
        return self.first + 100, self.first + 299

    @property
    def grpc(self) -> tuple[int, int]:
        """Replicas, over gRPC, which nothing of ours uses: first and last."""
        return self.first + 350, self.first + INNER_PORTS - 1


def needed(settings: Settings) -> dict[int, str]:
    """Every port the stack may bind, with the variable that moves it."""
    inner = {settings.inner_port + n: "RANKLOOP_INNER_PORT" for n in range(INNER_PORTS)}
    return inner | {getattr(settings, name): f"RANKLOOP_{name.upper()}" for name in _named(settings)}


def assert_free(settings: Settings) -> None:
    """Checks every port before anything is started.

    Raises:
        PortBusy: a port is asked for twice, or belongs to another process; names each, its holder and its variable.
    """
    ports, names = needed(settings), _named(settings)
    if len(ports) < INNER_PORTS + len(names):
        raise PortBusy(
            f"two settings share a port: {', '.join(f'{name}={getattr(settings, name)}' for name in names)}, and "
            f"{settings.inner_port} to {settings.inner_port + INNER_PORTS - 1} for inner processes; keep them apart"
        )
    if settings.inner_port + INNER_PORTS > 65_536:
        raise PortBusy(f"RANKLOOP_INNER_PORT is {settings.inner_port}; the {INNER_PORTS} ports from there end above 65535")
    everywhere = {getattr(settings, name) for name in _EVERYWHERE}
    if settings.edge_host != "127.0.0.1":
        everywhere.add(settings.http_port)
    busy = [port for port in sorted(ports) if not _is_free(port, "" if port in everywhere else "127.0.0.1")]
    if busy:
        held = holders(busy)
        lines = [f"port {port} is held by {held[port]}: stop it, or set {ports[port]} to another port" for port in busy]
        raise PortBusy("\n".join(lines))


def holders(ports: list[int]) -> dict[int, str]:
    """Who listens on each port, in words."""
    found = dict.fromkeys(ports, "a process of another user")
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS shows connections to the superuser only
        return found
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port in found and connection.pid:
            found[connection.laddr.port] = _holder(connection.pid)
    return found


def _named(settings: Settings) -> list[str]:
    """The settings of ports that something of this stack listens on."""
    unused = {f"{name}_port" for name in WATCHERS} if Watchers(settings).why_not else set()
    return [name for name in NAMED if name not in unused]


def _holder(pid: int) -> str:
    try:
        return f"{psutil.Process(pid).name()} (process {pid})"
    except psutil.NoSuchProcess:
        return f"process {pid}, which just ended"


def _is_free(port: int, host: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return not _answers(port)  # where nobody answers, a connection of the past is only closing
        return True


def _answers(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
