"""Ray Serve's REST API: put a Bento into service in one of the two slots, and wait until it answers."""

import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from rankloop.errors import StackError

__all__ = ["PATH", "SLOTS", "application", "configuration", "declared", "put_into_service"]

SLOTS: Final = ("blue", "green")
"""The Serve applications that answer requests, each at the path of its name."""

PATH: Final = "/api/serve/applications/"
"""Where Ray's dashboard takes the whole list of applications."""

_BUILDER: Final = "services.ranking.serve_app:build"
_SLOT_HEADER: Final = "x-rankloop-slot"
_REFUSED: Final = ("DEPLOY_FAILED", "UNHEALTHY")
_POLL_SECONDS: Final = 0.3


def put_into_service(
    bento: str,
    release_id: str,
    *,
    serve_api: str,
    serve_url: str,
    say: Callable[[str], None],
    seconds: float = 120.0,
    options: dict[str, Any] | None = None,
) -> float:
    """Deploys a Bento into the slot that answers at `serve_url`, and waits until it answers with the release's id.

    A request to put in service what already serves changes nothing. The other slot stays as it is.

    Args:
        bento: the Bento's folder, or its tag in the store of the machine that serves.
        release_id: what `/readyz` must name at the end.
        serve_api: Ray's dashboard, such as `http://127.0.0.1:8265`.
        serve_url: where requests are answered, such as `http://127.0.0.1:8000`: the edge says which slot that is.
        say: takes one line of progress.
        seconds: the longest wait.
        options: further arguments of the application (replicas, CPUs).

    Returns:
        The seconds it took.

    Raises:
        StackError: Serve refused the application, it did not answer in time, or no edge answers.
    """
    started = time.monotonic()
    with httpx.Client(timeout=60.0) as client:
        now = _details(client, serve_api)
        slot, serving = _slot(client, serve_url, seconds)
        if serving == release_id:
            say(f"{release_id} already serves at {serve_url}")
            return time.monotonic() - started
        others = [own for own in declared(now) if own["name"] != slot]
        new = application(slot, bento, **(options or {}))
        _put(client, serve_api, configuration(serve_url, [*others, new], http_options=now.get("http_options")))
        waited_for = ""
        while time.monotonic() - started < seconds:
            status, message = _status(client, serve_api, slot)
            if status in _REFUSED:
                raise StackError(f"Ray Serve could not start {release_id}: {status}: {message.strip()[-800:]}")
            if status == "RUNNING" and _serving(client, serve_url) == (slot, release_id):
                return time.monotonic() - started
            if status != waited_for:
                say(f"waiting for {release_id} in slot {slot}: {status.lower()}")
                waited_for = status
            time.sleep(_POLL_SECONDS)
    raise StackError(f"{release_id} did not answer at {serve_url} within {seconds:.0f} s; see `rankloop logs`")


def application(slot: str, bento: str, **options: Any) -> dict[str, Any]:
    """What Serve is told of one slot."""
    return {"name": slot, "route_prefix": f"/{slot}", "import_path": _BUILDER, "args": {"bento": bento, **options}}


def declared(details: dict[str, Any]) -> list[dict[str, Any]]:
    """The applications as they were declared, of all that Serve says of itself."""
    found = (details.get("applications") or {}).values()
    return [own["deployed_app_config"] for own in found if own.get("deployed_app_config")]


def configuration(
    serve_url: str, applications: list[dict[str, Any]], *, http_options: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The body that makes these the only applications.

    Args:
        serve_url: where Serve answers, if it does not run yet.
        applications: all of them, since those that are not named end.
        http_options: where it answers now.
    """
    address = urlsplit(serve_url)
    return {
        "proxy_location": "HeadOnly",
        "http_options": http_options or {"host": address.hostname, "port": address.port},
        "logging_config": {"encoding": "TEXT", "log_level": "INFO", "enable_access_log": False},
        "applications": applications,
    }


def _details(client: httpx.Client, serve_api: str) -> dict[str, Any]:
    try:
        answer = client.get(serve_api + PATH)
    except httpx.TransportError as error:
        raise StackError(f"Ray's dashboard at {serve_api} does not answer ({error}); is the stack up? `rankloop up`") from error
    found: dict[str, Any] = answer.json() if answer.is_success else {}
    return found


def _put(client: httpx.Client, serve_api: str, config: dict[str, Any]) -> None:
    answer = client.put(serve_api + PATH, json=config)
    if answer.is_error:
        raise StackError(f"Ray Serve refused the application ({answer.status_code}): {answer.text.strip()[-800:]}")


def _status(client: httpx.Client, serve_api: str, slot: str) -> tuple[str, str]:
    found = (_details(client, serve_api).get("applications") or {}).get(slot, {})
    messages = [
        found.get("message", ""),
        *(deployment.get("message", "") for deployment in found.get("deployments", {}).values()),
    ]
    return found.get("status", "NOT_STARTED"), " ".join(filter(None, messages))


def _serving(client: httpx.Client, serve_url: str) -> tuple[str | None, str | None]:
    """The slot that an address stands for, which the edge names even while it is empty, and the release in it.

    Raises:
        StackError: nobody listens there.
    """
    try:
        answer = client.get(serve_url + "/readyz", timeout=5.0)
        slot = answer.headers.get(_SLOT_HEADER, SLOTS[0])
        return slot, answer.json().get("release_id") if answer.is_success else None
    except httpx.ConnectError as error:
        raise StackError(f"{serve_url} does not answer ({error}); is the stack up? `rankloop up`") from error
    except (httpx.TransportError, ValueError):  # it takes longer, or breaks off, while a replica is replaced
        return None, None


def _slot(client: httpx.Client, serve_url: str, seconds: float) -> tuple[str, str | None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        slot, release_id = _serving(client, serve_url)
        if slot:
            return slot, release_id
    raise StackError(f"{serve_url}/readyz did not answer within {seconds:.0f} s; see `rankloop logs`")
