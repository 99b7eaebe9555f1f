"""The control plane of one process, from its settings: the record, the drivers, the loops, and the application."""

import logging
import random
import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from litestar import Litestar

from monitoring.metrics import ControlMetrics
from rankloop.errors import RankloopError
from services.auth import Tokens
from services.control.app import build_control
from services.control.controller import Controller
from services.control.counting import Counting
from services.control.database import Database, Release, database_url, open_database
from services.control.drivers import Warmth, open_edges, open_server, sample_requests, warm
from services.control.observing import open_observer
from services.control.pager import Incidents, Pager, open_receivers
from services.control.readout import Readouts
from services.control.runs import Cluster, Runs, open_runs
from services.control.trying import Try
from services.control.unheard import Unheard
from services.control.views import Views
from services.control.wire import ControlReadiness
from services.settings import Settings

__all__ = ["Loops", "Opened", "open_control", "readiness"]

log: Final = logging.getLogger("services.control")

_TICK_SECONDS: Final = 1.0
_WARM_REQUESTS: Final = 200
_WARM_SECONDS: Final = 30.0


class Opened(NamedTuple):
    """One process's control plane.

    Attributes:
        app: answers requests.
        loops: to be started, and stopped at the end.
    """

    app: Litestar
    loops: "Loops"


class Loops:
    """The loops of releases, runs and pages, each in a thread of its own, so that a slow cluster delays no rollback.

    Args:
        controller: leads or follows.
        runs: the queue; its ticks need the controller's lease.
        pager: sends what is due; its ticks need the lease, too.
        unheard: finds alerts that ended; the same.
        counting: brought up to date after each round.
        database: closed at the end.
        seconds: between two rounds.
    """

    def __init__(
        self,
        controller: Controller,
        runs: Runs,
        pager: Pager,
        unheard: Unheard,
        counting: Counting,
        database: Database,
        *,
        seconds: float = _TICK_SECONDS,
    ) -> None:
        self._controller, self._runs, self._counting, self._database = controller, runs, counting, database
        self._pager, self._unheard = pager, unheard
        self._seconds, self._stopping = seconds, threading.Event()
        self._threads = [
            threading.Thread(target=self._controller.run, args=(self._stopping,), kwargs={"seconds": seconds}, name="releases"),
            threading.Thread(target=self._each, args=(self._runs_round,), name="runs"),
            threading.Thread(target=self._each, args=(self._pager_round,), name="pager"),
            threading.Thread(target=self._each, args=(self._unheard_round,), name="unheard"),
            threading.Thread(target=self._each, args=(self._count,), name="series"),
        ]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Lets the rounds under way end, gives the lease back, and closes the record."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._unheard.close()
        self._database.close()

    def _each(self, work: Callable[[], None]) -> None:
        while not self._stopping.wait(self._seconds):
            try:
                work()
            except RankloopError as error:
                log.warning("%s", error)
            except Exception:
                log.exception("a round failed; the next one tries again")

    def _runs_round(self) -> None:
        lease = self._controller.lease
        if lease is not None:
            self._runs.tick(lease)

    def _pager_round(self) -> None:
        lease = self._controller.lease
        if lease is not None:
            self._pager.tick(lease)

    def _unheard_round(self) -> None:
        if self._controller.lease is not None:
            self._unheard.tick()

    def _count(self) -> None:
        self._counting.update(self._controller.status())


def open_control(settings: Settings, metrics: ControlMetrics) -> Opened:
    """The control plane of a home folder; nothing of it runs yet.

    Raises:
        SettingsError: a setting cannot work.
        ControlError: the database does not answer, or is of a newer version.
    """
    tokens, database = Tokens.read(settings), open_database(database_url(settings))
    edges, server = open_edges(settings), open_server(settings)
    controller = Controller(
        database,
        edges,
        server,
        open_observer(settings),
        _try(settings),
        readouts=Readouts(settings),
        home=settings.home,
        start_seconds=settings.start_seconds,
    )
    runs, triggers = open_runs(database, settings, cluster=_cluster(settings), look_seconds=settings.watch_seconds)
    pager = Pager(
        database,
        settings,
        open_receivers(settings),
        triggers=triggers,
        commands=controller,
        heard=lambda status: metrics.alerts_received.labels(status).inc(),
    )
    app = build_control(
        settings,
        views=Views(database, settings),
        commands=controller,
        runs=runs,
        triggers=triggers,
        pager=pager,
        incidents=Incidents(database, settings),
        edges=edges,
        server=server,
        readiness=lambda: readiness(controller, runs, pager, database),
        tokens=tokens,
        metrics=metrics,
    )
    unheard = Unheard(database, pager, settings.alertmanager_url or _own_alertmanager(settings))
    return Opened(app, Loops(controller, runs, pager, unheard, Counting(database, metrics, runs.steps), database))


def readiness(controller: Controller, runs: Runs, pager: Pager, database: Database) -> ControlReadiness:
    """Who leads, and what the last rounds could not do."""
    status = controller.status()
    return ControlReadiness(
        status="ready",
        role="leader" if status.leads else "follower",
        holder=status.holder,
        database=database.dialect,
        last_tick=status.last_tick,
        faults=status.faults | runs.faults() | pager.faults(),
        waiting=status.waiting,
    )


def _try(settings: Settings) -> Try:
    """Asks a release what people asked lately, in the slot it was put into."""

    def tried(slot: str, own: Release) -> Warmth:
        requests = sample_requests(settings, _WARM_REQUESTS, random.Random(own.release_id), bento=own.bento)
        url = settings.slot_url(slot)
        return warm(url, requests, seconds=_WARM_SECONDS, release_id=own.release_id, token=settings.token)

    return tried


def _own_alertmanager(settings: Settings) -> str:
    """The stack's own; empty where it has none, so that no stranger on its port is believed."""
    return f"http://127.0.0.1:{settings.alertmanager_port}" if settings.watchers == "auto" else ""


def _cluster(settings: Settings) -> Cluster | None:
    """The KFP server that the settings name; None: runs run on this machine."""
    if not settings.kfp_url:
        return None
    return Cluster(
        settings.kfp_url,
        token=settings.kfp_token.get_secret_value(),
        namespace=settings.kfp_namespace,
        control_api=settings.control_url,
        ray_address=settings.ray_address,
    )
