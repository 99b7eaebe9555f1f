"""Asking the service over HTTP, with every refusal turned into a sentence."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx

from rankloop.errors import DataError, StackError
from services.settings import Settings

__all__ = ["Reply", "call"]


class Reply(NamedTuple):
    """What the service said.

    Attributes:
        body: the decoded answer.
        milliseconds: from sending the request to having the whole answer, over a connection that was open already.
    """

    body: dict[str, Any]
    milliseconds: float


def call(url: str, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Reply:
    """Posts `body`, or gets `path` where there is none, with `RANKLOOP_TOKEN` where it is set.

    Raises:
        StackError: nothing listens there, no release is in service, or the service failed.
        DataError: the service refused the request; the message is its own.
    """
    try:
        token = Settings.read().token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx.Client(base_url=url, headers=headers, timeout=30.0) as client:
            client.get("/healthz")
            answer = client.get(path, params=query) if body is None else client.post(path, json=body)
    except httpx.InvalidURL as error:
        raise StackError(f"{url!r} is no address: {error}; give one such as http://127.0.0.1:8000") from error
    except httpx.TransportError as error:
        raise StackError(f"nothing answers at {url} ({error}); start the stack with `rankloop up`") from error
    if answer.is_success:
        return Reply(answer.json(), answer.elapsed.total_seconds() * 1e3)
    raise _refusal(url, answer)


def _refusal(url: str, answer: httpx.Response) -> StackError | DataError:
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        if answer.status_code in (404, 503):
            return StackError(f"{url} answers, but no release is in service; make one with `rankloop run`")
        return StackError(f"{url} answered {answer.status_code}: {answer.text.strip()[:400]}; see `rankloop logs`")
    problem = answer.json()
    named = f"{problem['detail']} (request {problem['request_id']})"
    return DataError(named) if answer.is_client_error else StackError(f"{named}; see `rankloop logs`")
