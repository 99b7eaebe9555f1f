"""The curator: one process that carries on what the spools hold, until it is told to stop."""

import fcntl
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from prometheus_client import start_http_server

from monitoring.metrics import CuratorMetrics
from rankloop.errors import PortBusy, StackError
from services.events.erasure import KAFKA, LOG, SPOOL, STATE, UPLOADED, ErasureBook
from services.events.folding import Folding
from services.events.forgetting import Forgetting
from services.events.kafka import KafkaSink, connected
from services.events.records import ErasureRecord
from services.events.retention import Retention
from services.events.rolling import Passed, Rolling, Sealed, existing
from services.events.schedule import Task, Worker
from services.events.segments import SpoolReader
from services.events.streams import folder_of
from services.events.uploading import LogPlace, Uploading
from services.online import StateStore, open_store
from services.settings import Settings
from services.tally.keeping import Keeping

__all__ = ["Curator", "run"]

log = logging.getLogger(__name__)

_FOLD_EVERY: Final = 0.2
_FOLD_LONGEST: Final = 2.0
_EVERY: Final = 2.0
_KAFKA_EVERY: Final = 0.5
_RETAIN_EVERY: Final = 600.0
_LOCK_EVERY: Final = 0.1


def run(settings: Settings, stop: threading.Event | None = None) -> None:
    """Curates one home folder until SIGTERM, SIGINT or `stop`.

    Args:
        settings: which home folder, online store and log.
        stop: ends it; None: signals alone do, which then must be this process's main thread's.

    Raises:
        StackError: another curator has this home folder and keeps it.
        PortBusy: the port of the metrics is taken.
        SettingsError: the online store, Kafka or the log cannot be as they are set.
    """
    ending = stop or threading.Event()
    if stop is None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ending.set())
    metrics = CuratorMetrics()
    with _alone(settings, ending), _served(settings, metrics):
        store = open_store(settings, write=True)
        workers = Curator(settings, store, metrics, ending).workers()
        for worker in workers:
            worker.start()
        log.info("curating %s, metrics on port %d", settings.home, settings.curator_port)
        ending.wait()
        if _ended(workers, settings.stop_seconds):
            store.close()


class Curator:
    """The parts of a curator, wired.

    Args:
        settings: of the home folder.
        store: opened to be written.
        metrics: counts what is done.
        stop: ends every task, after what it has at hand.
    """

    def __init__(
        self, settings: Settings, store: StateStore, metrics: CuratorMetrics, stop: threading.Event | None = None
    ) -> None:
        home, log_here = settings.home, settings.home / "log"
        self._metrics, self._stop = metrics, stop or threading.Event()
        stopping = self._stop.is_set
        self._readers = {stream: SpoolReader(folder_of(home, stream)) for stream in ("events", "impressions")}
        self._places = {LOG: LogPlace(str(log_here))} | ({UPLOADED: LogPlace(settings.log_url)} if settings.log_url else {})
        self.book = ErasureBook(home)
        self.folding = Folding(self._readers["events"], store, self.book, self._ask, metrics, stopping=stopping)
        self.keeping = Keeping(home)
        self.rolling = Rolling(home, self._readers, self.book, metrics, stopping)
        self.uploading = Uploading(log_here, self._places[UPLOADED], metrics, stopping) if settings.log_url else None
        publish = self.uploading.send_erasures if self.uploading else _nothing
        self.forgetting = Forgetting(self.book, self.rolling, self._places, publish, self._is_there, metrics)
        self.retention = Retention(_days(settings), self._places.values(), metrics)
        self.kafka = self._sink(settings) if settings.kafka_servers else None

    def workers(self) -> list[Worker]:
        """One thread for what must be quick, one for this machine's disk, one each for the networks behind it."""
        shipping = [self._task("upload", self.uploading.step, _EVERY)] if self.uploading else []
        shipping += [self._task("erase", self.forgetting.step, _EVERY), self._task("retain", self.retention.step, _RETAIN_EVERY)]
        workers = [
            Worker([self._task("fold", self.folding.step, _FOLD_EVERY, longest=_FOLD_LONGEST)], self._stop),
            Worker([self._task("roll", self.rolling.step, _EVERY), self._task("sweep", self.sweep, _EVERY)], self._stop),
            Worker(shipping, self._stop),
        ]
        return workers + ([Worker([self._task("kafka", self.kafka.step, _KAFKA_EVERY)], self._stop)] if self.kafka else [])

    def sweep(self) -> None:
        """Deletes the segments that nobody needs."""
        passed: list[Passed] = [self.folding.passed, self.keeping.passed]
        if self.uploading:
            passed.append(self._landed)
        if self.kafka:
            passed.append(self.kafka.passed)
        self.rolling.sweep(passed)

    def _landed(self, segment: Sealed) -> bool:
        return self.uploading is None or self.uploading.landed(self.rolling, segment)

    def _sink(self, settings: Settings) -> KafkaSink:
        checkpoint = settings.home / "curator" / "kafka.json"
        connect = partial(connected, settings.kafka_servers, settings.kafka_file)
        return KafkaSink(self._readers, checkpoint, self.book, connect, self._metrics, self._stop.is_set)

    def _task(self, name: str, action: Callable[[], None], every: float, longest: float = 60.0) -> Task:
        return Task(name, action, every=every, longest=longest, on_failure=lambda task: self._metrics.failures.labels(task).inc())

    def _ask(self, record: ErasureRecord) -> None:
        places = [STATE, SPOOL, *self._places] + ([KAFKA] if self.kafka else [])
        self.book.ask(record, existing(self._readers), places)

    def _is_there(self, key: str) -> bool:
        stream, writer, number = key.split("/")
        return self._readers[stream].path(writer, int(number)).exists()


def _days(settings: Settings) -> dict[str, int]:
    return {
        "impressions": settings.retention_impressions_days,
        "outcomes": settings.retention_outcomes_days,
        "quarantine": settings.retention_quarantine_days,
    }


def _nothing() -> None:
    """What there is to send to a log that stays here."""


@contextmanager
def _alone(settings: Settings, stop: threading.Event) -> Iterator[None]:
    """Holds the lock of the home folder; the kernel lets go of it when this process dies."""
    file = settings.home / "curator" / "lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + settings.stop_seconds
        while not _locked(lock):
            if time.monotonic() > until or stop.wait(_LOCK_EVERY):
                owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
                raise StackError(
                    f"a curator (process {owner}) has {settings.home} already; stop it, or give this one another RANKLOOP_HOME"
                )
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _served(settings: Settings, metrics: CuratorMetrics) -> Iterator[None]:
    """Answers scrapers."""
    try:
        server, thread = start_http_server(settings.curator_port, "127.0.0.1", metrics.registry)
    except OSError as error:
        raise PortBusy(
            f"port {settings.curator_port} is taken ({error.strerror}); set RANKLOOP_CURATOR_PORT to a free one"
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _ended(workers: list[Worker], seconds: float) -> bool:
    until = time.monotonic() + seconds
    slow = [worker for worker in workers if not worker.join(until - time.monotonic())]
    if slow:
        log.warning(
            "%d tasks did not end in %.0f s and are left where they are; the next curator goes on from there", len(slow), seconds
        )
    return not slow
