"""Measure a candidate on the test window, and let the gate decide: the whole of the step `evaluate`."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from rankloop.bundle import transplant
from rankloop.contracts import Tables
from rankloop.errors import DataError
from rankloop.evaluation.champion import Champion
from rankloop.evaluation.measure import CatalogueRun, retriever_recall
from rankloop.evaluation.systems import POPULAR, Test, Window
from rankloop.examples import logged
from rankloop.features import FeatureStore
from rankloop.gate import Measured, Policy, Verdict, decide
from rankloop.metrics import Interval, bootstrap_mean
from rankloop.ranking import RANKERS, Ranker
from rankloop.recipe import Recipe
from rankloop.recommender import Recommender
from rankloop.retrieval import Blend
from rankloop.rules import Rules
from rankloop.training import Fits, assembler_of, followed
from rankloop.vocabulary import Vocabulary

__all__ = ["CANDIDATE", "Evaluation", "Inputs", "evaluate"]

CANDIDATE: Final = "candidate"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Inputs:
    """What a candidate is made of, and what it is measured on.

    Attributes:
        tables: the contract tables.
        store: the feature store with its whole history.
        fits: both fits of the retrievers.
        ranker: the tuned ranker.
        recipe: the release's settings.
    """

    tables: Tables
    store: FeatureStore
    fits: Fits
    ranker: Ranker
    recipe: Recipe

    @classmethod
    def read(cls, recipe: Recipe, tables: Path, features: Path, retrievers: Path, ranker: Path) -> "Inputs":
        """Reads what the steps before wrote."""
        record = json.loads((ranker / "ranker" / "ranker.json").read_text())
        model = RANKERS[record["ranker"]].load(ranker / "ranker")
        return cls(Tables.read(tables), FeatureStore.load(features), Fits.load(retrievers), model, recipe)

    def candidate(self) -> Recommender:
        """The candidate as it would serve, with features of every moment."""
        retrievers = followed(self.fits.release, self.tables, self.fits.catalogue)
        assembler = assembler_of(self.tables, self.store, self.fits.catalogue, retrievers)
        rules = Rules.from_tables(self.tables, self.fits.catalogue)
        return Recommender(Blend(list(retrievers.values())), rules, assembler, self.ranker, self.recipe.depth)


@dataclass(frozen=True)
class Evaluation:
    """Everything that was measured, and the verdict.

    Attributes:
        verdict: the gate's.
        measured: every system, per request.
        runs: what each ranking system would have shown.
        recall: each retriever's recall@100 alone.
        window: the test requests.
        catalogue: the codes of their items.
    """

    verdict: Verdict
    measured: Mapping[str, Measured]
    runs: Mapping[str, CatalogueRun]
    recall: Mapping[str, Interval]
    window: Window
    catalogue: Vocabulary

    @cached_property
    def intervals(self) -> dict[str, dict[str, Interval]]:
        """By system and metric: the mean over requests and its interval over people, with the verdict's seed."""
        seed = self.verdict.seed
        return {
            name: {
                metric: bootstrap_mean(values, np.asarray(system.units), rng=np.random.default_rng(seed))
                for metric, values in system.values.items()
            }
            for name, system in self.measured.items()
        }

    def write(self, folder: Path) -> dict[str, Any]:
        """Writes what was measured (`measured/*.parquet`), on what (`lists.parquet`), and what came of it.

        `verdict.json` can be replayed from the measurements; `evaluation.json` holds the means and their intervals,
        and is returned.
        """
        (folder / "measured").mkdir(parents=True)
        for name, system in self.measured.items():
            system.write(folder / "measured" / f"{name.replace(' ', '_')}.parquet")
        self.window.frame(self.catalogue).write_parquet(folder / "lists.parquet")
        (folder / "verdict.json").write_text(self.verdict.to_json())
        systems = {
            name: {metric: interval._asdict() for metric, interval in metrics.items()} for name, metrics in self.intervals.items()
        }
        record = {
            "verdict": json.loads(self.verdict.to_json()),
            "systems": systems,
            "totals": {name: dict(system.totals) for name, system in self.measured.items()},
            "retriever_recall@100": {name: interval._asdict() for name, interval in self.recall.items()},
            "requests": len(self.window.lists.requests),
            "ranked_over_catalogue": len(self.window.sample),
        }
        (folder / "evaluation.json").write_text(json.dumps(record, indent=2))
        return record


def evaluate(inputs: Inputs, champion: Champion | None, say: Say) -> Evaluation:
    """Measures the candidate, the champion, the popular baseline and the logged order on the test window.

    The test window is looked at here and nowhere else: nothing is chosen by it but the verdict.

    Args:
        inputs: the candidate and its data.
        champion: the release that serves; None when none does.
        say: takes one line of progress.

    Raises:
        DataError: the test window has no judged request.
    """
    tables, fits, recipe = inputs.tables, inputs.fits, inputs.recipe
    split = fits.split
    lists = logged(tables, fits.catalogue, split.test_from, split.end, horizon=split.end)
    if not lists.requests:
        raise DataError(f"no request from {split.test_from} on has an outcome; widen the recipe's test window")
    rng = np.random.default_rng([recipe.seed, 2])
    window = Window.of(tables, split, lists, most=recipe.judged_requests, rng=rng)
    say(f"{len(lists.requests):,} judged requests, {len(window.sample):,} of them over the full catalogue")
    test = Test(window)
    measured, runs = {}, {}
    systems = _systems(inputs, champion)
    judged = {name: test.judged(system.assembler) for name, system in systems.items()}
    for name, system in systems.items():
        say(f"measuring {name}")
        measured[name], runs[name] = test.run(name, system, judged[name])
    say(f"measuring {POPULAR}")
    measured[POPULAR], runs[POPULAR] = test.run_popular(systems[CANDIDATE], judged[CANDIDATE])
    if (shown := test.logged()) is not None:
        measured[shown.name] = shown
    serving = champion.release_id if champion else None
    policy = policy_of(recipe, window)
    verdict = decide(
        measured[CANDIDATE],
        baseline=measured[POPULAR],
        champion=measured.get(serving) if serving else None,
        policy=policy,
        serving=serving,
        seed=recipe.seed,
    )
    say(f"{verdict.outcome}: {verdict.reasons[0]}")
    recall = _recall(test, systems[CANDIDATE], recipe.seed)
    return Evaluation(verdict, measured, runs, recall, window, fits.catalogue)


def policy_of(recipe: Recipe, window: Window) -> Policy:
    """The recipe's policy; a log without what was passed over is judged over the full catalogue."""
    changes: dict[str, Any] = {} if window.shown else {"metric": "catalogue_ndcg@10"}
    return Policy.of(changes | recipe.policy)


def _systems(inputs: Inputs, champion: Champion | None) -> dict[str, Recommender]:
    systems = {CANDIDATE: inputs.candidate()}
    if champion is not None and champion.bundle is not None:
        systems[champion.release_id] = transplant(champion.bundle, inputs.tables, inputs.fits.catalogue)
    return systems


def _recall(test: Test, candidate: Recommender, seed: int) -> dict[str, Interval]:
    lists = test.sampled()
    people = [request.user_id for request in lists.requests]
    found = retriever_recall(lists, candidate.assembler.retrievers, candidate.rules)
    return {name: bootstrap_mean(values, people, rng=np.random.default_rng(seed)) for name, values in found.items()}
