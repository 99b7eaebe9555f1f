"""Ports are checked before anything starts, and a busy one is named with its holder."""

import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rankloop.errors import PortBusy, SettingsError, StackError
from services import stack
from services.settings import INNER_PORTS, Settings
from services.stack.children import Children
from services.stack.head import command, environment
from services.stack.place import Place
from services.stack.ports import InnerPorts, assert_free, needed

Make = Callable[..., Settings]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as taken:
        yield taken


def test_free_ports_pass(free_settings: Make, tmp_path: Path) -> None:
    assert_free(free_settings(tmp_path))


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize(
    ("field", "offset"),
    [
        ("http_port", 0),
        ("serve_port", 0),
        ("edge_metrics_port", 0),
        ("ray_port", 0),
        ("haproxy_stats_port", 0),
        ("inner_port", 0),
        ("inner_port", 333),
    ],
)
def test_a_busy_port_is_named_with_its_holder_and_its_variable(
    free_settings: Make, tmp_path: Path, listener: socket.socket, address: str, field: str, offset: int
) -> None:
    settings = free_settings(tmp_path)
    port = getattr(settings, field) + offset
    listener.bind((address, port))
    listener.listen()
    with pytest.raises(PortBusy) as caught:
        assert_free(settings)
    assert f"port {port} is held by" in str(caught.value)
    assert f"(process {os.getpid()})" in str(caught.value)
    assert f"set RANKLOOP_{field.upper()} to another port" in str(caught.value)


def test_a_busy_port_stops_up_before_anything_is_made(free_settings: Make, tmp_path: Path, listener: socket.socket) -> None:
    settings = free_settings(tmp_path)
    listener.bind(("127.0.0.1", settings.http_port))
    listener.listen()
    with pytest.raises(PortBusy, match=f"port {settings.http_port} is held by"):
        stack.up(settings)
    assert stack.status(settings).state == "down"
    assert not Place(settings.home).door.is_symlink()


def test_an_edge_that_cannot_start_stops_up_before_anything_is_made(free_settings: Make, tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("no certificate")
    settings = free_settings(tmp_path, tls_certificate=str(tmp_path / "none.pem"))
    with pytest.raises(StackError, match=r"HAProxy refuses [\s\S]*none\.pem"):
        stack.up(settings)
    with pytest.raises(SettingsError, match="no token is configured"):
        stack.up(free_settings(tmp_path, edge_host="0.0.0.0"))
    assert stack.status(settings).state == "down"


def test_a_closing_connection_is_not_a_holder(free_settings: Make, tmp_path: Path, listener: socket.socket) -> None:
    settings = free_settings(tmp_path)
    listener.bind(("127.0.0.1", settings.http_port))  # as Serve's replicas do: without SO_REUSEADDR
    listener.listen()
    with socket.create_connection(("127.0.0.1", settings.http_port)):
        server, _ = listener.accept()
        server.close()
    listener.close()
    assert_free(settings)


def test_two_settings_may_not_share_a_port(free_settings: Make, tmp_path: Path) -> None:
    settings = free_settings(tmp_path)
    clash = settings.model_copy(update={"http_port": settings.inner_port + 7})
    with pytest.raises(PortBusy, match="two settings share a port"):
        assert_free(clash)


def test_the_inner_ports_must_fit_below_the_last_port(free_settings: Make, tmp_path: Path) -> None:
    settings = free_settings(tmp_path)
    with pytest.raises(PortBusy, match="end above 65535"):
        assert_free(settings.model_copy(update={"inner_port": 65_300}))


def test_every_port_that_is_given_to_a_process_was_checked(free_settings: Make, tmp_path: Path) -> None:
    settings = free_settings(tmp_path)
    place = Place(settings.home)
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in command(place, settings) if "=" in flag)
    given = {int(value) for name, value in flags.items() if "port" in name}
    ours = environment(place, settings, {})
    given |= {int(value) for name, value in ours.items() if "PORT" in name}
    children = Children(place, settings)
    given |= {int(number) for number in re.findall(r"--port (\d+)", children.configuration())}
    config = children.edge.config
    given |= {config.http_port, config.inner_port, config.metrics_port, config.serve_port, *config.replicas, *config.collectors}
    assert given <= set(needed(settings))
    assert len(given) == len(set(given))
    assert len([name for name in flags if name.endswith("port")]) == 11


def test_the_ranges_of_inner_ports_do_not_overlap() -> None:
    inner, replicas = InnerPorts(20_000), Settings.read(inner_port=20_000).replica_ports
    ends = [edge for ports in (inner.workers, replicas, inner.grpc) for edge in (ports[0], ports[-1])]
    assert ends == sorted(ends)
    assert inner.workers[0] > 20_010
    assert inner.grpc[1] == 20_000 + INNER_PORTS - 1
