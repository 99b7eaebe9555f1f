"""The middle of the loop: retrievers fitted twice, judged lists cut in time, and the parts of a bundle.

The retrievers are fitted on two histories. The ranker learns from scores of the first, which ends where its
training window begins; test and service use the second, which ends where the test window begins. So the ranker
meets scores of the same staleness in training, test and service, and never one that has seen its own label. What a
person did since a fit is known all the same (`Retriever.follow`), strictly before each request.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from rankloop.bundle import Parts
from rankloop.contracts import Columns, Tables
from rankloop.errors import SettingsError
from rankloop.examples import Lists, assembled, logged, retrieved
from rankloop.features import Assembler, FeatureStore
from rankloop.judgements import has_negatives
from rankloop.ranking import Judged, Ranker
from rankloop.ranking.tuning import Budget, tune
from rankloop.recipe import Recipe
from rankloop.retrieval import RETRIEVERS, Blend, Retriever
from rankloop.rules import Rules
from rankloop.splits import Split, before, by_share
from rankloop.vocabulary import Vocabulary

__all__ = ["Fits", "Windows", "bundle_parts", "catalogue_of", "fit_retrievers", "train", "windows"]

_FITS: Final = ("training", "release")
Say = Callable[[str], None]


def catalogue_of(tables: Tables, split: Split) -> Vocabulary:
    """The items that were open at some moment since the training window began, in order of item id."""
    alive = pl.col(Columns.CLOSED_AT).is_null() | (pl.col(Columns.CLOSED_AT) > split.training_from)
    return Vocabulary(tables.items.filter(alive)[Columns.ITEM_ID].sort())


@dataclass(frozen=True)
class Fits:
    """Retrievers fitted on the two histories, over one catalogue.

    Attributes:
        split: where the windows begin.
        catalogue: item ids to codes.
        training: by name, know what happened before the training window.
        release: by name, know what happened before the test window.
    """

    split: Split
    catalogue: Vocabulary
    training: Mapping[str, Retriever]
    release: Mapping[str, Retriever]

    def save(self, folder: Path) -> None:
        """Writes into an existing, empty folder; no pickle."""
        for fit in _FITS:
            for name, retriever in getattr(self, fit).items():
                (folder / fit / name).mkdir(parents=True)
                retriever.save(folder / fit / name)
        moments = {name: moment.isoformat() for name, moment in self.split._asdict().items()}
        names = {"retrievers": list(self.release)}
        (folder / "catalogue.json").write_text(json.dumps(list(self.catalogue.terms)))
        (folder / "fits.json").write_text(json.dumps(moments | names, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "Fits":
        """Reads what `save` wrote."""
        record = json.loads((folder / "fits.json").read_text())
        names = record.pop("retrievers")
        split = Split(**{name: datetime.fromisoformat(moment) for name, moment in record.items()})
        catalogue = Vocabulary(json.loads((folder / "catalogue.json").read_text()))
        shelves = [{name: RETRIEVERS[name].load(folder / fit / name) for name in names} for fit in _FITS]
        return cls(split, catalogue, *shelves)


def fit_retrievers(tables: Tables, recipe: Recipe, say: Say) -> Fits:
    """Fits every retriever of the recipe on both histories.

    Texts of items and profiles of people are taken whole: both are known from the moment they are created, and a
    request can only ask for what is. Impressions and outcomes are cut strictly before each history's end.
    """
    unknown = sorted(set(recipe.retrievers) - set(RETRIEVERS))
    if unknown:
        raise SettingsError(f"recipe: retrievers {unknown} are not known; known are {sorted(RETRIEVERS)}")
    split = by_share(tables, training=recipe.training, validation=recipe.validation, test=recipe.test)
    catalogue = catalogue_of(tables, split)
    shelves = []
    for fit, end in zip(_FITS, (split.training_from, split.test_from), strict=True):
        history = replace(before(tables, end), items=tables.items, users=tables.users)
        shelf = {}
        for place, name in enumerate(recipe.retrievers):
            say(f"{name} for {fit}, on {history.impressions.height:,} impressions before {end:%Y-%m-%d %H:%M}")
            rng = np.random.default_rng([recipe.seed, place])
            shelf[name] = RETRIEVERS[name]().fit(history, catalogue, rng=rng)
        shelves.append(shelf)
    return Fits(split, catalogue, *shelves)


class Windows(NamedTuple):
    """The ranker's judged lists.

    Attributes:
        training: what it learns from.
        validation: what decides when to stop and which trial is best.
    """

    training: Judged
    validation: Judged


def followed(retrievers: Mapping[str, Retriever], tables: Tables, catalogue: Vocabulary) -> dict[str, Retriever]:
    """The retrievers, knowing what people did up to each request."""
    return {name: own.follow(tables, catalogue) for name, own in retrievers.items()}


def windows(tables: Tables, store: FeatureStore, fits: Fits, recipe: Recipe, say: Say) -> Windows:
    """Assembles the training and validation windows, labels cut where the test window begins."""
    split = fits.split
    retrievers = followed(fits.training, tables, fits.catalogue)
    assembler = assembler_of(tables, store, fits.catalogue, retrievers)
    choose = candidates_of(tables, fits.catalogue, retrievers, recipe.depth)
    pairs = ((split.training_from, split.validation_from), (split.validation_from, split.test_from))
    judged = []
    for start, end in pairs:
        lists = choose(logged(tables, fits.catalogue, start, end, horizon=split.test_from))
        say(f"{len(lists.requests):,} judged requests from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}")
        judged.append(assembled(lists, assembler))
    return Windows(*judged)


def assembler_of(tables: Tables, store: FeatureStore, catalogue: Vocabulary, retrievers: Mapping[str, Retriever]) -> Assembler:
    """The assembler over a catalogue's items, in catalogue order."""
    return Assembler(store, items_of(tables, catalogue), tables.users, catalogue, list(retrievers.values()))


def items_of(tables: Tables, catalogue: Vocabulary) -> pl.DataFrame:
    """The items table in catalogue order."""
    order = pl.DataFrame({Columns.ITEM_ID: catalogue.terms}, schema={Columns.ITEM_ID: pl.String})
    return order.join(tables.items, on=Columns.ITEM_ID, how="left", maintain_order="left")


def candidates_of(
    tables: Tables, catalogue: Vocabulary, retrievers: Mapping[str, Retriever], depth: int
) -> Callable[[Lists], Lists]:
    """How judged lists are completed: not at all, or by retrieved candidates where the log holds only choices."""
    if has_negatives(tables):
        return lambda lists: lists
    blend, rules = Blend(list(retrievers.values())), Rules.from_tables(tables, catalogue)
    return lambda lists: retrieved(lists, blend, rules, depth)


def bundle_parts(tables: Tables, store: FeatureStore, fits: Fits, ranker: Ranker, recipe: Recipe) -> Parts:
    """What goes into the bundle: the release's retrievers and each feature's latest value."""
    return Parts(
        items=items_of(tables, fits.catalogue),
        users=tables.users,
        store=store.latest(),
        retrievers=followed(fits.release, tables, fits.catalogue),
        rules=Rules.from_tables(tables, fits.catalogue),
        ranker=ranker,
        depth=recipe.depth,
    )


def train(
    tables: Tables,
    store: FeatureStore,
    fits: Fits,
    recipe: Recipe,
    folder: Path,
    *,
    storage: Path,
    ray_address: str | None,
    say: Say,
) -> dict[str, Any]:
    """Tunes the ranker and writes it with the record of its search.

    Args:
        tables: the contract tables.
        store: the feature store, with its whole history.
        fits: both fits of the retrievers.
        recipe: the release's settings.
        folder: where `ranker/`, `trials.parquet`, `curves.parquet` and `best.json` go.
        storage: keeps searches, so that an interrupted one goes on.
        ray_address: the cluster to tune on; None starts one for the search.
        say: takes one line of progress.

    Returns:
        The best trial's numbers, plain values.
    """
    judged = windows(tables, store, fits, recipe, say)
    tuned = tune(
        judged.training,
        judged.validation,
        budget=Budget(trials=recipe.trials, rounds=recipe.rounds, seconds=recipe.tuning_seconds),
        storage=storage,
        address=ray_address,
        rng=np.random.default_rng([recipe.seed, 99]),
        progress=say,
    )
    (folder / "ranker").mkdir(parents=True)
    tuned.best_ranker.save(folder / "ranker")
    tuned.trials.write_parquet(folder / "trials.parquet")
    tuned.curves.write_parquet(folder / "curves.parquet")
    best = {
        "trial": tuned.best_trial,
        "trials": tuned.trials.height,
        "validation_ndcg@10": tuned.ndcg,
        "seconds": tuned.seconds,
        "cut_by_time": tuned.cut_by_time,
        "config": asdict(tuned.best_config),
        "training_requests": len(judged.training.sizes),
        "validation_requests": len(judged.validation.sizes),
        "rows": int(judged.training.sizes.sum() + judged.validation.sizes.sum()),
    }
    (folder / "best.json").write_text(json.dumps(best, indent=2))
    return best
