"""The edge from the settings of a machine."""

from pathlib import Path

import pytest

from rankloop.errors import SettingsError
from services.edge import open_edge
from services.settings import Settings


def test_every_limit_is_a_setting(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path, replicas=3, inflight=5, queue_ms=40, client_rate=7, collectors=3, inner_port=22_000)
    config = open_edge(settings, Path("/tmp")).config
    assert (config.in_flight, config.serve_in_flight, config.queued, config.queued_burst) == (5, 15, 18, 72)
    assert (config.queue_ms, config.client_rate) == (40, 7)
    assert config.replicas == tuple(range(22_300, 22_350))
    assert config.collectors == settings.collector_ports == (22_012, 22_013, 22_014)
    assert settings.slot_url("green") == f"http://127.0.0.1:{config.inner_port}/green"


def test_another_address_than_the_loopback_one_takes_tokens(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path, edge_host="0.0.0.0")
    with pytest.raises(SettingsError, match="no token is configured"):
        open_edge(settings, Path("/tmp"))
    given = "shop:read:" + "a" * 64
    assert open_edge(settings.model_copy(update={"tokens_sha256": given}), Path("/tmp")).config.host == "0.0.0.0"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("10.1.2.3", "http://10.1.2.3:8000"),
    ],
)
def test_the_service_is_asked_where_the_edge_listens(host: str, url: str) -> None:
    assert Settings.read(edge_host=host).service_url == url


def test_a_certificate_makes_the_address_https(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path, tls_certificate="edge.pem")
    assert settings.service_url == "https://127.0.0.1:8000"
    assert open_edge(settings, Path("/tmp")).config.certificate == Path("edge.pem").absolute()
