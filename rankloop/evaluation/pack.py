"""From a candidate that was measured to the bundle that ships."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from rankloop.bundle import Bundle, Manifest
from rankloop.contracts import Columns, Tables
from rankloop.evaluation.run import CANDIDATE, Inputs
from rankloop.training import bundle_parts
from rankloop.watch.making import make_reference

__all__ = ["pack"]


def pack(inputs: Inputs, evaluation: Path, folder: Path, *, lineage: Mapping[str, Any], created_at: datetime) -> Manifest:
    """Writes the bundle of a candidate, with the numbers it was measured at and the reference of what it learned from.

    Args:
        inputs: what the candidate is made of.
        evaluation: what `Evaluation.write` wrote.
        folder: where the bundle goes; an existing one is replaced whole.
        lineage: where the data came from.
        created_at: the moment of packing, UTC.
    """
    record = json.loads((evaluation / "evaluation.json").read_text())
    numbers = {name: interval["mean"] for name, interval in record["systems"][CANDIDATE].items()}
    made_from = {
        "features": inputs.store.fingerprint,
        "recipe": inputs.recipe.to_mapping(),
        "test_from": inputs.fits.split.test_from.isoformat(),
    }
    split = inputs.fits.split
    surfaces = inputs.tables.impressions[Columns.SURFACE].unique().sort().to_list()
    return Bundle.write(
        bundle_parts(inputs.tables, inputs.store, inputs.fits, inputs.ranker, inputs.recipe),
        folder,
        as_of=_known_until(inputs.tables),
        created_at=created_at,
        surfaces=tuple(surfaces),
        numbers={name: value for name, value in numbers.items() if value == value},  # NaN has no place in a record
        lineage={**lineage, **made_from},
        reference=make_reference(inputs.tables, inputs.candidate(), split.training_from, split.test_from, split.end),
    )


def _known_until(tables: Tables) -> datetime:
    """The first midnight after the last event: the moment at which the newest behaviour features are valid."""
    newest = max(frame[Columns.TS].max() for frame in (tables.impressions, tables.outcomes) if frame.height)  # type: ignore[type-var]
    return datetime.combine(newest.date() + timedelta(days=1), time(), UTC)  # type: ignore[union-attr]
