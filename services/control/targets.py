"""Which replicas live, in the words of Prometheus' HTTP service discovery."""

from collections.abc import Iterable

from msgspec import Struct

from services.edge import NAMES, ServerState

__all__ = ["Target", "targets"]


class Target(Struct):
    """Processes to be asked for series, with labels of their own.

    Attributes:
        targets: where each listens, as host:port.
        labels: added to each of their series; `__metrics_path__` is where they are asked.
    """

    targets: list[str]
    labels: dict[str, str]


def targets(servers: Iterable[ServerState]) -> list[Target]:
    """The replicas that pass their health checks, each once however many edges name it.

    Args:
        servers: whoever is behind the edges.

    Example:
        >>> one = ServerState("blue", "replica-11", True, "UP", "L7OK", "127.0.0.1:21310")
        >>> gone = ServerState("green", "replica-11", False, "DOWN", "L7RSP", "127.0.0.1:21310")
        >>> targets([one, gone, one])[0].labels
        {'__metrics_path__': '/blue/metrics', 'slot': 'blue', 'replica': 'replica-11'}
    """
    found = {
        (own.backend, own.address): own for own in servers if own.backend in NAMES and own.up and own.name.startswith("replica-")
    }
    return [
        Target([own.address], {"__metrics_path__": f"/{own.backend}/metrics", "slot": own.backend, "replica": own.name})
        for own in found.values()
    ]
