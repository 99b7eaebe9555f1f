"""What both clients share of the network: headers, one request in the words of httpx, and what its errors mean."""

import os
from typing import Any

import httpx

from rankloop import __version__
from rankloop.errors import DataError
from services.client.exchange import Failure, Reply, Send

__all__ = ["base", "came", "failed", "headers_for", "options"]


def base(url: str) -> httpx.URL:
    """The service's address.

    Raises:
        DataError: it is none.
    """
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise _no_address(url, error) from error
    if found.scheme not in ("http", "https") or not found.host:
        raise _no_address(url, "it has no scheme and host")
    return found


def headers_for(token: str | None) -> dict[str, str]:
    """The headers of every request.

    Args:
        token: None: that of `RANKLOOP_TOKEN`; empty: none.
    """
    found = os.environ.get("RANKLOOP_TOKEN", "") if token is None else token
    headers = {"User-Agent": f"rankloop/{__version__}", "Accept": "application/json"}
    if not found:
        return headers
    if not found.isascii() or not found.isprintable() or " " in found:
        raise DataError("the token holds a character that no token has; give the one `rankloop tokens create` printed")
    return {**headers, "Authorization": f"Bearer {found}"}


def options(step: Send) -> dict[str, Any]:
    """The arguments of `httpx.Client.request`."""
    call = step.call
    return {
        "method": call.method,
        "url": call.path,
        "content": call.content,
        "headers": {**call.headers, "X-Request-Id": call.request_id.encode()},
        "timeout": httpx.Timeout(step.read, connect=step.connect),
    }


def came(response: httpx.Response) -> Reply:
    """What a conversation is told of an answer."""
    return Reply(response.status_code, response.headers, response.content)


def failed(error: httpx.HTTPError | httpx.InvalidURL, url: str) -> Failure:
    """What a conversation is told where none came.

    Raises:
        DataError: trying again cannot help.
    """
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        raise _no_address(url, error) from error
    return Failure(f"{url}: {error}" if str(error) else f"{url}: {type(error).__name__}")


def _no_address(url: str, why: object) -> DataError:
    return DataError(f"{url!r} cannot be asked: {why}; give an address such as http://127.0.0.1:8000")
