"""A real release of the size the bars name, made once by Rankloop's own library and kept below `.rankloop/benchmarks/`."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.load.history import SHELF, Size, history, last_moment, version
from rankloop.bundle import Bundle, Manifest
from rankloop.contracts import Columns, Tables
from rankloop.errors import ModelError
from rankloop.features import FeatureStore, compute, load_views
from rankloop.files import write_json
from rankloop.ranking import Boosting, LambdaMart
from rankloop.recipe import Recipe
from rankloop.simulation import Scale
from rankloop.training import bundle_parts, fit_retrievers, windows

__all__ = ["FULL", "QUICK", "Made", "Size", "made"]

_FOLDERS: Final = ("bundle", "contracts", "features", "ranking", "retrieval", "simulation", "text")
_FILES: Final = ("examples", "judgements", "recipe", "rules", "splits", "training", "vocabulary")
_CODE: Final = (
    "benchmarks/load/bundle.py",
    "benchmarks/load/history.py",
    *(f"rankloop/{name}" for name in _FOLDERS),
    *(f"rankloop/{name}.py" for name in _FILES),
)
_KEPT: Final = 2
_REQUESTS: Final = 4_000
Say = Callable[[str], None]
FULL: Final = Size(100_000, 500, 300, 31, Scale(48_000, 200, 95_000, 7_000, 9_000, days=10, impressions=260_000))
QUICK: Final = Size(3_000, 200, 60, 31, Scale(1_500, 20, 3_000, 230, 300, days=10, impressions=60_000))


@dataclass(frozen=True)
class Made:
    """The release on disk, and what to ask it.

    Attributes:
        folder: the bundle's.
        manifest: what it says of itself.
        facts: its sizes as they came out, for the record.
        recommend: bodies of `/v1/recommend` as JSON values, by people as often as they came in the log.
        search: bodies of `/v1/search`, likewise.
        items: some item ids, to be acted on in events.
    """

    folder: Path
    manifest: Manifest
    facts: dict[str, Any]
    recommend: list[dict[str, Any]]
    search: list[dict[str, Any]]
    items: list[str]


def made(size: Size, say: Say) -> Made:
    """The release of this size; minutes where the code that makes it has changed, a moment where not.

    Raises:
        ModelError: it did not come out as large as asked.
    """
    folder = SHELF / f"bundle-{size.items}-{version(_CODE, size)}"
    if not (folder / "asked.json").exists():
        _thin_out(size)
        _make(size, folder, say)
    asked = json.loads((folder / "asked.json").read_text(encoding="utf-8"))
    return Made(folder / "bundle", Manifest.read(folder / "bundle"), **asked)


def _thin_out(size: Size) -> None:
    """Every change of the library makes another one: the newest stay, for who compares."""
    there = sorted(SHELF.glob(f"bundle-{size.items}-*"), key=lambda folder: folder.stat().st_mtime)
    for folder in there[: max(len(there) - _KEPT + 1, 0)]:
        shutil.rmtree(folder, ignore_errors=True)


def _make(size: Size, folder: Path, say: Say) -> None:
    tables = history(size, say)
    recipe = Recipe(depth=size.depth)
    views = load_views()
    say("feature views")
    store = FeatureStore(views, compute(views, tables))
    fits = fit_retrievers(tables, recipe, say)
    judged = windows(tables, store, fits, recipe, say)
    say(f"{size.trees} trees on {len(judged.training.grades):,} rows of {len(judged.training.names)} features")
    boosting = Boosting(rounds=size.trees, patience=0, num_leaves=size.leaves, min_data_in_leaf=20)
    # without validation lists every tree is grown and kept
    ranker = LambdaMart(boosting).fit(judged.training, rng=np.random.default_rng(recipe.seed))
    say("writing the bundle")
    as_of = last_moment(tables)
    Bundle.write(
        bundle_parts(tables, store, fits, ranker, recipe),
        folder / "bundle",
        as_of=as_of,
        created_at=as_of,
        surfaces=("job_feed", "job_search"),
        numbers={},
        lineage={"data": f"simulated, {size.items} items"},
    )
    write_json(folder / "asked.json", {"facts": _facts(size, folder / "bundle", tables), **_asked(tables)})


def _asked(tables: Tables) -> dict[str, Any]:
    """Requests drawn from the log, so people and words are asked for as often as they were."""
    once = tables.impressions.unique(Columns.REQUEST_ID, keep="first", maintain_order=True)
    feed = once.filter(pl.col(Columns.QUERY).is_null()).sample(_REQUESTS, seed=1, shuffle=True, with_replacement=True)
    search = once.filter(pl.col(Columns.QUERY).is_not_null()).sample(_REQUESTS, seed=2, shuffle=True, with_replacement=True)
    return {
        "recommend": [{"user_id": user, "k": 20} for user in feed[Columns.USER_ID]],
        "search": [
            {"query": query, "user_id": user, "k": 20}
            for user, query in search.select(Columns.USER_ID, Columns.QUERY).iter_rows()
        ],
        "items": tables.items[Columns.ITEM_ID].sample(5_000, seed=3, with_replacement=True).to_list(),
    }


def _facts(size: Size, bundle: Path, tables: Tables) -> dict[str, Any]:
    manifest = Manifest.read(bundle)
    text = (bundle / "ranker" / "model.txt").read_text(encoding="utf-8")
    leaves = [int(line.removeprefix("num_leaves=")) for line in text.splitlines() if line.startswith("num_leaves=")]
    if leaves != [size.leaves] * size.trees:
        raise ModelError(
            f"the ranker has {len(leaves)} trees of {min(leaves)} to {max(leaves)} leaves, "
            f"not {size.trees} of {size.leaves}; give it more rows"
        )
    return {
        "items": tables.items.height,
        "users": tables.users.height,
        "impressions": tables.impressions.height,
        "outcomes": tables.outcomes.height,
        "candidates": manifest.depth,
        "features": len(manifest.features),
        "trees": len(leaves),
        "leaves": leaves[0],
        "retrievers": ", ".join(manifest.retrievers),
        "bundle_mb": sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file()) / 1e6,
    }
