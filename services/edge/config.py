"""The edge's configuration: every number named, as the text HAProxy reads."""

from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from rankloop.errors import SettingsError
from services.edge.slots import NAMES, Slots

__all__ = ["LUA", "STATES", "EdgeConfig", "lua"]

LUA: Final = "unit.lua"
"""The file beside the configuration that reads what HAProxy's own JSON cannot."""

STATES: Final = "server-states"
"""The file beside the configuration that says every replica is down until its first check."""

_SOCKET_BYTES: Final = 107
_SPARE_BYTES: Final = 16_384
_OWN_ERRORS: Final = (
    (400, "this is no HTTP request that can be read; mend the client"),
    (403, "this is not allowed"),
    (408, "the request did not arrive in time; send it at once"),
    (500, "an error of the edge; its log says more"),
    (502, "the answer broke off; ask again"),
    (503, "every replica is busy; ask again after a second"),
    (504, "no answer in time; ask again"),
)


@dataclass(frozen=True)
class EdgeConfig:
    """What one edge does; `text` says it to HAProxy.

    It names processes by their ports: all of them live on this machine.

    Attributes:
        http_port: where people ask.
        inner_port: where programs of this machine ask one slot, `/blue/...` or `/green/...`, or the stable one.
        metrics_port: HAProxy's own series, on the loopback address.
        serve_port: Ray Serve's HAProxy, which answers at /blue and /green where no replica of a slot passed its check yet.
        admin_socket: path of the UNIX socket that changes weights; at most 107 bytes.
        admin_address: host:port at which the same is taken over TCP; empty: nowhere. Whoever reaches it rules the edge.
        replicas: ports at which replicas of either slot may listen; the health checks find which do.
        collectors: ports of the event collectors.
        host: the address that `http_port` is bound to.
        certificate: PEM file with certificate and key; None: plain HTTP.
        slots: who gets which release at the start.
        in_flight: requests a replica answers at the same time; further ones go to the next replica, or wait.
        serve_in_flight: requests Ray Serve's HAProxy answers at the same time.
        queued: how many wait for a slot while many do; a further one is refused with 503 at once.
        queued_burst: how many wait in the first `burst_ms` of a queue; a further one is refused.
        burst_ms: how long a queue may be that long, until it must have gone away.
        queue_ms: how long they wait before they are refused with 503.
        collector_in_flight: requests a collector takes at the same time.
        collector_queue_ms: how long further ones wait.
        max_body_bytes: the largest body; larger is 413. A body up to this is held, so that it can be sent again.
        max_events_bytes: the largest batch of events; larger is 413.
        max_header_bytes: the largest headers; larger is 431.
        client_rate: requests a second one client may make, over ten seconds; 0: any number.
        client_connections: connections one address may hold; 0: any number.
        max_connections: connections the edge takes at all.
        request_seconds: how long a client may take to send its request.
        keep_alive_seconds: how long an idle connection stays open.
        answer_seconds: how long an answer may take.
        connect_ms: how long a connection to a replica may take.
        threads: of HAProxy.
        log_every_request: or only those that failed or were sent again.
    """

    http_port: int
    inner_port: int
    metrics_port: int
    serve_port: int
    admin_socket: Path
    admin_address: str = ""
    replicas: tuple[int, ...] = ()
    collectors: tuple[int, ...] = ()
    host: str = "127.0.0.1"
    certificate: Path | None = None
    slots: Slots = field(default_factory=Slots)
    in_flight: int = 1
    serve_in_flight: int = 4
    queued: int = 6
    queued_burst: int = 24
    burst_ms: int = 200
    queue_ms: int = 250
    collector_in_flight: int = 32
    collector_queue_ms: int = 2_000
    max_body_bytes: int = 262_144
    max_events_bytes: int = 4_194_304
    max_header_bytes: int = 8_192
    client_rate: int = 2_000
    client_connections: int = 1_000
    max_connections: int = 4_096
    request_seconds: int = 10
    keep_alive_seconds: int = 30
    answer_seconds: int = 30
    connect_ms: int = 100
    threads: int = 1
    log_every_request: bool = False

    def __post_init__(self) -> None:
        if len(str(self.admin_socket)) + len(".4194304.tmp") > _SOCKET_BYTES:
            raise SettingsError(f"{self.admin_socket} is too long for a UNIX socket; put it under a shorter folder")

    @property
    def buffer_bytes(self) -> int:
        """Of one request: its body, its headers, and what rewriting them may add."""
        return self.max_body_bytes + self.max_header_bytes + _SPARE_BYTES

    def text(self, folder: Path) -> str:
        """The configuration, as HAProxy reads it.

        Args:
            folder: where `unit.lua` and the servers' first states lie.
        """
        from jinja2 import Environment, StrictUndefined  # commands that write no configuration need not wait for it

        template = _resource("haproxy.cfg.j2")
        jinja = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
        given: dict[str, Any] = {name: getattr(self, name) for name in asdict(self)}
        return jinja.from_string(template).render(
            **given,
            buffer_bytes=self.buffer_bytes,
            lua=folder / LUA,
            states=folder / STATES,
            names=NAMES,
            own_errors=_OWN_ERRORS,
            phrase=lambda status: HTTPStatus(status).phrase,
            rate_seconds=10,
        )

    def states(self) -> str:
        """HAProxy's record of servers that no check has passed yet, in version 1 of its format.

        It would send requests to each before the first check otherwise, and only few of `replicas` listen.
        """
        columns = (
            "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight"
            " srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state"
            " bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr"
            " srv_agent_addr srv_agent_port"
        )
        down = [
            f"0 {slot} {number} replica-{number} 127.0.0.1 0 0 1 1 0 8 2 0 6 0 0 0 - {port} - 0 0 - - 0"
            for slot in NAMES
            for number, port in enumerate(self.replicas, start=1)
        ]
        return "\n".join(["1", f"# {columns}", *down, ""])


def lua() -> str:
    """The text of `unit.lua`."""
    return _resource(LUA)


def _resource(name: str) -> str:
    return files("services.edge").joinpath(name).read_text(encoding="utf-8")
