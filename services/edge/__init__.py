"""The edge: HAProxy in front of replicas and collectors, its configuration and its admin socket."""

from services.edge.config import EdgeConfig
from services.edge.edge import Edge
from services.edge.opening import open_edge
from services.edge.slots import NAMES, Slots, bucket_of
from services.edge.socket import AdminSocket, ServerState

__all__ = ["NAMES", "AdminSocket", "Edge", "EdgeConfig", "ServerState", "Slots", "bucket_of", "open_edge"]
