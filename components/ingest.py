"""Step: an outside log becomes validated contract tables."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def ingest(source: str, path: str, mapping: str, data_version: str, code_version: str, tables: dsl.Output[dsl.Dataset]):
    """Reads a source, validates it, and sets bad rows aside.

    Args:
        source: the adapter's name, such as `job_views`.
        path: the file or folder it reads; any fsspec address.
        mapping: the YAML of the `mapping` source; empty for the others.
        data_version: changes when the data changes, so that a cached result is never stale.
        code_version: changes when the code changes, likewise.
        tables: the four tables, the quarantine, and the report of the rules.
    """
    from pathlib import Path

    from monitoring.progress import step
    from rankloop.contracts import validate
    from rankloop.sources import read

    with step("ingest") as say:
        validated = validate(read(source, path, mapping=mapping or None))
        validated.write(Path(tables.path))
        rows = validated.tables.rows()
        quarantined = {f"quarantined_{name}": frame.height for name, frame in validated.quarantine.items()}
        tables.metadata.update(rows | quarantined | {"data_version": data_version, "code_version": code_version})
        say(", ".join(f"{count:,} {name}" for name, count in rows.items()))
