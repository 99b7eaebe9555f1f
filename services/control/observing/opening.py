"""The observer that the settings name."""

from functools import partial

from services.control.observing.direct import DirectObserver
from services.control.observing.observer import Observer
from services.control.observing.overlap import shadow_overlap
from services.control.observing.prometheus import PrometheusObserver
from services.settings import Settings

__all__ = ["open_observer"]


def open_observer(settings: Settings) -> Observer:
    """Prometheus where it is set; else the tally and the edges themselves, which takes that their metrics can be reached.

    Args:
        settings: where they are. An edge's metrics are at `edge_metrics_port` of the host that `edges` names.
    """
    overlap = partial(shadow_overlap, settings.home)
    if settings.prometheus_url:
        return PrometheusObserver(settings.prometheus_url, overlap)
    tally = f"http://127.0.0.1:{settings.tally_port}/tally"
    hosts = dict.fromkeys(_host(one.strip()) for one in settings.edges.split(",") if one.strip()) or {"127.0.0.1": None}
    edges = [f"http://{host}:{settings.edge_metrics_port}/metrics" for host in hosts]
    return DirectObserver(tally, edges, overlap, memory=settings.home / "control" / "edge-counts.json")


def _host(address: str) -> str:
    """Of an admin socket: a path is this machine's."""
    return "127.0.0.1" if "/" in address else address.rpartition(":")[0]
