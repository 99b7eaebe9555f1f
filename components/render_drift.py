"""Step: the report as a page with charts, and in Evidently's JSON."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def render_drift(
    compared: dsl.Input[dsl.Artifact],
    report: dsl.Input[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    evidently: dsl.Output[dsl.Artifact],
):
    """Draws samples under the verdicts that all rows gave.

    Args:
        compared: the samples.
        report: what was found.
        page: one self-contained page.
        evidently: Evidently's metrics and tests, as JSON.
    """
    import shutil
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from monitoring.drift import EVIDENTLY, PAGE, render
    from monitoring.progress import step
    from rankloop.drift.report import DriftReport
    from rankloop.watch import Compared

    with step("render_drift") as say, TemporaryDirectory() as folder:
        found, told = Compared.read(Path(compared.path)), DriftReport.read(Path(report.path) / "report.json")
        render(told, found.reference, found.window, Path(folder))
        for name, artifact in ((PAGE, page), (EVIDENTLY, evidently)):
            shutil.copyfile(Path(folder) / name, artifact.path)
        say(f"{len(told.columns)} columns, {len(told.causes)} causes")
