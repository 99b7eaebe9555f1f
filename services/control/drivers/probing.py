"""Which release answers at an address."""

import ssl
from functools import cache
from typing import Final

import httpx

__all__ = ["release_at"]

_SECONDS: Final = 2.0


def release_at(url: str, *, seconds: float = _SECONDS) -> str | None:
    """The release that answers at `<url>/readyz`; None where no ready one does.

    Args:
        url: of a slot, such as `http://127.0.0.1:21011/green`.
        seconds: the longest wait.

    Raises:
        httpx.ConnectError: nobody listens there.
    """
    try:
        answer = httpx.get(f"{url}/readyz", timeout=seconds, verify=_trusted())
        return answer.json().get("release_id") if answer.is_success else None
    except httpx.ConnectError:
        raise
    except (httpx.TransportError, ValueError):
        return None


@cache
def _trusted() -> ssl.SSLContext:
    """Made once: to read the system's certificates takes longer than to ask."""
    return httpx.create_ssl_context()
