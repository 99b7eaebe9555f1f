"""Starts the release pipeline: here, on a KFP server, or only as YAML."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from components.control_api import serving
from pipelines.events import Event, StepRecord, summarise
from pipelines.fingerprints import code_version, data_version
from pipelines.history import History
from pipelines.processes import PipelineFailed, in_process, run_folder

__all__ = ["Order", "PipelineFailed", "RunResult", "compile_release", "run_release", "submit_release"]

_DELIVERY: Final = frozenset({"control_api", "at_once", "policy", "ray_address"})
"""Parameters that say where things are, and not what a release is made of."""


@dataclass(frozen=True)
class Order:
    """What a run is asked to do.

    Attributes:
        source: the adapter's name.
        path: what it reads.
        mapping: the YAML of the `mapping` source.
        recipe: fields of `rankloop.recipe.Recipe` that differ from their defaults.
        control_api: the control plane that gets the release.
        ray_address: the cluster to tune on; empty starts a local one for the step.
        alone: compare with the popular baseline alone, as for a first release.
        at_once: let the release serve everybody without a canary.
        policy: fields of the canary's policy that differ from the default.
    """

    source: str
    path: str
    mapping: str = ""
    recipe: Mapping[str, Any] | None = None
    control_api: str = "http://127.0.0.1:8002"
    ray_address: str = ""
    alone: bool = False
    at_once: bool = False
    policy: Mapping[str, Any] | None = None

    def parameters(self) -> dict[str, Any]:
        """The pipeline's parameters, less the champion."""
        return {
            "source": self.source,
            "path": self.path,
            "mapping": self.mapping,
            "data_version": data_version(self.path, self.mapping, self.source),
            "code_version": code_version(),
            "control_api": self.control_api,
            "at_once": self.at_once,
            "policy": json.dumps(dict(self.policy or {})),
            "ray_address": self.ray_address,
            "recipe": dict(self.recipe or {}),
        }

    def inputs(self) -> str:
        """Fingerprint of everything a release is made of, less the champion."""
        made_of = {name: value for name, value in self.parameters().items() if name not in _DELIVERY}
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class RunResult:
    """How a run went.

    Attributes:
        run_id: names the run's folder and its log.
        folder: `<home>/runs/<run_id>`.
        steps: in the pipeline's order.
        verdict: `pass`, `fail` or `not enough evidence`.
        evaluation: the recorded numbers and the gate's reasons, as `evaluate` wrote them.
        report: the HTML page, `<folder>/report.html`.
        release_id: what was handed to the control plane; None where the gate did not pass.
        state: where that release stands: `serving`, `canary` or `rolled back` (before, so it is not tried again); else empty.
        seconds: from start to end.
    """

    run_id: str
    folder: Path
    steps: tuple[StepRecord, ...]
    verdict: str
    evaluation: dict[str, Any]
    report: Path
    release_id: str | None
    state: str
    seconds: float


def run_release(
    order: Order, home: Path, on_event: Callable[[Event], None] = lambda event: None, *, folder: Path | None = None
) -> RunResult:
    """Runs the release pipeline on this machine and waits for its end.

    What a step made is cached under `home`: an interrupted or failed run goes on where it stopped when it is
    started again.

    Args:
        order: what to do.
        home: the state folder, `RANKLOOP_HOME`.
        on_event: is told each event as it happens.
        folder: the run's own, which exists; None makes one, named by the time, below `<home>/runs`.

    Raises:
        PipelineFailed: a step failed.
        ControlError: no control plane answers.
    """
    started = time.monotonic()
    history = History(home)
    parameters, inputs = order.parameters(), order.inputs()
    champion = "" if order.alone else history.champion_for(inputs, serving(order.control_api))
    folder = folder.resolve() if folder else run_folder(home)
    events, peaks = in_process("release", parameters | {"champion": champion}, folder, home, on_event)
    result = _result(folder, events, peaks, time.monotonic() - started)
    deployed = next(step for step in result.steps if step.name == "deploy").facts
    history.record(folder.name, result.verdict, deployed, inputs=inputs, champion=champion)
    return result


def compile_release(file: Path) -> None:
    """Writes the pipeline as KFP YAML."""
    from kfp import compiler

    from pipelines.release import release

    file.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(release, str(file))


def submit_release(
    order: Order, host: str, *, champion: str = "", token: str | None = None, namespace: str | None = None, name: str = ""
) -> str:
    """Sends the pipeline to a KFP server.

    Args:
        order: what to do; paths and addresses as the cluster sees them.
        host: the KFP API, such as `http://localhost:8888`.
        champion: the bundle of the release that serves there.
        token: a bearer token for the API.
        namespace: the Kubernetes namespace, where the server has several users.
        name: what the server shows; empty names it by the time.

    Returns:
        The run's id on that server.
    """
    from kfp import Client

    from pipelines.release import release

    client = Client(host=host, existing_token=token, namespace=namespace or "kubeflow")
    arguments = order.parameters() | {"champion": champion}
    run = client.create_run_from_pipeline_func(release, arguments=arguments, run_name=name or None, namespace=namespace)
    return str(run.run_id)


def _result(folder: Path, events: list[Event], peaks: dict[str, float], seconds: float) -> RunResult:
    outputs = json.loads((folder / "outputs.json").read_text())
    steps = summarise(events, ended=True)
    for name, peak in peaks.items():
        steps[name].peak_mb = max(steps[name].peak_mb, peak)
    evaluation = json.loads((Path(outputs["evaluation"]) / "evaluation.json").read_text())
    return RunResult(
        run_id=folder.name,
        folder=folder,
        steps=tuple(steps.values()),
        verdict=outputs["verdict"],
        evaluation=evaluation,
        report=Path(shutil.copyfile(outputs["report"], folder / "report.html")),
        release_id=steps["deploy"].facts.get("release_id"),
        state=steps["deploy"].facts.get("state", ""),
        seconds=seconds,
    )
