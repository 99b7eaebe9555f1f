"""Ray Serve's REST API: put a Bento into service, and wait until it answers."""

import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from rankloop.errors import StackError

__all__ = ["APPLICATION", "PATH", "configuration", "put_into_service"]

APPLICATION: Final = "ranking"
"""The Serve application that answers requests."""

PATH: Final = "/api/serve/applications/"
"""Where Ray's dashboard takes the whole list of applications."""

_BUILDER: Final = "services.ranking.serve_app:build"
_REFUSED: Final = ("DEPLOY_FAILED", "UNHEALTHY")


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
    """Deploys a Bento as the serving application and waits until it answers with the release's id.

    A request to put in service what already serves changes nothing.

    Args:
        bento: the Bento's folder, or its tag in the store of the machine that serves.
        release_id: what `/readyz` must name at the end.
        serve_api: Ray's dashboard, such as `http://127.0.0.1:8265`.
        serve_url: where requests are answered, such as `http://127.0.0.1:8000`.
        say: takes one line of progress.
        seconds: the longest wait.
        options: further arguments of the application (replicas, CPUs).

    Returns:
        The seconds it took.

    Raises:
        StackError: Serve refused the application, or it did not answer in time.
    """
    started = time.monotonic()
    with httpx.Client(timeout=60.0) as client:
        if _serving(client, serve_url) == release_id:
            say(f"{release_id} already serves at {serve_url}")
            return time.monotonic() - started
        arguments = {"bento": bento, **(options or {})}
        application = {"name": APPLICATION, "route_prefix": "/", "import_path": _BUILDER, "args": arguments}
        _put(client, serve_api, configuration(serve_url, [application]))
        waited_for = ""
        while time.monotonic() - started < seconds:
            status, message = _status(client, serve_api)
            if status in _REFUSED:
                raise StackError(f"Ray Serve could not start {release_id}: {status}: {message.strip()[-800:]}")
            if status == "RUNNING" and _serving(client, serve_url) == release_id:
                return time.monotonic() - started
            if status != waited_for:
                say(f"waiting for {release_id}: {status.lower()}")
                waited_for = status
            time.sleep(0.3)
    raise StackError(f"{release_id} did not answer at {serve_url} within {seconds:.0f} s; see `rankloop logs`")


def configuration(serve_url: str, applications: list[dict[str, Any]]) -> dict[str, Any]:
    """The body that makes these the only applications, answering at `serve_url`."""
    address = urlsplit(serve_url)
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": address.hostname, "port": address.port},
        "logging_config": {"encoding": "TEXT", "log_level": "INFO", "enable_access_log": False},
        "applications": applications,
    }


def _put(client: httpx.Client, serve_api: str, config: dict[str, Any]) -> None:
    try:
        answer = client.put(serve_api + PATH, json=config)
    except httpx.TransportError as error:
        raise StackError(f"Ray's dashboard at {serve_api} does not answer ({error}); is the stack up? `rankloop up`") from error
    if answer.is_error:
        raise StackError(f"Ray Serve refused the application ({answer.status_code}): {answer.text.strip()[-800:]}")


def _status(client: httpx.Client, serve_api: str) -> tuple[str, str]:
    answer = client.get(serve_api + PATH)
    application = answer.json().get("applications", {}).get(APPLICATION, {}) if answer.is_success else {}
    deployments = application.get("deployments", {}).values()
    messages = [application.get("message", ""), *(deployment.get("message", "") for deployment in deployments)]
    return application.get("status", "NOT_STARTED"), " ".join(filter(None, messages))


def _serving(client: httpx.Client, serve_url: str) -> str | None:
    try:
        answer = client.get(serve_url + "/readyz", timeout=5.0)
        return answer.json().get("release_id") if answer.is_success else None
    except (httpx.TransportError, ValueError):
        return None
