"""A real release of the size the bars name, made once by Rankloop's own library and kept below `.rankloop/benchmarks/`."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.result import ROOT
from rankloop.bundle import Bundle, Manifest
from rankloop.contracts import Columns, Tables
from rankloop.errors import ModelError
from rankloop.features import FeatureStore, compute, load_views
from rankloop.files import write_json
from rankloop.ranking import Boosting, LambdaMart
from rankloop.recipe import Recipe
from rankloop.simulation import Marketplace, Scale
from rankloop.training import bundle_parts, fit_retrievers, windows

__all__ = ["FULL", "QUICK", "Made", "Size", "made"]

_SHELF: Final = ROOT / ".rankloop" / "benchmarks"
_HISTORY: Final = ("rankloop/simulation", "rankloop/contracts", "benchmarks/load/bundle.py")
_RELEASE: Final = tuple(
    f"rankloop/{part}"
    for part in (
        *("bundle", "contracts", "features", "ranking", "retrieval", "text"),
        *("examples.py", "judgements.py", "recipe.py", "rules.py", "splits.py", "training.py", "vocabulary.py"),
    )
)
_REQUESTS: Final = 4_000
Say = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """How large the release is; the bars are about `FULL`.

    Attributes:
        items: open items in the catalogue, exactly.
        depth: candidates the ranker sees.
        trees: exactly.
        leaves: of each tree, exactly.
        scale: the history it is made from, which must leave more open items than `items`.
    """

    items: int
    depth: int
    trees: int
    leaves: int
    scale: Scale


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
    folder = _SHELF / f"bundle-{size.items}-{_version((*_HISTORY, *_RELEASE), size)}"
    if not (folder / "asked.json").exists():
        _make(size, folder, say)
    asked = json.loads((folder / "asked.json").read_text(encoding="utf-8"))
    return Made(folder / "bundle", Manifest.read(folder / "bundle"), **asked)


def _make(size: Size, folder: Path, say: Say) -> None:
    tables = _history(size, say)
    recipe = Recipe(depth=size.depth)
    views = load_views()
    say("feature views")
    store = FeatureStore(views, compute(views, tables))
    fits = fit_retrievers(tables, recipe, say)
    judged = windows(tables, store, fits, recipe, say)
    say(f"{size.trees} trees on {len(judged.training.grades):,} rows of {len(judged.training.names)} features")
    boosting = Boosting(rounds=size.trees, patience=0, num_leaves=size.leaves, min_data_in_leaf=20, threads=2)
    # without validation lists every tree is grown and kept
    ranker = LambdaMart(boosting).fit(judged.training, rng=np.random.default_rng(recipe.seed))
    say("writing the bundle")
    as_of = _last_moment(tables)
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


def _history(size: Size, say: Say) -> Tables:
    """Simulated tables whose items are exactly `size.items` that are open at the end."""
    folder = _SHELF / f"history-{size.items}-{_version(_HISTORY, size)}"
    names = ("items", "users", "impressions", "outcomes")
    if not (folder / "whole").exists():
        market = Marketplace(size.scale, rng=7)
        tables = _open_only(market.history(lambda done, days: say(f"simulated day {done} of {days}")), size.items)
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            getattr(tables, name).write_parquet(folder / f"{name}.parquet")
        (folder / "whole").touch()
    return Tables(**{name: pl.read_parquet(folder / f"{name}.parquet") for name in names})


def _open_only(tables: Tables, items: int) -> Tables:
    """Leaves out what closed, and the oldest of what did not: the rest was there, and is, all the time."""
    still = pl.col(Columns.CLOSED_AT).is_null() | (pl.col(Columns.CLOSED_AT) > _last_moment(tables) + timedelta(days=1))
    kept = tables.items.filter(still).sort(Columns.CREATED_AT, Columns.ITEM_ID).tail(items)
    if kept.height < items:
        raise ModelError(f"the simulated history ends with {kept.height} open items; {items} are wanted: post more in its scale")
    kept = kept.with_columns(pl.lit(None, kept.schema[Columns.CLOSED_AT]).alias(Columns.CLOSED_AT))
    ours = pl.col(Columns.ITEM_ID).is_in(kept[Columns.ITEM_ID].implode())
    return replace(tables, items=kept, impressions=tables.impressions.filter(ours), outcomes=tables.outcomes.filter(ours))


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


def _last_moment(tables: Tables) -> datetime:
    last = tables.outcomes[Columns.TS].max()
    assert isinstance(last, datetime)
    return last


def _version(parts: tuple[str, ...], size: Size) -> str:
    """A fingerprint of the code that makes it and of its size."""
    digest = hashlib.sha256(repr(size).encode())
    for part in parts:
        path = ROOT / part
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.suffix in {".py", ".sql", ".json"})
        for file in files:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
