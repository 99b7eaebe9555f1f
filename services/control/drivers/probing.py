"""Which release answers at an address."""

from functools import cache
from typing import Final

import httpx

__all__ = ["release_at"]

_SECONDS: Final = 2.0
_STALE: Final = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


def release_at(url: str, *, seconds: float = _SECONDS) -> str | None:
    """The release that answers at `<url>/readyz`; None where no ready one does.

    Args:
        url: of a slot, such as `http://127.0.0.1:21011/green`.
        seconds: the longest wait.

    Raises:
        httpx.ConnectError: nobody listens there.
    """
    try:
        try:
            answer = _client().get(f"{url}/readyz", timeout=seconds)
        except _STALE:  # a connection of an earlier look, whose other end was just closed
            answer = _client().get(f"{url}/readyz", timeout=seconds)
        return answer.json().get("release_id") if answer.is_success else None
    except httpx.ConnectError:
        raise
    except (httpx.TransportError, ValueError):
        return None


@cache
def _client() -> httpx.Client:
    """One for every look, of any thread: each slot is looked at every second, and a connection of its own costs more."""
    return httpx.Client()
