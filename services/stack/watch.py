"""What the stack is doing: its processes by role, the release that answers, the lines they log."""

import os
import re
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from components.serve_api import SLOTS
from rankloop.errors import StackError
from services.edge import Slots
from services.settings import Settings
from services.stack.children import Children
from services.stack.place import Place
from services.stack.reaper import is_whole, own_processes
from services.stack.serve_api import ServeApi
from services.stack.watchers import in_words, watcher_urls

__all__ = ["LogLine", "ProcessStatus", "SlotStatus", "StackStatus", "as_started", "logs", "release_in", "status"]

_ROLES: Final = {
    "supervisor.supervisord": "supervisor",
    "edge.master": "edge",
    "--storage.tsdb.path": "prometheus",
    "--cluster.listen-address": "alertmanager",
    "services.events collect": "collector",
    "services.events curate": "curator",
    "services.tally": "tally",
    "services.shadow": "shadow worker",
    "services.control": "control plane",
    "gcs_server": "ray head",
    "raylet": "ray node",
    "haproxy": "haproxy",
    "dashboard.py": "ray dashboard",
    "ServeController": "serve controller",
    "ServeReplica": "replica",
    "HAProxyManager": "haproxy manager",
    "ProxyActor": "serve proxy",
}
_FOLLOW_SECONDS: Final = 0.3
_ALREADY_LOGGED: Final = re.compile(r":|(DEBUG|INFO|WARNING|ERROR) \d{4}-")
"""What a worker prints for Ray, or logs to a file of Serve as well."""


@dataclass(frozen=True)
class ProcessStatus:
    """One process of the stack.

    Attributes:
        role: what it is for, in words; `ray helper` for Ray's many small ones.
        pid: its number.
        state: as the system calls it, such as `sleeping`.
        ports: the TCP ports it listens on.
        since: when it started, UTC.
        memory_mb: resident memory, MiB; pages shared with other processes count in each.
    """

    role: str
    pid: int
    state: str
    ports: tuple[int, ...]
    since: datetime
    memory_mb: float


@dataclass(frozen=True)
class SlotStatus:
    """One slot at one moment.

    Attributes:
        name: `blue` or `green`.
        stable: whether it serves everybody but the canary's units.
        weight_bp: units it gets as the canary, basis points; 0 for the stable one.
        interleave_bp: units that get both slots' lists, interleaved; 0 for the stable one.
        release_id: the release that answers in it; None where none does.
        application: Serve's word for it, such as `RUNNING`; None where it is empty.
        message: why it is not well, in Ray's words; empty when it is.
    """

    name: str
    stable: bool
    weight_bp: int = 0
    interleave_bp: int = 0
    release_id: str | None = None
    application: str | None = None
    message: str = ""


@dataclass(frozen=True)
class StackStatus:
    """The stack at one moment.

    Attributes:
        state: `down`, `starting`, `up` (with or without a release), or `broken` (processes, but no answer).
        home: the folder of its state.
        since: when it was started, UTC; None when down.
        release_id: the release in the stable slot; None where none answers.
        application: Serve's word for that slot, such as `RUNNING`; None where it is empty.
        message: why that slot, or a process beside it, is not well; empty when all are.
        slots: both, the stable one first; empty when down.
        urls: by name, what can be opened.
        processes: every process, the ones with a role first.
        watched: who watches it, or that nobody does, and what to do; empty when down.
    """

    state: str
    home: Path
    since: datetime | None = None
    release_id: str | None = None
    application: str | None = None
    message: str = ""
    slots: tuple[SlotStatus, ...] = ()
    urls: dict[str, str] = field(default_factory=dict)
    processes: tuple[ProcessStatus, ...] = ()
    watched: str = ""


@dataclass(frozen=True)
class LogLine:
    """One line of a log.

    Attributes:
        source: the file's name without its ending.
        text: the line.
    """

    source: str
    text: str


def status(settings: Settings) -> StackStatus:
    """Looks at the stack; changes nothing of it.

    It also notes which applications are declared, so that `up` after a crash can put them back.
    """
    place = Place(settings.home)
    own, record = own_processes(place.mark), place.read("state")
    if not own:
        return StackStatus("down", settings.home)
    settings = as_started(settings, record)
    api, whole, states = ServeApi(settings), is_whole(own), Children(place, settings).states()
    details = (api.details() if whole else None) or {}
    if whole and (declared := api.applications()):
        place.write("applications", {"applications": declared})
    healthy = bool(details.get("proxies")) and Children(place, settings).answer()
    slots = slots_of(settings, details) if whole else ()
    stable = slots[0] if slots else SlotStatus(SLOTS[0], stable=True)
    up = "starting" if record.get("phase") != "ready" else "up" if healthy else "broken"
    return StackStatus(
        state=up,
        home=settings.home,
        since=datetime.fromisoformat(record["since"]) if "since" in record else None,
        release_id=stable.release_id,
        application=stable.application,
        message="\n".join(filter(None, [stable.message, *_ailing(states)])),
        slots=slots,
        urls=urls(settings) | {name.capitalize(): url for name, url in watcher_urls(settings).items() if name in states},
        processes=tuple(sorted((_described(own_one) for own_one in own), key=_order)),
        watched=in_words(settings, states, record.get("not_watched", "")),
    )


def urls(settings: Settings) -> dict[str, str]:
    """What can be opened in a browser or asked by a program."""
    return {
        "service": settings.service_url,
        "OpenAPI": f"{settings.service_url}/schema/openapi.json",
        "metrics": f"{settings.service_url}/metrics",
        "control plane": settings.control_url,
        "edge's metrics": f"http://127.0.0.1:{settings.edge_metrics_port}/metrics",
        "Ray dashboard": settings.dashboard_url,
        "Serve's statistics": f"http://127.0.0.1:{settings.haproxy_stats_port}/stats",
    }


def slots_of(settings: Settings, details: dict[str, Any]) -> tuple[SlotStatus, ...]:
    """Both slots, the stable one first, as the edge has them and as Serve says they are."""
    edge = Children(Place(settings.home), settings).edge
    try:
        split = edge.slots()
    except StackError:
        split = Slots.read(edge.slots_file)
    found = []
    for name in (split.stable, split.idle):
        application = (details.get("applications") or {}).get(name, {})
        weights = (split.canary_bp, split.interleave_bp) if name == split.idle else (0, 0)
        release_id = release_in(settings, name) if application else None
        found.append(
            SlotStatus(name, name == split.stable, *weights, release_id, application.get("status"), _reasons(application))
        )
    return tuple(found)


def release_in(settings: Settings, slot: str) -> str | None:
    """The release that answers in a slot, asked through the edge, or None."""
    try:
        answer = httpx.get(f"{settings.slot_url(slot)}/readyz", timeout=2.0)
        return answer.json().get("release_id") if answer.is_success else None
    except (httpx.TransportError, ValueError):
        return None


def as_started(settings: Settings, record: dict[str, Any]) -> Settings:
    """The settings with the ports the stack was started with, which may not be today's."""
    return settings.model_copy(update=record.get("ports", {}))


def logs(settings: Settings, *, follow: bool = False, lines: int = 100, only: str = "") -> Iterator[LogLine]:
    """The last lines of the stack's logs, oldest file first, then new ones as they come.

    Args:
        settings: where the stack's home is.
        follow: go on with new lines until the caller stops.
        lines: how many of the last lines of each file.
        only: part of a file's name, such as `replica`; empty: every file.
    """
    place, read = Place(settings.home), dict[Path, int]()
    while True:
        for file in _log_files(place, only):
            first = file not in read
            texts, read[file] = _lines_after(file, read.get(file, 0))
            for text in deque(texts, lines) if first else texts:
                yield LogLine(file.stem, text)
        if not follow:
            return
        time.sleep(_FOLLOW_SECONDS)


def _ailing(states: dict[str, str]) -> list[str]:
    return [f"{name} is {state}: `rankloop logs --only {name}`" for name, state in states.items() if state != "RUNNING"]


def _reasons(application: dict[str, Any]) -> str:
    """Why an application is not well: Serve says that it is not, and its deployments say why."""
    if application.get("status") in {None, "RUNNING"}:
        return ""
    told = [application.get("message", ""), *(own.get("message", "") for own in application.get("deployments", {}).values())]
    return "\n".join(dict.fromkeys(filter(None, told)))


def _log_files(place: Place, only: str) -> list[Path]:
    session = place.session / "logs"
    files = [*place.logs.glob("*.log"), *session.glob("serve/*.log"), *session.glob("worker-*.err")]
    chosen = [file for file in files if only in file.name and file.is_file()]
    return sorted(chosen, key=lambda file: (file.stat().st_mtime, file.name))


def _lines_after(file: Path, offset: int) -> tuple[list[str], int]:
    with file.open("rb") as stream:
        # a log that grew too large was moved away, and a new one begun
        offset = offset if offset <= os.fstat(stream.fileno()).st_size else 0
        stream.seek(offset)
        whole, newline, _ = stream.read().rpartition(b"\n")
    texts = whole.decode(errors="replace").splitlines()
    if file.name.startswith("worker-"):
        texts = [text for text in texts if not _ALREADY_LOGGED.match(text)]
    return texts, offset + len(whole) + len(newline)


def _described(process: psutil.Process) -> ProcessStatus:
    try:
        with process.oneshot():
            command = " ".join(process.cmdline()[:12])
            role = next((role for part, role in _ROLES.items() if part in f"{process.name()} {command}"), "ray helper")
            listening = [own.laddr.port for own in process.net_connections("tcp") if own.status == psutil.CONN_LISTEN]
            since = datetime.fromtimestamp(process.create_time(), UTC)
            memory = process.memory_info().rss / 2**20
            return ProcessStatus(role, process.pid, process.status(), tuple(sorted(set(listening))), since, memory)
    except psutil.NoSuchProcess:
        return ProcessStatus("ray helper", process.pid, "ended", (), datetime.now(UTC), 0.0)


def _order(process: ProcessStatus) -> tuple[int, int]:
    roles = list(_ROLES.values())
    return (roles.index(process.role) if process.role in roles else len(roles), process.pid)
