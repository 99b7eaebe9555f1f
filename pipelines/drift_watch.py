"""The drift watch: what a release learned from, held against what came since; and a report of what changed."""

from typing import NamedTuple

from kfp import dsl

from components.explain_drift import explain_drift
from components.ingest import ingest
from components.record_drift import record_drift
from components.render_drift import render_drift
from components.watch_drift import watch_drift

__all__ = ["drift_watch"]


class Outputs(NamedTuple):
    """What a watch leaves, whatever it found."""

    verdict: str
    report: dsl.Artifact
    page: dsl.HTML


@dsl.pipeline(name="drift-watch", description="Ingest, compare a window with the release's reference, explain, render, record.")
def drift_watch(
    source: str,
    path: str,
    until: str,
    mapping: str = "",
    data_version: str = "",
    code_version: str = "",
    bundle: str = "",
    surface: str = "job_feed",
    hours: float = 24.0,
    policy: str = "{}",
    control_api: str = "",
) -> Outputs:
    """Wiring only: names and edges."""
    data = ingest(source=source, path=path, mapping=mapping, data_version=data_version, code_version=code_version)
    tables = data.outputs["tables"]
    window = {"source": source, "path": path, "mapping": mapping, "surface": surface, "until": until, "hours": hours}
    compared = watch_drift(tables=tables, bundle=bundle, policy=policy, **window).outputs["compared"]
    explained = explain_drift(tables=tables, compared=compared, bundle=bundle)
    report = explained.outputs["report"]
    rendered = render_drift(compared=compared, report=report).set_caching_options(False)
    pages = {"page": rendered.outputs["page"], "evidently": rendered.outputs["evidently"]}
    record_drift(report=report, **pages, control_api=control_api).set_caching_options(False)
    return Outputs(explained.outputs["Output"], report, rendered.outputs["page"])
