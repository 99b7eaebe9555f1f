"""Ray Serve's REST API, as the stack uses it: what is declared, what runs, declare, delete."""

import ssl
from functools import cache
from typing import Any

import httpx

from components.serve_api import PATH, configuration, declared
from rankloop.errors import StackError
from services.settings import Settings

__all__ = ["ServeApi"]


@cache
def _trusted() -> ssl.SSLContext:
    """To read the authorities takes 0.1 s, and details are asked for again and again."""
    return httpx.create_ssl_context()


class ServeApi:
    """Talks to Ray's dashboard; it holds no connection.

    Args:
        settings: where the dashboard is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = settings.dashboard_url + PATH

    def details(self, *, seconds: float = 5.0) -> dict[str, Any] | None:
        """What Serve says of itself; None where it does not answer."""
        try:
            answer = httpx.get(self._url, timeout=seconds, verify=_trusted())
            found: dict[str, Any] | None = answer.json() if answer.is_success else None
        except (httpx.TransportError, ValueError):
            return None
        return found

    def applications(self) -> list[dict[str, Any]]:
        """The applications as they were declared."""
        return declared(self.details() or {})

    def declare(self, applications: list[dict[str, Any]]) -> None:
        """Makes these the only applications, and starts Serve and HAProxy where they do not run yet.

        Raises:
            StackError: the dashboard refuses or does not answer.
        """
        body = configuration(f"http://127.0.0.1:{self._settings.serve_port}", applications)
        try:
            answer = httpx.put(self._url, json=body, timeout=self._settings.start_seconds)
        except httpx.TransportError as error:
            raise StackError(
                f"Ray's dashboard at {self._settings.dashboard_url} did not answer: {error}; see `rankloop logs`"
            ) from error
        if answer.is_error:
            raise StackError(f"Ray Serve refused to start ({answer.status_code}): {answer.text.strip()[-800:]}")

    def delete(self, *, seconds: float) -> bool:
        """Stops Serve with all its applications; False where the dashboard does not answer."""
        try:
            return httpx.delete(self._url, timeout=seconds).is_success
        except httpx.TransportError:
            return False

    def healthy(self) -> bool:
        """Whether Serve runs and its proxies take requests."""
        proxies = ((self.details() or {}).get("proxies") or {}).values()
        return bool(proxies) and all(proxy.get("status") == "HEALTHY" for proxy in proxies)
