"""Starts the drift watch: here, on a KFP server, or only as YAML."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.control_api import serving_bundle
from pipelines.events import Event, StepRecord, summarise
from pipelines.fingerprints import code_version, data_version
from pipelines.processes import in_process, run_folder
from rankloop.drift.report import DriftReport
from rankloop.errors import DataError

__all__ = ["WatchOrder", "WatchResult", "compile_watch", "run_watch", "submit_watch"]


@dataclass(frozen=True)
class WatchOrder:
    """What a watch is asked to look at.

    Attributes:
        source: the adapter's name.
        path: what it reads; what a release was made of, and what came since.
        mapping: the YAML of a source that needs one.
        surface: whose lists are looked at.
        hours: the window's length.
        until: the window's end, ISO 8601; empty: when the run begins.
        bundle: the bundle whose reference it is compared with; empty: that of the release that serves.
        policy: fields of `rankloop.drift.DriftPolicy` that differ from their defaults.
        control_api: the control plane that keeps the report; empty: none does.
    """

    source: str
    path: str
    mapping: str = ""
    surface: str = "job_feed"
    hours: float = 24.0
    until: str = ""
    bundle: str = ""
    policy: Mapping[str, Any] | None = None
    control_api: str = "http://127.0.0.1:8002"

    def parameters(self) -> dict[str, Any]:
        """The pipeline's parameters.

        Raises:
            DataError: no bundle is named, and there is no control plane that could name one, or nothing serves.
            ControlError: the control plane does not answer.
        """
        return {
            "source": self.source,
            "path": self.path,
            "mapping": self.mapping,
            "data_version": data_version(self.path, self.mapping, self.source),
            "code_version": code_version(),
            "bundle": self.bundle or self._serving(),
            "surface": self.surface,
            "until": self.until or datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "hours": self.hours,
            "policy": json.dumps(dict(self.policy or {})),
            "control_api": self.control_api,
        }

    def _serving(self) -> str:
        found = serving_bundle(self.control_api) if self.control_api else None
        if found is None:
            raise DataError("no release serves whose reference a window could be held against; name one with --bundle FOLDER")
        return found


@dataclass(frozen=True)
class WatchResult:
    """What a watch found.

    Attributes:
        run_id: names the run's folder.
        folder: `<home>/runs/<run_id>`.
        steps: in the pipeline's order.
        verdict: `stable`, `drifted`, `broken` or `not enough rows`.
        report: the finding.
        page: the HTML page, below `<home>/drift` where it was kept.
        seconds: from start to end.
    """

    run_id: str
    folder: Path
    steps: tuple[StepRecord, ...]
    verdict: str
    report: DriftReport
    page: Path
    seconds: float


def run_watch(
    order: WatchOrder, home: Path, on_event: Callable[[Event], None] = lambda event: None, *, folder: Path | None = None
) -> WatchResult:
    """Runs the drift watch on this machine and waits for its end.

    Args:
        order: what to look at.
        home: the state folder, `RANKLOOP_HOME`.
        on_event: is told each event as it happens.
        folder: the run's own, which exists; None makes one, named by the time, below `<home>/runs`.

    Raises:
        PipelineFailed: a step failed.
        ControlError: no control plane answers, and one was named.
        DataError: nothing serves, and no bundle is named.
    """
    started = time.monotonic()
    parameters = order.parameters()
    folder = folder.resolve() if folder else run_folder(home)
    events, peaks = in_process("drift_watch", parameters, folder, home, on_event)
    outputs = json.loads((folder / "outputs.json").read_text())
    steps = summarise(events, ended=True, pipeline="drift_watch")
    for name, peak in peaks.items():
        steps[name].peak_mb = max(steps[name].peak_mb, peak)
    report = DriftReport.read(Path(outputs["report"]) / "report.json")
    page = Path(steps["record_drift"].facts.get("page") or outputs["page"])
    return WatchResult(folder.name, folder, tuple(steps.values()), report.verdict, report, page, time.monotonic() - started)


def compile_watch(file: Path) -> None:
    """Writes the drift watch as KFP YAML."""
    from kfp import compiler

    from pipelines.drift_watch import drift_watch

    file.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(drift_watch, str(file))


def submit_watch(order: WatchOrder, host: str, *, token: str | None = None, namespace: str | None = None, name: str = "") -> str:
    """Sends the drift watch to a KFP server.

    Args:
        order: what to look at; paths and addresses as the cluster sees them.
        host: the KFP API, such as `http://localhost:8888`.
        token: a bearer token for the API.
        namespace: the Kubernetes namespace, where the server has several users.
        name: what the server shows; empty names it by the time.

    Returns:
        The run's id on that server.
    """
    from kfp import Client

    from pipelines.drift_watch import drift_watch

    client = Client(host=host, existing_token=token, namespace=namespace or "kubeflow")
    run = client.create_run_from_pipeline_func(
        drift_watch, arguments=order.parameters(), run_name=name or None, namespace=namespace
    )
    return str(run.run_id)
