"""Searches LambdaMART's settings with Ray Tune: a budget of trials, successive halving, resumable, reproducible."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import ray
from ray import tune as ray_tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from rankloop.errors import ModelError
from rankloop.files import write_json
from rankloop.ranking.base import Judged
from rankloop.ranking.boosting import Boosting, BoostingRun, seed_of
from rankloop.ranking.budget import Budget
from rankloop.ranking.checks import check_judged, check_names, with_preferences
from rankloop.ranking.curves import steadied
from rankloop.ranking.halving import rungs
from rankloop.ranking.lambdamart import LambdaMart
from rankloop.ranking.session import check_temp, cores, session
from rankloop.ranking.space import SPACE, Dimension, draw
from rankloop.ranking.trials import Best, Trials, fingerprint

__all__ = ["Budget", "Tuned", "tune"]

_FORMAT: Final = 1
_STEP_S: Final = 0.3
"""Seconds a trial grows trees before it reports; it changes no result, only how often Tune is asked."""
_SAME: Final = 1e-6


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        best_ranker: fitted with the best settings, cut at the best round.
        best_config: those settings; `rounds` is the best round.
        best_trial: its number.
        ndcg: its validation nDCG@10; somewhat optimistic, as the best of many.
        trials: one row a trial (`Trials.table`).
        curves: one row a look (`Trials.curves`).
        seconds: of this call.
        cut_by_time: whether the budget of seconds ended it.
        folder: its record: `search.json`, `trials.parquet`, `curves.parquet`, `trials/*.json`.
    """

    best_ranker: LambdaMart
    best_config: Boosting
    best_trial: int
    ndcg: float
    trials: pl.DataFrame
    curves: pl.DataFrame
    seconds: float
    cut_by_time: bool
    folder: Path


def tune(
    train: Judged,
    validation: Judged,
    *,
    budget: Budget,
    storage: Path,
    address: str | None = None,
    rng: int | np.random.Generator,
    progress: Callable[[str], None] | None = None,
    base: Boosting | None = None,
    space: tuple[Dimension, ...] = SPACE,
    temp: Path | None = None,
) -> Tuned:
    """Finds good settings by Ray Tune and fits the ranker with them.

    The result depends on the data, the budget's trials, rounds and reduction, the space, `base` and `rng`, and on
    nothing else: not on the number of cores, the order in which trials run, or an interruption. The one exception is
    a search cut by `budget.seconds`.

    Not an estimate of quality: the validation lists chose the settings, so only later lists can judge them.

    Args:
        train: what trials learn from.
        validation: what they are compared on, by nDCG@10.
        budget: how much may be tried.
        storage: every search gets a folder of its own in it, named by its fingerprint; a search that was interrupted
            goes on from there, and one that was finished is not run again.
        address: of a Ray cluster; None uses the one this process is connected to, or starts one for the search.
        rng: the only source of randomness.
        progress: takes one line of text at a time.
        base: the first trial, and what is not searched.
        space: what is searched.
        temp: where a Ray started here keeps its sockets and logs; a short path (a UNIX socket's is at most 107 bytes).
            None takes a fresh folder, removed at the end.

    Raises:
        ModelError: lists nothing can be learned from, a trial that failed twice, or a best trial that a second fit
            does not reproduce.

    Source: R. Liaw et al., "Tune: A Research Platform for Distributed Model Selection and Training", 2018; for the
    halving see `rankloop.ranking.halving.standings`, and for why it is not Tune's own docs/decisions/0005.
    """
    begin = time.monotonic()
    check_temp(temp)
    search = _Search.planned(train, validation, budget, np.random.default_rng(rng), base or Boosting(), space, storage)
    trials = Trials(search.plan, search.rungs, budget.reduction, search.folder / "trials")
    say = progress or (lambda _: None)
    if len(trials.over) < budget.trials:
        lists = (with_preferences(train, "training"), with_preferences(validation, "validation"))
        with session(address, cpus=budget.cpus or cores(), data_bytes=_size(lists), temp=temp):
            _run(search, trials, lists, budget, say)
    best = trials.best()
    say(f"fitting trial {best.trial + 1} again, {best.rounds} rounds")
    config = replace(search.plan[best.trial], rounds=best.rounds, patience=0)
    tuned = Tuned(
        best_ranker=_again(config, best, search, train, validation),
        best_config=config,
        best_trial=best.trial,
        ndcg=best.ndcg,
        trials=trials.table(),
        curves=trials.curves(),
        seconds=time.monotonic() - begin,
        cut_by_time=len(trials.over) < budget.trials,
        folder=search.folder,
    )
    search.write(tuned)
    return tuned


@dataclass(frozen=True)
class _Search:
    """What will be tried, fixed before anything runs.

    Attributes:
        plan: the settings of each trial.
        seed: each trial's own comes from it.
        rungs: the rounds at which trials are compared.
        settings: all that the result depends on but the lists.
        folder: of its record, named by the fingerprint of lists and settings.
    """

    plan: tuple[Boosting, ...]
    seed: int
    rungs: tuple[int, ...]
    settings: Mapping[str, Any]
    folder: Path

    @classmethod
    def planned(
        cls,
        train: Judged,
        validation: Judged,
        budget: Budget,
        rng: np.random.Generator,
        base: Boosting,
        space: tuple[Dimension, ...],
        storage: Path,
    ) -> "_Search":
        check_judged(train, "training")
        check_judged(validation, "validation")
        check_names(validation.names, train.names, "validation")
        seed = int(rng.integers(2**31 - 1))
        first = replace(base, rounds=budget.rounds, threads=1)
        at = rungs(budget.rounds, budget.reduction)
        settings = {
            "format": _FORMAT,
            "seed": seed,
            "rungs": at,
            "reduction": budget.reduction,
            "base": asdict(first),
            "space": [asdict(dimension) for dimension in space],
        }
        folder = storage / fingerprint(train, validation, settings)
        return cls(draw(first, budget.trials, space, rng=rng), seed, at, settings, folder)

    def rng(self, trial: int) -> np.random.Generator:
        """The one source of randomness of a trial and of its second fit."""
        return np.random.default_rng([self.seed, trial])

    def write(self, tuned: Tuned) -> None:
        """Writes the record of a search that is over."""
        tuned.trials.write_parquet(self.folder / "trials.parquet")
        tuned.curves.write_parquet(self.folder / "curves.parquet")
        best = {"trial": tuned.best_trial, "ndcg@10": tuned.ndcg, "boosting": asdict(tuned.best_config)}
        ran = {"seconds": round(tuned.seconds, 3), "cut_by_time": tuned.cut_by_time, "trials": tuned.trials.height}
        write_json(self.folder / "search.json", {**self.settings, "best": best, **ran})


def _again(config: Boosting, best: Best, search: _Search, train: Judged, validation: Judged) -> LambdaMart:
    """A fit with the best trial's settings, up to its best round; it must show what the trial showed."""
    ranker = LambdaMart(config).fit(train, validation, rng=search.rng(best.trial))
    if not abs(ranker.curve[-1][1] - best.ndcg) <= _SAME:
        raise ModelError(
            f"trial {best.trial} showed nDCG@10 {best.ndcg:.9f}, but a second fit {ranker.curve[-1][1]:.9f}; the machines "
            f"of the cluster differ, or a file in {search.folder} is not from this search: remove it and search again"
        )
    return ranker


def _run(search: _Search, trials: Trials, lists: tuple[Judged, Judged], budget: Budget, say: Callable[[str], None]) -> None:
    """Runs the trials that are not over; they leave their looks in `trials`."""
    todo = [trial for trial in range(len(search.plan)) if trial not in trials.over]
    say(f"{len(todo)} of {len(search.plan)} trials to run, up to {budget.rounds} rounds each")
    folder = search.folder / "tune"
    shutil.rmtree(folder, ignore_errors=True)  # Tune's own files of an interrupted run; nothing is read from them
    tuner = ray_tune.Tuner(
        ray_tune.with_parameters(_Trial, lists=[_bare(judged) for judged in lists], search=search),
        tune_config=ray_tune.TuneConfig(
            num_samples=len(todo),
            search_alg=_InOrder(todo),
            scheduler=_Halving(trials, say),
            max_concurrent_trials=budget.cpus or _cluster_cores(),
            time_budget_s=budget.seconds,
            reuse_actors=True,
        ),
        run_config=ray_tune.RunConfig(
            name=folder.name,
            storage_path=str(folder.parent.resolve()),
            failure_config=ray_tune.FailureConfig(max_failures=1),
            checkpoint_config=ray_tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    if errors := tuner.fit().errors:
        raise ModelError(f"{len(errors)} trials failed twice; the first with: {errors[0]}; see {folder}")
    shutil.rmtree(folder, ignore_errors=True)


def _cluster_cores() -> int:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return int(resources.get("CPU", 1))


def _bare(judged: Judged) -> Judged:
    """The lists without their people: what is left is arrays of numbers, which processes share without a copy."""
    return judged._replace(user_ids=np.empty(0, object))


class _Trial(ray_tune.Trainable):
    """One trial in a process of its own; the lists are shared memory, not a copy."""

    def setup(self, config: dict[str, Any], **given: Any) -> None:
        self._train, self._validation = given["lists"]
        self._search: _Search = given["search"]
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        trial = new_config["trial"]
        seed = seed_of(self._search.rng(trial))
        self._looks = BoostingRun(self._search.plan[trial], self._train, self._validation, seed).looks()
        return True

    def step(self) -> dict[str, Any]:
        looks, until = [], time.monotonic() + _STEP_S
        for look in self._looks:
            looks.append(look)
            if time.monotonic() > until:
                return {"looks": looks, "ended": False}
        return {"looks": looks, "ended": True, "done": True}  # Tune says done of trials that it stops, too


class _InOrder(Searcher):
    """Hands out the trials in order, each when a core is free: a trial waits little for those before it."""

    def __init__(self, todo: list[int]) -> None:
        super().__init__()
        self._todo = list(reversed(todo))

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        return {"trial": self._todo.pop()} if self._todo else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Learns nothing: the plan is fixed."""

    def save(self, checkpoint_path: str) -> None:
        """Writes nothing: a search is resumed from its own record."""


class _Halving(FIFOScheduler):
    """Tells Tune which trials to stop; the decisions are those of `Trials`, a pure function of what was shown."""

    _supports_buffered_results = False

    def __init__(self, trials: Trials, say: Callable[[str], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._trials, self._say = trials, say

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune writes itself to disk; the search is resumed from its own record, never from that

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        self._show(trial, result)
        return str(self.STOP if trial.config["trial"] in self._trials.over else self.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self._show(trial, result)

    def _show(self, trial: Any, result: dict[str, Any]) -> None:
        looks, ended = result.get("looks", ()), result.get("ended", False)
        for over in self._trials.show(trial.config["trial"], looks, ended=ended):
            curve, best = self._trials.standings()[over].curve, self._trials.best()
            top = max(ndcg for _, ndcg in steadied(curve))
            of = f"trial {over + 1}/{len(self._trials.plan)}"
            self._say(f"{of} ndcg@10 {top:.4f} after {curve[-1][0]} rounds, best {best.steady:.4f} (trial {best.trial + 1})")


def _size(lists: tuple[Judged, Judged]) -> int:
    return sum(judged.features.nbytes + judged.grades.nbytes + judged.positions.nbytes for judged in lists)
