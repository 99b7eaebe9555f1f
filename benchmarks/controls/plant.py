"""Something to control: a real HAProxy, and a stand-in for Ray Serve; any number of processes may control it."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import SecretStr

from benchmarks.load.child import free_port
from benchmarks.result import ROOT
from rankloop.canary import Arm, Observation, Ratio
from rankloop.errors import RankloopError
from services.control.controller import Controller
from services.control.database import Database, Release, ReleaseFacts, desired, open_database, register
from services.control.drivers import LocalEdge, RayServer, Warmth, warm
from services.control.readout import Readouts
from services.edge import Edge, EdgeConfig, Slots
from services.ranking.schemas import RecommendRequest
from services.settings import Settings

__all__ = ["Plant", "Seen", "facts", "plant"]

_WAIT_S: Final = 20.0
_UNITS: Final = 1_000_000


@dataclass(frozen=True)
class Plant:
    """Where everything is; another process may be given it.

    Attributes:
        home: the folder of all state.
        http_port: where people ask the edge.
        inner_port: where programs ask it.
        metrics_port: the edge's.
        serve_port: the replicas'.
        dashboard_port: of Ray's REST API.
        database_url: of the record.
    """

    home: Path
    http_port: int
    inner_port: int
    metrics_port: int
    serve_port: int
    dashboard_port: int
    database_url: str

    @property
    def settings(self) -> Settings:
        """As the services read them."""
        return Settings(
            home=self.home,
            http_port=self.http_port,
            inner_port=self.inner_port - 11,
            serve_port=self.serve_port,
            dashboard_port=self.dashboard_port,
            edge_metrics_port=self.metrics_port,
            database_url=SecretStr(self.database_url),
        )

    @property
    def behind(self) -> Settings:
        """The same, but slots are asked behind the edge: what is filled answers before the edge's checks see it."""
        return self.settings.model_copy(update={"inner_port": self.serve_port - 11})

    def edge(self, name: str = "edge") -> Edge:
        """The edge, to be told or started."""
        ports = (self.http_port, self.inner_port, self.metrics_port, self.serve_port)
        config = EdgeConfig(*ports, self.home / f"{name}.sock", client_rate=0, serve_in_flight=64, queued=1000, queue_ms=5000)
        return Edge(self.home / name, config)

    def database(self) -> Database:
        """The record, brought up to date."""
        return open_database(self.database_url)

    def controller(self, database: Database, **options: Any) -> Controller:
        """A control plane of it; keywords replace its parts."""
        given: dict[str, Any] = {"beside": False, "keep_warm_seconds": 0.2, "start_seconds": _WAIT_S, **options}
        edges, server = given.pop("edges", None), given.pop("server", None)
        observer, tried = given.pop("observer", None), given.pop("tried", None)
        return Controller(
            database,
            edges or LocalEdge(self.edge()),
            server or RayServer(self.behind),
            observer or Seen(database),
            tried or self.tried,
            readouts=Readouts(self.behind),
            **given,
        )

    def tried(self, slot: str, release: Release) -> Warmth:
        """Tries a release with a few made requests."""
        asked = [RecommendRequest(user_id=f"u{number}") for number in range(3)]
        return warm(self.behind.slot_url(slot), asked, seconds=5.0, release_id=release.release_id)

    def register(self, database: Database, *names: str) -> None:
        """Makes releases known."""
        with database.begin() as session:
            for name in names:
                register(session, facts(name), who="plant", why="it is there", at=datetime.now(UTC))

    def declared(self) -> dict[str, str]:
        """By slot, the release that Serve was told of."""
        found = httpx.get(f"http://127.0.0.1:{self.dashboard_port}/api/serve/applications/").json()["applications"]
        return {name: Path(own["deployed_app_config"]["args"]["bento"]).name for name, own in found.items()}

    def reset(self, database_url: str) -> "Plant":
        """Empties both slots, gives everybody the first one, and takes another record."""
        httpx.put(f"http://127.0.0.1:{self.dashboard_port}/api/serve/applications/", json={"applications": []})
        self.edge().set_slots(Slots())
        return replace(self, database_url=database_url)


class Seen:
    """Counts as they would be: of a release whose name ends in `-bad` a tenth of the requests failed.

    Args:
        database: says which share holds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def observe(self, stable: str, canary: str, since: float) -> Observation:
        """What both did since the share holds."""
        with self._database.read() as session:
            share_bp = desired(session).canary_bp
        canaries = _UNITS * share_bp // 10_000
        arms = _arm(stable, _UNITS - canaries), _arm(canary, canaries)
        return Observation(at=time.time(), since=since, canary_bp=share_bp, stable=arms[0], canary=arms[1])


def _arm(release_id: str, units: int) -> Arm:
    failed = units // 10 if release_id.endswith("-bad") else 0
    rate = Ratio(units=units, x=0.5 * units, y=float(units), xx=0.5 * units, yy=float(units), xy=0.5 * units)
    return Arm(release_id, units, units, failed, units, {"apply_rate": rate}, [])


def facts(release_id: str) -> ReleaseFacts:
    """A release of which nothing but its name matters."""
    at = datetime(2026, 11, 17, tzinfo=UTC)
    return ReleaseFacts(
        release_id=release_id,
        bento=f"/bentos/{release_id}",
        bundle=f"/bundles/{release_id}",
        as_of=at,
        created_at=at,
        surfaces=("job_feed",),
        retrievers=("popular",),
        ranker="lambdamart",
        features=(),
        numbers={},
        lineage={},
        files={"manifest.json": release_id},
    )


@contextmanager
def plant(home: Path, database_url: str = "") -> Iterator[Plant]:
    """Starts the edge and the stand-in, and ends both with the block.

    Args:
        home: a folder with a short name.
        database_url: of the record; empty: SQLite in `home`.
    """
    http, inner, metrics, serve, dashboard = (free_port() for _ in range(5))
    made = Plant(home, http, inner, metrics, serve, dashboard, database_url or f"sqlite:///{home / 'record.db'}")
    command = [sys.executable, "-m", "benchmarks.controls.world", str(made.serve_port), str(made.dashboard_port)]
    world, edge = subprocess.Popen(command, cwd=ROOT), made.edge()
    try:
        edge.start(seconds=_WAIT_S)
        _until(lambda: _answers(made.dashboard_port), "the stand-in for Ray Serve does not answer")
        yield made
    finally:
        edge.stop()
        world.kill()
        world.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/serve/applications/").is_success
    except httpx.TransportError:
        return False


def _until(true: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + _WAIT_S
    while not true():
        if time.monotonic() > end:
            raise RankloopError(otherwise)
        time.sleep(0.02)
