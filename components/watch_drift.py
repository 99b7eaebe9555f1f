"""Step: a window of what was served and written, held against what the release learned from."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def watch_drift(
    tables: dsl.Input[dsl.Dataset],
    source: str,
    path: str,
    mapping: str,
    bundle: str,
    surface: str,
    until: str,
    hours: float,
    policy: str,
    compared: dsl.Output[dsl.Artifact],
):
    """Compares every column, over all rows.

    Args:
        tables: the contract tables, with the window's rows.
        source: the adapter's name; the log of an `event_log` is read for what the contract has no columns for.
        path: what it reads.
        mapping: the YAML of a source that needs one; empty for the others.
        bundle: the folder of the release that serves, with its reference.
        surface: whose lists.
        until: the window's end, ISO 8601.
        hours: its length.
        policy: fields of `rankloop.drift.DriftPolicy` that differ from the default, as JSON.
        compared: each column's drift, and samples to draw.
    """
    import json
    from datetime import datetime
    from pathlib import Path

    from monitoring.progress import step
    from rankloop.contracts import Tables
    from rankloop.drift import DriftPolicy
    from rankloop.watch import Asked, compare_window

    with step("watch_drift") as say:
        asked = Asked(surface, datetime.fromisoformat(until), hours, source, path, mapping)
        rules = DriftPolicy.of(json.loads(policy))
        found = compare_window(Tables.read(tables.path), Path(bundle), asked, rules, say)
        found.write(Path(compared.path))
        say(f"{len(found.record.columns)} columns compared")
