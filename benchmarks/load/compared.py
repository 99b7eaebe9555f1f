"""The same measurements of every system: what one client waits, and how much many clients get."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.load.bundle import Made
from benchmarks.load.generator import Generator
from benchmarks.load.http import post
from benchmarks.load.missing import degraded
from benchmarks.load.timing import Sent
from benchmarks.load.wrk import Told, wrk

__all__ = ["ALONE", "KINDS", "Measured", "bodies_of", "full_per_s", "measured", "requests_of"]

KINDS: Final = ("recommend", "search")
ALONE: Final = "alone"
"""How the ids of the one client's requests begin; `-`, the kind, `-` and the number follow."""


class Measured(NamedTuple):
    """What one system did.

    Attributes:
        alone: by kind of request, one client that waits for each answer.
        clients: of the numbers that were tried, that with the most full answers a second.
        busy: what those clients saw.
    """

    alone: Mapping[str, Sent]
    clients: int
    busy: Told

    def figures(self, bare: Mapping[str, Sent]) -> dict[str, Any]:
        """The usual numbers; overheads are medians less the bare engine's on the same requests."""
        return {
            **{f"{kind}_p50_ms": self.alone[kind].at_ms(0.5) for kind in KINDS},
            **{f"{kind}_p99_ms": self.alone[kind].at_ms(0.99) for kind in KINDS},
            **{f"{kind}_overhead_ms": self.alone[kind].at_ms(0.5) - bare[kind].at_ms(0.5) for kind in KINDS},
            "full_per_s": self.busy.full_per_s,
            "clients": self.clients,
            "failed": self.busy.failed + sum(rows.failed for rows in self.alone.values()),
            "degraded_share": float(np.mean(np.concatenate([rows.answered().mark > 0 for rows in self.alone.values()]))),
        }


def bodies_of(release: Made, kind: str) -> list[dict[str, Any]]:
    """The bodies of a kind."""
    bodies: list[dict[str, Any]] = getattr(release, kind)
    return bodies


def requests_of(release: Made, kind: str, *, under: str = "", named: str = "") -> list[bytes]:
    """The same as whole HTTP requests.

    Args:
        release: what to ask.
        kind: of request.
        under: goes before the path.
        named: the request ids begin with it; empty: none is given.
    """
    bodies = enumerate(bodies_of(release, kind))
    return [
        post(f"{under}/v1/{kind}", body, **({"X_Request_Id": f"{named}-{kind}-{number}"} if named else {}))
        for number, body in bodies
    ]


def full_per_s(rows: Sent) -> float:
    """Answers a second of which nothing was left out: others are cheaper."""
    good = rows.answered()
    return rows.per_second * float((good.mark == 0).mean()) if len(good.mark) else 0.0


def measured(
    generator: Generator,
    address: tuple[str, int],
    release: Made,
    *,
    count: int,
    seconds: float,
    clients: Sequence[int],
) -> Measured:
    """Warms a system up, asks it as one client, then as many.

    Args:
        generator: sends what one client asks; many are wrk's.
        address: whom to ask.
        release: what to ask.
        count: requests of each kind by one client.
        seconds: of each number of clients.
        clients: numbers of clients to try; what is asked is half of each kind.
    """
    asked = {kind: requests_of(release, kind) for kind in KINDS}
    mixed = [request for pair in zip(*asked.values(), strict=True) for request in pair]
    generator.closed(address, mixed[-400:], clients=4, count=400)
    named = {kind: requests_of(release, kind, named=ALONE) for kind in KINDS}
    alone = {kind: generator.closed(address, named[kind], clients=1, count=count, mark=degraded) for kind in KINDS}
    tried = {n: wrk(address, mixed, clients=n, seconds=seconds) for n in clients}
    most = max(tried, key=lambda n: tried[n].full_per_s)
    return Measured(alone, most, tried[most])
