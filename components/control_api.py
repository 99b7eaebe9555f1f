"""The control plane's REST API, as far as pipelines need it: hand over a release and wait, ask what serves, leave a report."""

import json
import os
import time
from collections.abc import Callable
from typing import Any, Final

import httpx

from rankloop.errors import ControlError

__all__ = ["Handed", "hand_over", "report_drift", "serving", "serving_bundle"]

Handed = dict[str, Any]
_POLL_SECONDS: Final = 0.5
_ENDED: Final = frozenset({"failed", "aborted", "rolled back"})


def hand_over(
    url: str,
    *,
    bundle: str,
    bento: str,
    evaluation: str,
    run_id: str = "",
    policy: dict[str, Any] | None = None,
    at_once: bool = False,
    why: str,
    say: Callable[[str], None],
    seconds: float = 300.0,
) -> Handed:
    """Registers a release that passed the gate, and starts its canary, or lets it serve where nothing does.

    Handing over what serves, or is on its way, changes nothing.

    Args:
        url: the control plane, such as `http://127.0.0.1:8002`; its token comes from `RANKLOOP_TOKEN`.
        bundle: the bundle's folder.
        bento: the Bento's folder.
        evaluation: the folder that `evaluate` wrote.
        run_id: the run that made it; empty: not known.
        policy: fields of the canary's policy that differ from the default.
        at_once: serve everybody without a canary.
        why: for whoever reads the history.
        say: takes one line of progress.
        seconds: the longest wait until it answers.

    Returns:
        `release_id`, `state` (`serving`, `canary` or `rolled back`), `canary_id` (None without one).

    Raises:
        ControlError: it was refused, could not be loaded, or the control plane does not answer.
    """
    with _client(url) as client:
        asked = {"bundle": bundle, "bento": bento, "evaluation": evaluation, "run_id": run_id or None, "why": why}
        release_id = _call(client, "POST", "/v1/releases", asked)["release"]["release_id"]
        now = _place(client, release_id)
        if now["state"] == "rolled back":
            say(
                f"{release_id} was rolled back before and is not tried again by itself; `rankloop canary start {release_id}` does"
            )
        if now["state"] == "new":
            first = serving(url) is None
            more = {"then": "serve"} if first or at_once else {"then": "canary", "policy": policy or {}}
            say(_call(client, "POST", "/v1/releases", asked | more)["said"])
        end = time.monotonic() + seconds
        while (now := _place(client, release_id))["state"] == "warming":
            if time.monotonic() > end:
                raise ControlError(
                    f"{release_id} did not answer within {seconds:.0f} s; `rankloop status` and `rankloop logs` say why"
                )
            time.sleep(_POLL_SECONDS)
        if now["state"] == "new":
            raise ControlError(f"{release_id} could not be loaded: {now['said'] or 'see `rankloop events`'}")
        return {"release_id": release_id, **now}


def serving(url: str) -> str | None:
    """The release that serves everybody but a canary's units; None where none does.

    Raises:
        ControlError: the control plane does not answer.
    """
    with _client(url) as client:
        for slot in _call(client, "GET", "/v1/serving")["slots"]:
            if slot["stable"]:
                found: str | None = slot["release_id"]
                return found
    return None


def serving_bundle(url: str) -> str | None:
    """The bundle of the release that serves everybody but a canary's units; None where none does.

    Raises:
        ControlError: the control plane does not answer.
    """
    release_id = serving(url)
    if release_id is None:
        return None
    with _client(url) as client:
        return str(_call(client, "GET", f"/v1/releases/{release_id}")["bundle"])


def report_drift(url: str, report: str, run_id: str = "") -> dict[str, Any]:
    """Leaves a report of drift with the control plane; left twice, it is there once.

    Args:
        url: the control plane.
        report: as `DriftReport.to_json` writes it.
        run_id: the run that made it; empty: not known.

    Raises:
        ControlError: it was refused, or the control plane does not answer.
    """
    with _client(url, who="drift watch") as client:
        return _call(client, "POST", "/v1/drift" + (f"?run_id={run_id}" if run_id else ""), json.loads(report))


def _place(client: httpx.Client, release_id: str) -> dict[str, Any]:
    """Where a release stands: `serving`, `canary`, `warming`, `rolled back`, or `new` where it is none of them."""
    state = _call(client, "GET", f"/v1/releases/{release_id}")["state"]
    own = [one for one in _call(client, "GET", "/v1/canaries")["canaries"] if one["release_id"] == release_id]
    newest: dict[str, Any] = own[0] if own else {}
    if state == "serving":
        return {"state": "serving", "canary_id": newest.get("canary_id"), "said": ""}
    if newest and newest.get("status") not in _ENDED | {"promoted"}:
        warming = newest["status"] == "warming"
        return {"state": "warming" if warming else "canary", "canary_id": newest["canary_id"], "said": ""}
    if state == "rolled back":
        return {"state": "rolled back", "canary_id": newest.get("canary_id"), "said": ""}
    if state == "warming":
        return {"state": "warming", "canary_id": None, "said": ""}
    return {"state": "new", "canary_id": None, "said": " ".join(newest.get("reasons") or [])}


def _client(url: str, who: str = "release pipeline") -> httpx.Client:
    token = os.environ.get("RANKLOOP_TOKEN", "")
    headers = {"X-Rankloop-Who": who} | ({"Authorization": f"Bearer {token}"} if token else {})
    # a control plane that is started again answers within seconds
    return httpx.Client(base_url=url, headers=headers, timeout=60.0, transport=httpx.HTTPTransport(retries=7))


def _call(client: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        answer = client.request(method, path, json=body)
    except httpx.TransportError as error:
        raise ControlError(
            f"the control plane at {client.base_url} does not answer ({error}); is the stack up? `rankloop up`"
        ) from error
    if answer.is_error:
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        raise ControlError(
            f"the control plane refused {method} {path} ({answer.status_code}): {problem.get('detail', answer.text[:300])}"
        )
    found: dict[str, Any] = answer.json()
    return found
