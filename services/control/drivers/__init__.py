"""Drivers: how the control plane changes the world, and what it reads back of it."""

from services.control.drivers.base import Edges, Say, Server
from services.control.drivers.direct import Order, done, read_orders, take_back
from services.control.drivers.edges import LocalEdge, SocketEdges
from services.control.drivers.kuberay import KubeRayServer
from services.control.drivers.opening import open_edges, open_server
from services.control.drivers.ray_serve import RayServer
from services.control.drivers.rayservice import RayServiceApi
from services.control.drivers.samples import sample_requests
from services.control.drivers.warming import Asked, Warmth, warm

__all__ = [
    "Asked",
    "Edges",
    "KubeRayServer",
    "LocalEdge",
    "Order",
    "RayServer",
    "RayServiceApi",
    "Say",
    "Server",
    "SocketEdges",
    "Warmth",
    "done",
    "open_edges",
    "open_server",
    "read_orders",
    "sample_requests",
    "take_back",
    "warm",
]
