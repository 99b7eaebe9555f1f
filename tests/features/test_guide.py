"""The guide lists every feature, as its header describes it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl

from rankloop.contracts import Tables
from rankloop.features import Assembler, FeatureStore, FeatureView, check_leaks, compute, load_views
from rankloop.vocabulary import Vocabulary


def test_the_view_of_the_guide_runs_and_does_not_leak(root: Path, tiny: Tables, at: Callable[..., datetime]) -> None:
    guide = (root / "docs" / "guides" / "features.md").read_text("utf-8")
    view = FeatureView.parse("owner_saves", guide.split("```sql\n")[1].split("```")[0])
    saved = replace(tiny, outcomes=tiny.outcomes.with_columns(kind=pl.lit("save")))
    check_leaks([view], saved, [at(3), at(4, 12), at(12, 9, 2)])
    last = compute([view], saved)["owner_saves"].filter(pl.col("owner_id") == "o1").row(-1)
    assert last == ("o1", at(7), 7, at(6, 12))


def test_the_guide_lists_every_feature_with_its_meaning_and_unit(root: Path) -> None:
    views, empty = load_views(), Tables.empty()
    file = {feature.name: view.file for view in views for feature in view.features}
    assembler = Assembler(FeatureStore(views, compute(views, empty)), empty.items, empty.users, Vocabulary([]), [])
    expected = []
    for feature in assembler.features:
        unit = feature.unit if feature.default is None else f"{feature.unit} ({feature.default:g} if never seen)"
        expected.append(f"| `{feature.name}` | {feature.meaning} | {unit} | {file.get(feature.name, 'cross')} |")
    guide = (root / "docs" / "guides" / "features.md").read_text("utf-8")
    assert guide.split("| --- | --- | --- | --- |\n")[-1].splitlines() == expected
