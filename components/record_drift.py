"""Step: the report goes to its place below the home folder, and into the control plane's record."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def record_drift(
    report: dsl.Input[dsl.Artifact], page: dsl.Input[dsl.HTML], evidently: dsl.Input[dsl.Artifact], control_api: str
):
    """Keeps a report where it is found again.

    Args:
        report: what was found.
        page: the page of it.
        evidently: the same in Evidently's JSON.
        control_api: the control plane, such as `http://127.0.0.1:8002`; empty: the files alone are kept.
    """
    import os
    from pathlib import Path

    from components.control_api import report_drift
    from monitoring.drift import EVIDENTLY, PAGE, shelve
    from monitoring.progress import EVENTS, step
    from rankloop.drift.report import DriftReport

    with step("record_drift") as say:
        told = DriftReport.read(Path(report.path) / "report.json")
        if home := os.environ.get("RANKLOOP_HOME"):
            place = shelve(told, {PAGE: Path(page.path), EVIDENTLY: Path(evidently.path)}, Path(home))
            say(f"kept at {place}", page=str(place / PAGE))
        if control_api:
            report_drift(control_api, told.to_json(), Path(os.environ.get(EVENTS, "")).parent.name)
            say(f"{told.report_id} is in the record")
