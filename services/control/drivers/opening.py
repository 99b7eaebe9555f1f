"""The drivers as the settings have them."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from rankloop.errors import SettingsError
from services.control.drivers.base import Edges, Server
from services.control.drivers.edges import LocalEdge, SocketEdges
from services.control.drivers.kuberay import KubeRayServer
from services.control.drivers.ray_serve import RayServer
from services.control.drivers.rayservice import RayServiceApi
from services.edge import Slots, open_edge
from services.settings import Settings
from services.stack.place import Place
from services.stack.watch import as_started

__all__ = ["open_edges", "open_server"]

_API: Final = "https://kubernetes.default.svc"
_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def open_edges(settings: Settings) -> Edges:
    """The edges that `RANKLOOP_EDGES` names, else this machine's.

    Raises:
        SettingsError: an edge is named twice; or this machine's could be reached by strangers.
    """
    place = Place(settings.home)
    if not settings.edges.strip():
        started = as_started(settings, place.read("state"))
        return LocalEdge(open_edge(started, place.door))
    recorded = Slots.read(settings.home / "edge" / "slots.json")
    addresses = [one.strip() for one in settings.edges.split(",") if one.strip()]
    return SocketEdges(addresses, seeds=(recorded.split_seed, recorded.interleave_seed))


def open_server(settings: Settings) -> Server:
    """The RayService that `RANKLOOP_RAYSERVICE` names, else Ray Serve of this machine's stack.

    Raises:
        SettingsError: the name is not `namespace/name`, or the Kubernetes API's certificate cannot be read.
    """
    cluster = _Cluster.of(settings)
    if not cluster.rayservice:
        return RayServer(settings)
    namespace, slash, name = cluster.rayservice.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise SettingsError(f"RANKLOOP_RAYSERVICE is {cluster.rayservice!r}; give it as namespace/name")
    certificate = cluster.account / "ca.crt" if cluster.kubernetes_url.startswith("https:") else None
    api = RayServiceApi(cluster.kubernetes_url, namespace, name, token_file=cluster.account / "token", ca_file=certificate)
    return KubeRayServer(api, cluster.slot_url or settings.slot_url)


class _Cluster(NamedTuple):
    """What the settings say of a cluster."""

    rayservice: str
    kubernetes_url: str
    account: Path
    slots_url: str

    @classmethod
    def of(cls, settings: Settings) -> "_Cluster":
        names = ("rayservice", "kubernetes_url", "kubernetes_account", "slots_url")
        told = {name: str(getattr(settings, name, "")) for name in names}
        return cls(
            told["rayservice"].strip(),
            told["kubernetes_url"] or _API,
            Path(told["kubernetes_account"] or _ACCOUNT),
            told["slots_url"].rstrip("/"),
        )

    @property
    def slot_url(self) -> Callable[[str], str] | None:
        """Where a slot is asked; None: at this machine's edge."""
        return (lambda slot: f"{self.slots_url}/{slot}") if self.slots_url else None
