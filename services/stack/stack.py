"""Starting and stopping the laptop's stack: Ray's head, Serve, the edge and the processes beside it."""

import re
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from components.serve_api import SLOTS
from rankloop.errors import StackError
from services.settings import Settings
from services.stack.children import Children
from services.stack.credentials import forget
from services.stack.head import start_head
from services.stack.place import Place
from services.stack.ports import NAMED, assert_free
from services.stack.reaper import is_whole, own_processes, reap
from services.stack.serve_api import ServeApi
from services.stack.watch import StackStatus, as_started, release_in, status

__all__ = ["down", "up"]

_PORTS: Final = (*NAMED, "inner_port")
_POLL_SECONDS: Final = 0.2
_KEPT_SESSIONS: Final = 2
_NODE_ID: Final = re.compile("[0-9a-f]{56}")
Say = Callable[[str], None]


def _quiet(_: str) -> None:
    """Takes a line of progress and says nothing."""


def up(settings: Settings, *, say: Say = _quiet) -> StackStatus:
    """Starts Ray, Serve, the edge and what is beside it, and waits until they answer; the processes outlive the caller.

    What a start that was killed left behind is cleaned first. The release that served before comes back. When the
    stack is up already, nothing is changed.

    Args:
        settings: ports, sizes and the home folder.
        say: takes one line of progress.

    Returns:
        The stack as it is then.

    Raises:
        PortBusy: a port belongs to another process; nothing was started.
        SettingsError: other machines could reach the edge, and no token is configured; or a file that a receiver of pages
            needs cannot be read; nothing was started.
        StackError: HAProxy refuses the edge's configuration, and nothing was started; a process did not start or
            answer in time; the stack is up on other ports; or another process is just changing it.
    """
    place = Place(settings.home)
    with place.locked():
        if own_processes(place.mark):
            if _is_up(place, settings):
                say("the stack is up already")
                return status(settings)
            say("cleaning up what an earlier start left behind")
            reap(place.mark, seconds=settings.stop_seconds, say=say)
        assert_free(settings)
        children = Children(place, settings)
        children.edge.prepare()
        children.watchers.prepare()
        try:
            _start(place, settings, children, say)
        except BaseException:  # also when interrupted: half a stack is of no use
            say("giving up: ending what was started")
            _clean(place, settings, say)
            raise
        _put_back(place, settings, say)
    return status(settings)


def down(settings: Settings, *, say: Say = _quiet) -> int:
    """Stops the stack and leaves no process, no bound port and no socket; releases and logs stay.

    It needs nothing but the home folder, so it also cleans up after a start, or a stack, that was killed.

    Args:
        settings: the home folder, and how long processes may take to end by themselves.
        say: takes one line of progress.

    Returns:
        How many processes were ended; 0 when the stack was down already.

    Raises:
        StackError: a process survived being killed, or another process is just changing the stack.
    """
    place = Place(settings.home)
    if not place.folder.exists():
        return 0
    with place.locked():
        started, found = as_started(settings, place.read("state")), len(own_processes(place.mark))
        if Children(place, started).stop(seconds=settings.stop_seconds):
            say("stopped the edge, the collectors and the curator")
        if is_whole(own_processes(place.mark)):  # half a stack cannot stop itself, and would only be waited for
            api = ServeApi(started)
            if declared := api.applications():
                place.write("applications", {"applications": declared})
            say("stopping Serve")
            api.delete(seconds=settings.stop_seconds)
        return max(found, _clean(place, settings, say))


def _clean(place: Place, settings: Settings, say: Say) -> int:
    ended = reap(place.mark, seconds=settings.stop_seconds, say=say)
    place.close_door()
    forget(settings)
    place.forget("state")
    return ended


def _is_up(place: Place, settings: Settings) -> bool:
    record = place.read("state")
    if record.get("phase") != "ready" or not is_whole(own_processes(place.mark)):
        return False
    started = as_started(settings, record)
    if not ServeApi(started).healthy() or not Children(place, started).answer():
        return False
    moved = [name for name in _PORTS if record["ports"].get(name, getattr(settings, name)) != getattr(settings, name)]
    if moved:
        was = ", ".join(f"RANKLOOP_{name.upper()}={record['ports'][name]}" for name in moved)
        raise StackError(f"the stack of {place.home} is up with {was}; run `rankloop down` first, or keep these ports")
    return True


def _start(place: Place, settings: Settings, children: Children, say: Say) -> None:
    place.prepare()
    _thin_out(place)
    record: dict[str, Any] = {
        "phase": "starting",
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "ports": {name: getattr(settings, name) for name in _PORTS},
        "door": str(place.door),
    }
    place.write("state", record)
    say(f"starting Ray on port {settings.ray_port}, its dashboard on {settings.dashboard_port}")
    start_head(place, settings)
    api = ServeApi(settings)
    _wait(lambda: api.details() is not None, settings, f"Ray's dashboard at {settings.dashboard_url}")
    say(f"starting Serve on port {settings.serve_port}, the edge on {settings.http_port}")
    api.declare([])
    children.start()
    place.write("state", record := {**record, "not_watched": children.watchers.why_not})
    _wait(api.healthy, settings, f"Ray Serve on port {settings.serve_port}")
    _wait(children.answer, settings, f"the edge at {settings.service_url}")
    _wait(children.take_events, settings, "an event collector")
    _wait(partial(_answers, f"{settings.control_url}/healthz"), settings, f"the control plane at {settings.control_url}")
    _wait(children.at_work, settings, "a process beside the edge")
    place.write("state", {**record, "phase": "ready"})


def _wait(ready: Callable[[], object], settings: Settings, what: str) -> None:
    end = time.monotonic() + settings.start_seconds
    while not ready():
        if time.monotonic() > end:
            raise StackError(f"{what} did not answer within {settings.start_seconds:.0f} s; see `rankloop logs`")
        time.sleep(_POLL_SECONDS)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).is_success
    except httpx.TransportError:
        return False


def _put_back(place: Place, settings: Settings, say: Say) -> None:
    """Declares what was declared when the stack was last seen, as far as its Bentos still exist."""
    kept = [own for own in place.read("applications").get("applications", []) if own.get("name") in SLOTS]
    there = [own for own in kept if Path(str(own.get("args", {}).get("bento", ""))).exists()]
    if not there:
        return
    say("putting the last release back into service")
    api = ServeApi(settings)
    api.declare(there)

    def settled() -> bool:
        found = (api.details() or {}).get("applications") or {}
        states = [found.get(own["name"], {}).get("status") for own in there]
        return set(states) <= {"RUNNING", "DEPLOY_FAILED", "UNHEALTHY"}

    _wait(settled, settings, "the last release")
    for slot in status(settings).slots:
        if slot.application == "RUNNING":
            _wait(partial(release_in, settings, slot.name), settings, f"the release in slot {slot.name}")
        elif slot.application:
            say(f"slot {slot.name} could not start: {slot.message.splitlines()[-1] if slot.message else slot.application}")


def _thin_out(place: Place) -> None:
    """Ray begins a folder of logs, and HAProxy one of sockets, at each start; neither is ever removed by them."""
    sessions = place.sessions()
    old = sessions[: max(0, len(sessions) - _KEPT_SESSIONS + 1)]
    sockets = [folder for folder in place.ray.iterdir() if _NODE_ID.fullmatch(folder.name)]
    for folder in (*old, *sockets):
        shutil.rmtree(folder, ignore_errors=True)
