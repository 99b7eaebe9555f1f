"""The drivers as the settings have them."""

from pathlib import Path

from rankloop.errors import SettingsError
from services.control.drivers.base import Edges, Server
from services.control.drivers.edges import LocalEdge, SocketEdges
from services.control.drivers.kuberay import KubeRayServer
from services.control.drivers.ray_serve import RayServer
from services.control.drivers.rayservice import RayServiceApi
from services.edge import open_edge
from services.settings import Settings
from services.stack.place import Place
from services.stack.watch import as_started

__all__ = ["open_edges", "open_server"]


def open_edges(settings: Settings) -> Edges:
    """The edges that `RANKLOOP_EDGES` names, else this machine's.

    Raises:
        SettingsError: an edge is named twice; or this machine's could be reached by strangers.
    """
    place = Place(settings.home)
    if not settings.edges.strip():
        started = as_started(settings, place.read("state"))
        return LocalEdge(open_edge(started, place.door))
    return SocketEdges([one.strip() for one in settings.edges.split(",") if one.strip()])


def open_server(settings: Settings) -> Server:
    """The RayService that `RANKLOOP_RAYSERVICE` names, else Ray Serve of this machine's stack.

    Raises:
        SettingsError: the name is not `namespace/name`, or the Kubernetes API's certificate cannot be read.
    """
    if not settings.rayservice.strip():
        return RayServer(settings)
    namespace, slash, name = settings.rayservice.strip().partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise SettingsError(f"RANKLOOP_RAYSERVICE is {settings.rayservice!r}; give it as namespace/name")
    account, url, slots = Path(settings.kubernetes_account), settings.kubernetes_url, settings.slots_url.rstrip("/")
    certificate = account / "ca.crt" if url.startswith("https:") else None
    api = RayServiceApi(url, namespace, name, token_file=account / "token", ca_file=certificate)
    return KubeRayServer(api, (lambda slot: f"{slots}/{slot}") if slots else settings.slot_url)
