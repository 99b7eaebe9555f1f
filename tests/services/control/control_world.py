"""A control plane to ask: a real record, a real edge, a toy that plays Ray Serve, and the application on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from litestar import Litestar

from monitoring.metrics import ControlMetrics
from rankloop.canary import LATENCY_EDGES, Arm, Observation
from services.auth import Tokens
from services.control.app import build_control
from services.control.controller import Controller
from services.control.counting import Counting
from services.control.database import Database, database_url, open_database
from services.control.drivers import RayServer, SocketEdges, Warmth
from services.control.opening import readiness
from services.control.pager import Incidents, Pager, open_receivers
from services.control.pager.receivers import Receiver
from services.control.readout import Readouts
from services.control.runs import open_runs
from services.control.views import Views
from services.settings import Settings
from tests.services.control.conftest import NOW, release_facts
from tests.services.control.toy_serve import ToyServe, toy_serve
from tests.services.edge.conftest import Rig

POLICY: dict[str, Any] = {"steps": [500, 5000], "min_seconds": 0, "min_units": 2, "interval_seconds": 1, "max_seconds": 1000}
"""Two short steps."""


@dataclass
class World:
    """Everything, with a clock that tests set.

    Attributes:
        failed: of a thousand requests of the canary, how many failed.
        seen: whether anything can be observed.
        receivers: who is told of incidents.
    """

    settings: Settings
    database: Database
    serve: ToyServe
    edges: SocketEdges
    now: datetime = NOW
    failed: int = 0
    seen: bool = True
    receivers: list[Receiver] = field(default_factory=list)
    metrics: ControlMetrics = field(default_factory=lambda: ControlMetrics(process=False))

    def __post_init__(self) -> None:
        server = RayServer(self.settings)
        self.controller = Controller(
            self.database,
            self.edges,
            server,
            self,
            self.tried,
            readouts=Readouts(self.settings),
            clock=lambda: self.now,
            home=self.settings.home,
            beside=False,
        )
        self.views = Views(self.database, self.settings)
        self.runs, self.triggers = open_runs(self.database, self.settings, clock=lambda: self.now)
        self.counting = Counting(self.database, self.metrics, self.runs.steps)
        self.pager = Pager(
            self.database,
            self.settings,
            self.receivers,
            triggers=self.triggers,
            commands=self.controller,
            clock=lambda: self.now,
        )
        self.app: Litestar = build_control(
            self.settings,
            views=self.views,
            commands=self.controller,
            runs=self.runs,
            triggers=self.triggers,
            pager=self.pager,
            incidents=Incidents(self.database, self.settings, clock=lambda: self.now),
            edges=self.edges,
            server=server,
            readiness=lambda: readiness(self.controller, self.runs, self.pager, self.database),
            tokens=Tokens.read(self.settings),
            metrics=self.metrics,
        )

    def tried(self, slot: str, release: Any) -> Warmth:
        """A release in a slot takes its first requests."""
        return Warmth(requests=3, failed=0, empty=0, p50_ms=2.0, p95_ms=4.0)

    def observe(self, stable: str, canary: str, since: float) -> Observation | None:
        """Both slots alike, in the shares of the split, but for what failed."""
        if not self.seen:
            return None
        share, none = self.views.desired().canary_bp, [0] * (len(LATENCY_EDGES) + 1)
        arms = [(stable, 10_000 - share, 0), (canary, share, share * self.failed // 1000)]
        return Observation(self.now.timestamp(), since, share, *(Arm(name, n, n, bad, n, {}, none) for name, n, bad in arms))

    def register(self, *names: str) -> None:
        """Makes releases known."""
        for name in names:
            self.controller.register(
                release_facts(name, bento=str(self.settings.bento_store / name)), who="test", why="it is new"
            )

    def tick(self, times: int = 1, *, seconds: float = 1.0) -> None:
        """Rounds of the loop, a while apart."""
        for _ in range(times):
            self.now += timedelta(seconds=seconds)
            self.controller.tick()

    def serving(self, name: str) -> None:
        """A release serves everybody."""
        self.register(name)
        self.controller.serve_now(name, who="test", why="it is the first")
        self.tick(3)


@contextmanager
def world(rig: Rig, home: Path, *, more_edges: tuple[str, ...] = (), **settings: Any) -> Iterator[World]:
    """One that ends with the block."""
    with toy_serve() as serve:
        serve.looks = 0
        ports = {"inner_port": serve.port - 11, "dashboard_port": serve.port}
        own = Settings.read(home=home, edges=str(rig.edge.config.admin_socket), start_seconds=20, **ports, **settings)
        edges = SocketEdges([str(rig.edge.config.admin_socket), *more_edges])
        with open_database(database_url(own)) as database:
            yield World(own, database, serve, edges, receivers=open_receivers(own))
