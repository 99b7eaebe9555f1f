"""Runs on a Kubeflow Pipelines server, by the same calls."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import httpx

from pipelines.events import PIPELINES, StepRecord
from pipelines.launch import Order, submit_release
from pipelines.watch import WatchOrder, submit_watch
from rankloop.errors import ControlError, StackError
from services.control.database import Run, Where
from services.control.runs.launching import Ended, LogPart, Placed
from services.control.runs.orders import RunOrder
from services.control.runs.steps import part_of

__all__ = ["Cluster", "KfpLauncher"]

_ENDS: Final = {"SUCCEEDED": "succeeded", "SKIPPED": "succeeded", "FAILED": "failed", "CANCELED": "cancelled"}
_STATES: Final = {
    "PENDING": "waiting",
    "RUNNING": "running",
    "PAUSED": "running",
    "CANCELING": "running",
    "SUCCEEDED": "done",
    "SKIPPED": "skipped",
    "FAILED": "failed",
    "CANCELED": "stopped",
}
_LOGS: Final = ("/apis/v2beta1/runs/{run}/nodes/{node}/log", "/apis/v1alpha1/runs/{run}/nodes/{node}/log")
"""Where servers give a pod's log: newer ones, and those before."""

_SECONDS: Final = 20.0
_PATIENCE: Final = {"_request_timeout": _SECONDS}
_NOT_FOUND: Final = 404


class _Unknown(ControlError):
    """The server has no run of that name."""


@dataclass(frozen=True)
class Cluster:
    """A KFP server, and the addresses that its steps use.

    Attributes:
        url: its API, such as `http://ml-pipeline.kubeflow:8888`.
        token: a bearer token; empty: none.
        namespace: whose runs they are, on a server of several users; empty: it has one.
        control_api: the control plane, as the steps see it.
        ray_address: the Ray cluster to tune on.
    """

    url: str
    token: str = ""
    namespace: str = ""
    control_api: str = "http://127.0.0.1:8002"
    ray_address: str = ""

    def order(self, run: Run, bundle: str = "") -> Order | WatchOrder:
        """The pipeline's order of a run; a drift watch compares with this bundle's reference."""
        own = RunOrder.of(run.order)
        return own.sent(run.surface, control_api=self.control_api, ray_address=self.ray_address, bundle=bundle)


class KfpLauncher:
    """Creates, watches, ends and retries runs on a server.

    A run carries its own id as its name there, so that one whose creation nobody could note is found and not made twice.

    Args:
        cluster: the server.
        champion: the bundle of the release that serves, as the steps see it; empty: none does.
    """

    where: Where = "kfp"

    def __init__(self, cluster: Cluster, *, champion: Callable[[], str] = lambda: "") -> None:
        self._cluster, self._champion = cluster, champion
        self._api = _run_api(cluster)

    def folder(self, run_id: str) -> str | None:
        return None

    def begin(self, run: Run, before: Run | None) -> Placed:
        if before and before.external_id and before.where == self.where:
            return self._again(before.external_id)
        if known := self._named(run.run_id):
            return Placed(external_id=known)
        champion = "" if run.order.get("alone") else self._champion()
        own = self._cluster
        named: dict[str, Any] = {"token": own.token or None, "namespace": own.namespace or None, "name": run.run_id}
        order = own.order(run, champion)
        with self._told():
            if isinstance(order, WatchOrder):
                return Placed(external_id=submit_watch(order, own.url, **named))
            return Placed(external_id=submit_release(order, own.url, champion=champion, **named))

    def look(self, run: Run) -> Ended | None:
        try:
            found = self._get(run.external_id)
        except _Unknown as unknown:
            return Ended("lost", error=f"{unknown}; somebody removed it there")
        state = _ENDS.get(found.state or "")
        if state is None:
            return None
        failed = [task for task in _tasks(found) if task.state == "FAILED" and _step(task) in PIPELINES[run.pipeline]]
        # servers of today leave a task's own error empty
        where = f"see `rankloop runs log {run.run_id} STEP`"
        named = [f"step {_step(task)} failed: {_message(task.error) or where}" for task in failed]
        error = "\n".join(named) or _message(found.error) or where
        deployed = any(_step(task) == "deploy" and task.state == "SUCCEEDED" for task in _tasks(found))
        at = found.finished_at.astimezone(UTC) if found.finished_at else None
        return Ended(state, verdict="pass" if deployed else None, error=error if state == "failed" else "", at=at)

    def end(self, run: Run, *, kill: bool) -> bool:
        external_id = run.external_id or self._named(run.run_id)
        if external_id is None:
            return True
        try:
            found = self._get(external_id)
        except _Unknown:
            return True
        if found.state in _ENDS:
            return True
        if found.state != "CANCELING":
            with self._told():
                self._api.run_service_terminate_run(external_id, **_PATIENCE)
        return False

    def steps(self, run: Run, now: datetime) -> list[StepRecord]:
        records = {name: StepRecord(name) for name in PIPELINES[run.pipeline]}
        if run.external_id is None:
            return list(records.values())
        found = self._get(run.external_id)
        for task in _tasks(found):
            if _step(task) in records:
                records[_step(task)] = _record(task, now)
        for record in records.values():
            if found.state in _ENDS and record.state == "waiting":
                record.state = "skipped"
        return list(records.values())

    def log(self, run: Run, step: str | None, after: int) -> LogPart:
        if run.external_id is None:
            return LogPart("", after)
        tasks = [task for task in _tasks(self._get(run.external_id)) if _step(task) in PIPELINES[run.pipeline]]
        pods = [(task, pod) for task in tasks if step in (None, _step(task)) for pod in _pods(task)]
        return part_of("".join(self._pod_log(run.external_id, pod) for _, pod in pods), after)

    def _again(self, external_id: str) -> Placed:
        with self._told():
            if self._api.run_service_get_run(external_id, **_PATIENCE).state in ("FAILED", "CANCELED"):
                self._api.run_service_retry_run(external_id, **_PATIENCE)
        return Placed(external_id=external_id)

    def _named(self, run_id: str) -> str | None:
        same = {"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": run_id}]}
        more = {"namespace": self._cluster.namespace} if self._cluster.namespace else {}
        with self._told():
            found = self._api.run_service_list_runs(filter=json.dumps(same), page_size=1, **more, **_PATIENCE).runs or []
        return next((str(own.run_id) for own in found if own.display_name == run_id), None)

    def _get(self, external_id: str | None) -> Any:
        with self._told():
            return self._api.run_service_get_run(external_id, **_PATIENCE)

    def _pod_log(self, external_id: str, pod: str) -> str:
        headers = {"Authorization": f"Bearer {self._cluster.token}"} if self._cluster.token else {}
        with httpx.Client(base_url=self._cluster.url, headers=headers, timeout=_SECONDS) as client, self._told():
            for path in _LOGS:
                answer = client.get(path.format(run=quote(external_id, safe=""), node=quote(pod, safe="")))
                if answer.is_success:
                    return answer.text
        return ""  # its pod is gone, or has not begun: the server keeps no log of it

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The server's refusals as errors of ours.

        Raises:
            StackError: it does not answer.
            ControlError: it refuses.
        """
        from kfp_server_api import rest
        from kfp_server_api.exceptions import ApiException, OpenApiException

        unanswered = rest.urllib3.exceptions.HTTPError  # the client lets the errors of its transport through
        try:
            yield
        except (unanswered, httpx.TransportError) as away:
            raise StackError(f"no KFP API answers at {self._cluster.url} ({away}); see that it runs") from away
        except ApiException as refused:
            if refused.status is not None and refused.status >= 500:
                raise StackError(f"{self._cluster.url} failed ({refused.status}): {_said(refused)}") from refused
            kind = _Unknown if refused.status == _NOT_FOUND else ControlError
            raise kind(f"{self._cluster.url} refused ({refused.status}): {_said(refused)}") from refused
        except OpenApiException as strange:
            raise ControlError(f"{self._cluster.url} refused: {str(strange).strip()[:800]}") from strange


def _run_api(cluster: Cluster) -> Any:
    import kfp_server_api

    configuration = kfp_server_api.Configuration(host=cluster.url.rstrip("/"))
    configuration.retries = False  # the queue asks again by itself
    if cluster.token:
        configuration.api_key["authorization"] = cluster.token
        configuration.api_key_prefix["authorization"] = "Bearer"
    return kfp_server_api.RunServiceApi(kfp_server_api.ApiClient(configuration))


def _tasks(found: Any) -> list[Any]:
    return list((found.run_details and found.run_details.task_details) or [])


def _step(task: Any) -> str:
    return (task.display_name or "").replace("-", "_")


def _record(task: Any, now: datetime) -> StepRecord:
    state = _STATES.get(task.state or "", "waiting")
    began, ended = task.start_time, task.end_time
    over = ended if ended is not None and ended >= began else now
    seconds = max(0.0, (over - began).total_seconds()) if began and state != "waiting" else 0.0
    said = [_message(task.error)] if task.error else []
    return StepRecord(_step(task), state, seconds, said=said, began=began.timestamp() if began else 0.0)


def _pods(task: Any) -> list[str]:
    """The pods that ran it: its own, or those of its executor."""
    own = [task.pod_name] if task.pod_name else [child.pod_name for child in task.child_tasks or [] if child.pod_name]
    return [str(name) for name in own]


def _message(error: Any) -> str:
    return str(error.message).strip() if error is not None and error.message else ""


def _said(error: Any) -> str:
    return str(error.body or error.reason or "").strip()[:800]
