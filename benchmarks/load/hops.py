"""Where a request's time goes: the same requests asked at each process on the way to the engine."""

from benchmarks.load.bundle import Made
from benchmarks.load.compared import KINDS, requests_of
from benchmarks.load.generator import Generator
from benchmarks.load.http import get
from benchmarks.load.ours import Ours

__all__ = ["hops"]


def hops(stack: Ours, generator: Generator, release: Made, *, count: int) -> dict[str, dict[str, float]]:
    """By place on the way, the median of one client in milliseconds for each kind of request, nearest to the engine first.

    Then what it takes to be told next to nothing, by the edge itself and by a replica that asks no engine: what this client and
    one or the other process cost at the least.
    """
    slot = stack.ask("GET", "/readyz").headers["x-rankloop-slot"]
    found_at = stack.settings.replica_ports
    replicas = [process.ports for process in stack.status().processes if process.role == "replica"]
    direct = next(port for ports in replicas for port in ports if port in found_at)
    places = {
        "at the replica": (direct, f"/{slot}"),
        "at Ray Serve's HAProxy": (stack.settings.serve_port, f"/{slot}"),
        "at the edge": (stack.settings.http_port, ""),
    }
    found: dict[str, dict[str, float]] = {}
    for name, (port, under) in places.items():
        asked = {kind: requests_of(release, kind, under=under) for kind in KINDS}
        sent = {kind: generator.closed(("127.0.0.1", port), own, clients=1, count=count) for kind, own in asked.items()}
        found[name] = {f"{kind}_p50_ms": rows.at_ms(0.5) for kind, rows in sent.items()}
    idle = {"nothing, by the edge": (stack.settings.http_port, ""), "nothing, by a replica's HTTP": (direct, f"/{slot}")}
    for name, (port, under) in idle.items():
        rows = generator.closed(("127.0.0.1", port), [get(f"{under}/healthz")], clients=1, count=count)
        found[name] = {"p50_ms": rows.at_ms(0.5)}
    return found
