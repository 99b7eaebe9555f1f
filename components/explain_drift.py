"""Step: what explains the columns that changed, and what it costs."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def explain_drift(
    tables: dsl.Input[dsl.Dataset], compared: dsl.Input[dsl.Artifact], bundle: str, report: dsl.Output[dsl.Artifact]
) -> str:
    """Ranks columns by impact, traces them to causes, and measures or estimates performance.

    Args:
        tables: the contract tables.
        compared: what `watch_drift` found.
        bundle: the release's folder.
        report: `report.json`, a `rankloop.drift.DriftReport`.

    Returns:
        The verdict: `stable`, `drifted`, `broken` or `not enough rows`.
    """
    from datetime import UTC, datetime
    from pathlib import Path

    from monitoring.progress import step
    from rankloop.contracts import Tables
    from rankloop.watch import Compared, explain, name_of_report

    with step("explain_drift") as say:
        now = datetime.now(UTC)
        found = Compared.read(Path(compared.path))
        told = explain(found, Tables.read(tables.path), Path(bundle), report_id=name_of_report(now), at=now)
        told.write(Path(report.path) / "report.json")
        say(f"{told.verdict}: {told.says}", verdict=told.verdict, report_id=told.report_id)
        return told.verdict
