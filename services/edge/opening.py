"""The edge of this machine's stack, from its settings."""

from pathlib import Path

from services.auth import Tokens, refuse_strangers
from services.edge.config import EdgeConfig
from services.edge.edge import Edge
from services.settings import Settings

__all__ = ["open_edge"]


def open_edge(settings: Settings, sockets: Path) -> Edge:
    """The edge as the settings have it, whether it runs or not.

    Args:
        settings: ports, limits, certificate.
        sockets: a folder with a short name.

    Raises:
        SettingsError: other machines could reach it, and no token is configured; or the certificate is not there.
    """
    refuse_strangers(Tokens.read(settings), settings.edge_host)
    config = EdgeConfig(
        http_port=settings.http_port,
        inner_port=settings.inner_port + 11,
        metrics_port=settings.edge_metrics_port,
        serve_port=settings.serve_port,
        admin_socket=sockets / "edge.sock",
        admin_address=settings.edge_admin,
        replicas=settings.replica_ports,
        collectors=settings.collector_ports,
        host=settings.edge_host,
        certificate=Path(settings.tls_certificate).expanduser().absolute() if settings.tls_certificate else None,
        in_flight=settings.inflight,
        serve_in_flight=settings.replicas * settings.inflight,
        queued=settings.replicas * settings.queued,
        queued_burst=settings.replicas * max(settings.queued, settings.queued_burst),
        burst_ms=settings.burst_ms,
        queue_ms=settings.queue_ms,
        max_body_bytes=settings.max_body_bytes,
        max_events_bytes=settings.max_events_bytes,
        client_rate=settings.client_rate,
        client_connections=settings.client_connections,
        request_seconds=settings.request_seconds,
        answer_seconds=settings.answer_seconds,
        threads=settings.edge_threads,
        log_every_request=settings.edge_log == "all",
    )
    return Edge(settings.home / "edge", config)
