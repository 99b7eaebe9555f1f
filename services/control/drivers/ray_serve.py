"""Slots on this machine: Serve applications of the stack's Ray, declared through its REST API."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

import httpx

from components.serve_api import SLOTS, application
from rankloop.errors import StackError
from services.control.drivers.base import Say
from services.control.drivers.probing import release_at
from services.settings import Settings
from services.stack.place import Place
from services.stack.serve_api import ServeApi
from services.stack.watch import as_started

__all__ = ["FAILED", "RayServer", "reasons"]

FAILED: Final = "DEPLOY_FAILED"
"""What Serve calls an application that it gave up on; an `UNHEALTHY` one may still become well."""

_LEAVING: Final = "DELETING"
_POLL_SECONDS: Final = 0.2
_LONGEST: Final = 800


class RayServer:
    """Ray Serve on this machine.

    The stack's own note of what is declared is kept current, so that `rankloop up` puts both slots back. The stack's
    lock is held while applications are declared, and not while they start: `rankloop down` never waits for a release.

    Args:
        settings: where the stack is.
    """

    def __init__(self, settings: Settings) -> None:
        self._place = Place(settings.home)
        self._settings = as_started(settings, self._place.read("state"))
        self._api = ServeApi(self._settings)
        self._declaring = threading.Lock()

    def holds(self) -> dict[str, str | None]:
        """By slot, the release that answers at `/<slot>/readyz`; None where nobody answers."""
        with ThreadPoolExecutor(len(SLOTS)) as pool:  # a slot that hangs does not hold up what is known of the other
            return dict(zip(SLOTS, pool.map(self._release_in, SLOTS), strict=True))

    def fill(self, slot: str, release_id: str, bento: str, *, say: Say, seconds: float) -> None:
        """Puts a release into a slot and waits until it answers there; the other slot stays as it is.

        An application that Serve gave up on is ended first, since Serve would not try the same one again.

        Raises:
            StackError: it cannot start, in Serve's own words, it did not answer in time, or somebody else changes the stack.
        """
        if self._release_in(slot) == release_id:
            return
        end, wanted = time.monotonic() + seconds, application(slot, bento)
        found = self._applications().get(slot, {})
        if found.get("status") == FAILED and self._release_in(slot) is None:
            self.clear(slot, seconds=seconds)
        self._declare(slot, wanted)
        self._wait(slot, release_id, end, seconds, say)
        self._note()

    def clear(self, slot: str, *, seconds: float) -> None:
        """Ends the release in a slot and waits until nothing of it is left; nothing is done where it is empty.

        Raises:
            StackError: it did not end in time, or somebody else changes the stack.
        """
        if slot not in self._applications():
            return
        self._declare(slot, None)
        end = time.monotonic() + seconds
        while slot in self._applications():
            if time.monotonic() > end:
                raise StackError(f"Ray Serve did not end slot {slot} within {seconds:.0f} s; see `rankloop logs`")
            time.sleep(_POLL_SECONDS)
        self._note()

    def _declare(self, slot: str, wanted: dict[str, Any] | None) -> None:
        """Declares both slots, unless that is what is declared."""
        with self._declaring, self._place.locked():
            found = self._applications()
            now = {name: own["deployed_app_config"] for name, own in found.items() if _stays(own)}
            others = [own for name, own in now.items() if name != slot]
            if wanted is None:
                if slot in now:
                    self._api.declare(others)
            elif slot not in now or now[slot] | wanted != now[slot]:
                self._api.declare([*others, wanted])

    def _wait(self, slot: str, release_id: str, end: float, seconds: float, say: Say) -> None:
        told = ""
        while time.monotonic() < end:
            found = self._applications().get(slot, {})
            status = found.get("status", "NOT_STARTED")
            if status == "RUNNING" and self._release_in(slot) == release_id:
                return
            if status == FAILED:
                raise StackError(f"Ray Serve could not start {release_id} in slot {slot}: {reasons(found)}")
            if status != told:
                say(f"waiting for {release_id} in slot {slot}: {status.lower()}")
                told = status
            time.sleep(_POLL_SECONDS)
        why = reasons(self._applications().get(slot, {}))
        raise StackError(
            f"{release_id} did not answer in slot {slot} within {seconds:.0f} s{f' ({why})' if why else ''}; see `rankloop logs`"
        )

    def _applications(self) -> dict[str, dict[str, Any]]:
        """By slot, what Serve says of it.

        Raises:
            StackError: the dashboard does not answer; to take that for empty slots would end both.
        """
        details = self._api.details()
        if details is None:
            raise StackError(f"Ray's dashboard at {self._settings.dashboard_url} does not answer; is the stack up? `rankloop up`")
        return details.get("applications") or {}

    def _note(self) -> None:
        declared = [own["deployed_app_config"] for own in self._applications().values() if _stays(own)]
        self._place.write("applications", {"applications": declared})

    def _release_in(self, slot: str) -> str | None:
        """Asked through the edge; where no edge listens, through Ray Serve's own HAProxy."""
        for url in (self._settings.slot_url(slot), f"http://127.0.0.1:{self._settings.serve_port}/{slot}"):
            with suppress(httpx.ConnectError):  # nobody listens there
                return release_at(url)
        return None


def reasons(found: dict[str, Any]) -> str:
    """Why an application is not well: its own message, and those of its deployments; empty where they say nothing.

    Of a traceback only its first line and the error are kept.

    Example:
        >>> trace = "It failed to start. Error:\\nray::Ranking()\\n  File 'a.py', line 1\\nBundleError: it was altered"
        >>> reasons({"status": "DEPLOY_FAILED", "deployments": {"ranking": {"message": trace}}})
        'DEPLOY_FAILED: It failed to start. Error: BundleError: it was altered'
    """
    deployments = found.get("deployments") or found.get("serveDeploymentStatuses") or {}
    told = [found.get("message", ""), *(own.get("message", "") for own in deployments.values())]
    text = " ".join(dict.fromkeys(filter(None, map(_brief, told))))
    status = found.get("status", "")
    return f"{status}: {text[-_LONGEST:]}" if text else "" if status == "RUNNING" else status


def _brief(message: str) -> str:
    lines = [line for line in message.strip().splitlines() if line.strip()]
    of_trace = [number for number, line in enumerate(lines) if line[0].isspace()]
    return " ".join([lines[0], *lines[max(of_trace) + 1 :]] if of_trace else lines)


def _stays(found: dict[str, Any]) -> bool:
    return bool(found.get("deployed_app_config")) and found.get("status") != _LEAVING
