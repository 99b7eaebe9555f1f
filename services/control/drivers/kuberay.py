"""Slots on a cluster: Serve applications of one RayService, which KubeRay's operator carries out."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import yaml

from components.serve_api import SLOTS, application
from rankloop.errors import Conflict, StackError
from services.control.drivers.base import Say
from services.control.drivers.probing import release_at
from services.control.drivers.ray_serve import FAILED, reasons
from services.control.drivers.rayservice import RayServiceApi

__all__ = ["KubeRayServer"]

_TRIES: Final = 8
_UNSEEN: Final = "not seen by KubeRay yet"


class KubeRayServer:
    """Ray Serve on a cluster, by the `spec.serveConfigV2` of a RayService.

    Only that text is changed, and in it only the application of the slot; so the operator updates it in place and starts
    no new cluster. A new application has what the other one declares beside its Bento: runtime environment, replicas.

    Args:
        api: the resource.
        slot_url: where a slot is asked, such as `http://rankloop-edge:8011/green`.
        poll_seconds: between two looks at the resource.
        settle_seconds: how long a failure that was reported before the patch is not taken for one of it.
    """

    def __init__(
        self, api: RayServiceApi, slot_url: Callable[[str], str], *, poll_seconds: float = 1.0, settle_seconds: float = 15.0
    ) -> None:
        self._api, self._slot_url = api, slot_url
        self._poll, self._settle = poll_seconds, settle_seconds

    def holds(self) -> dict[str, str | None]:
        """By slot, the release that answers at `/<slot>/readyz`; None where nobody answers."""
        with ThreadPoolExecutor(len(SLOTS)) as pool:
            return dict(zip(SLOTS, pool.map(self._release_in, SLOTS), strict=True))

    def fill(self, slot: str, release_id: str, bento: str, *, say: Say, seconds: float) -> None:
        """Puts a release into a slot and waits until it answers there; the other slot stays as it is.

        Raises:
            StackError: it cannot start, in Serve's own words, it did not answer in time, or the API refuses.
        """
        if self._release_in(slot) == release_id:
            return
        end = time.monotonic() + seconds
        before = _told(self._api.read(), slot)
        if before.get("status") == FAILED and self._release_in(slot) is None:
            self.clear(slot, seconds=seconds)  # Serve would not try the same one again
        generation = self._change(lambda applications: _with(applications, slot, bento))
        settled, told = time.monotonic() + self._settle, ""
        while time.monotonic() < end:
            found = self._api.read()
            own = _told(found, slot)
            status = own.get("status", "NOT_STARTED") if _observed(found, generation) else _UNSEEN
            if status == "RUNNING" and self._release_in(slot) == release_id:
                return
            if status == FAILED and (own != before or time.monotonic() > settled):
                raise StackError(f"Ray Serve could not start {release_id} in slot {slot}: {reasons(own)}")
            if status != told:
                say(f"waiting for {release_id} in slot {slot}: {status.lower()}")
                told = status
            time.sleep(self._poll)
        raise StackError(
            f"{release_id} did not answer in slot {slot} within {seconds:.0f} s: it is {told.lower() or 'not asked'};"
            f" see `kubectl describe` of the {self._api.title}"
        )

    def clear(self, slot: str, *, seconds: float) -> None:
        """Ends the release in a slot and waits until nothing of it is left; nothing is done where it is empty.

        Raises:
            StackError: it did not end in time, or the API refuses.
        """
        end = time.monotonic() + seconds
        generation = self._change(lambda applications: [own for own in applications if own.get("name") != slot])
        while True:
            found = self._api.read()
            if _observed(found, generation) and not _told(found, slot) and self._release_in(slot) is None:
                return
            if time.monotonic() > end:
                raise StackError(
                    f"KubeRay did not end slot {slot} within {seconds:.0f} s; see `kubectl describe` of the {self._api.title}"
                )
            time.sleep(self._poll)

    def _change(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> int:
        """Changes the applications, unless they are so already; gives the generation that holds the change."""
        for attempt in range(_TRIES):
            found = self._api.read()
            config = self._config(found)
            applications = config.get("applications") or []
            wanted = change(applications)
            if wanted == applications:
                return _generation(found)
            text = yaml.safe_dump({**config, "applications": wanted}, sort_keys=False, allow_unicode=True)
            try:
                return _generation(self._api.patch(text, resource_version=found["metadata"]["resourceVersion"]))
            except Conflict:
                time.sleep(self._poll * attempt / _TRIES)
        raise StackError(f"{self._api.title} was changed by somebody else {_TRIES} times in a row; find out who, then try again")

    def _config(self, found: dict[str, Any]) -> dict[str, Any]:
        text = found.get("spec", {}).get("serveConfigV2") or ""
        try:
            config = yaml.safe_load(text) or {}
            if isinstance(config, dict) and isinstance(config.get("applications") or [], list):
                return config
            reason = "it is no mapping with a list of applications"
        except yaml.YAMLError as error:
            reason = str(error)
        raise StackError(f"spec.serveConfigV2 of {self._api.title} cannot be read: {reason}; mend it by hand")

    def _release_in(self, slot: str) -> str | None:
        try:
            return release_at(self._slot_url(slot))
        except httpx.ConnectError:
            return None


def _with(applications: list[dict[str, Any]], slot: str, bento: str) -> list[dict[str, Any]]:
    """The applications with a Bento in a slot; the order stays."""
    own = next((one for one in applications if one.get("name") == slot), None)
    model = own or next((one for one in applications if one.get("name") in SLOTS), {})
    new = application(slot, bento)
    new = {**model, **new, "args": {**(model.get("args") or {}), **new["args"]}}
    return [new if one is own else one for one in applications] if own else [*applications, new]


def _told(found: dict[str, Any], slot: str) -> dict[str, Any]:
    """What KubeRay says of a slot's application on the cluster that serves; empty where it says nothing."""
    active = found.get("status", {}).get("activeServiceStatus") or {}
    told: dict[str, Any] = (active.get("applicationStatuses") or {}).get(slot) or {}
    return told


def _generation(found: dict[str, Any]) -> int:
    return int(found["metadata"].get("generation", 0))


def _observed(found: dict[str, Any], generation: int) -> bool:
    return int(found.get("status", {}).get("observedGeneration", 0)) >= generation
