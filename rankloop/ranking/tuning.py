"""Searches LambdaMART's settings with Ray Tune: a budget of trials, successive halving, resumable, reproducible."""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import ray
from ray import tune as ray_tune
from ray.tune.schedulers import FIFOScheduler

from rankloop.errors import ModelError, SettingsError
from rankloop.ranking.base import Judged
from rankloop.ranking.boosting import Boosting, BoostingRun
from rankloop.ranking.checks import check_judged, check_names, with_preferences
from rankloop.ranking.halving import rungs
from rankloop.ranking.lambdamart import LambdaMart
from rankloop.ranking.space import SPACE, Dimension, draw
from rankloop.ranking.trials import Trials, fingerprint, write_aside

__all__ = ["Budget", "Tuned", "tune"]

_FORMAT: Final = 1
_STEP_S: Final = 0.3
"""Seconds a trial grows trees before it reports; it changes no result, only how often Tune is asked."""
_SOCKET_BYTES: Final = 107
_SESSION_BYTES: Final = 75
"""What Ray appends to its folder before the name of a UNIX socket ends."""
_SAME: Final = 1e-6
_ENVIRONMENT: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Tune would take Ctrl-C as an order to finish with what it has
}


@dataclass(frozen=True)
class Budget:
    """How much may be tried.

    Attributes:
        trials: settings tried, the given ones first.
        rounds: trees a trial may grow.
        seconds: a safety net for the whole search; when it tears, the result depends on the machine, and says so.
        reduction: one in this many trials passes a rung.
        cpus: cores to use, one a trial; None uses all there are.
    """

    trials: int = 12
    rounds: int = 300
    seconds: float = 900.0
    reduction: int = 3
    cpus: int | None = None

    def __post_init__(self) -> None:
        for name in ("trials", "rounds", "seconds"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"budget: {name} is {getattr(self, name)}; it must be above 0")
        if self.cpus is not None and self.cpus < 1:
            raise SettingsError(f"budget: cpus is {self.cpus}; at least 1, or None for all there are")


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        best_ranker: fitted with the best settings, cut at the best round.
        best_config: those settings; `rounds` is the best round.
        best_trial: its number.
        ndcg: its validation nDCG@10; optimistic, as the best of many.
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
    if temp is not None:
        _check_socket(temp)
    say = progress or (lambda _: None)
    check_judged(train, "training")
    check_judged(validation, "validation")
    check_names(validation.names, train.names, "validation")
    rng = np.random.default_rng(rng)
    seed = int(rng.integers(2**31 - 1))
    first = replace(base or Boosting(), rounds=budget.rounds, threads=1)
    plan = draw(first, budget.trials, space, rng=rng)
    search = {
        "format": _FORMAT,
        "seed": seed,
        "rungs": rungs(budget.rounds, budget.reduction),
        "reduction": budget.reduction,
        "base": asdict(first),
        "space": [asdict(dimension) for dimension in space],
    }
    folder = storage / fingerprint(train, validation, search)
    trials = Trials(plan, rungs(budget.rounds, budget.reduction), budget.reduction, folder / "trials")
    if len(trials.over) < budget.trials:
        lists = (with_preferences(train, "training"), with_preferences(validation, "validation"))
        _search(trials, lists, seed, budget, folder, address, temp, say)
    best = trials.best()
    config = replace(plan[best.trial], rounds=best.rounds, patience=0)
    say(f"fitting trial {best.trial + 1} again, {best.rounds} rounds")
    ranker = LambdaMart(config).fit(train, validation, rng=np.random.default_rng([seed, best.trial]))
    if not abs(ranker.curve[-1][1] - best.ndcg) <= _SAME:
        raise ModelError(
            f"trial {best.trial} showed nDCG@10 {best.ndcg:.9f}, but a second fit {ranker.curve[-1][1]:.9f}; the machines "
            f"of the cluster differ, or a file in {folder} is not from this search: remove it and search again"
        )
    cut = len(trials.over) < budget.trials
    tuned = Tuned(ranker, config, best.trial, best.ndcg, trials.table(), trials.curves(), time.monotonic() - begin, cut, folder)
    _record(tuned, search)
    return tuned


def _record(tuned: Tuned, search: Mapping[str, Any]) -> None:
    tuned.trials.write_parquet(tuned.folder / "trials.parquet")
    tuned.curves.write_parquet(tuned.folder / "curves.parquet")
    best = {"trial": tuned.best_trial, "ndcg@10": tuned.ndcg, "boosting": asdict(tuned.best_config)}
    ran = {"seconds": round(tuned.seconds, 3), "cut_by_time": tuned.cut_by_time, "trials": tuned.trials.height}
    write_aside(tuned.folder / "search.json", {**search, "best": best, **ran})


def _search(
    trials: Trials,
    lists: tuple[Judged, Judged],
    seed: int,
    budget: Budget,
    folder: Path,
    address: str | None,
    temp: Path | None,
    say: Callable[[str], None],
) -> None:
    """Runs the trials that are not over; they leave their looks in `trials`."""
    todo = [trial for trial in range(len(trials.plan)) if trial not in trials.over]
    bare = [judged._replace(user_ids=np.arange(len(judged.sizes)).astype(object)) for judged in lists]
    cpus = budget.cpus or len(os.sched_getaffinity(0))
    with _quiet(), _environment(_ENVIRONMENT), _ray(address, cpus, _size(lists), temp):
        say(f"{len(todo)} of {len(trials.plan)} trials to run, up to {budget.rounds} rounds each")
        trainable = ray_tune.with_parameters(_Trial, lists=bare, plan=trials.plan, seed=seed)
        tuner = ray_tune.Tuner(
            trainable,
            param_space={"trial": ray_tune.grid_search(todo)},
            tune_config=ray_tune.TuneConfig(
                scheduler=_Halving(trials, say),
                max_concurrent_trials=budget.cpus,
                time_budget_s=budget.seconds,
                reuse_actors=True,
            ),
            run_config=ray_tune.RunConfig(
                name="tune",
                storage_path=str(folder.resolve()),
                failure_config=ray_tune.FailureConfig(max_failures=1),
                checkpoint_config=ray_tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        )
        errors = tuner.fit().errors
    if errors:
        raise ModelError(f"{len(errors)} trials failed twice; the first with: {errors[0]}; see {folder / 'tune'}")
    shutil.rmtree(folder / "tune", ignore_errors=True)


class _Trial(ray_tune.Trainable):
    """One trial in a process of its own; the lists are shared memory, not a copy."""

    def setup(self, config: dict[str, Any], **given: Any) -> None:
        self._train, self._validation = given["lists"]
        self._plan, self._seed = given["plan"], given["seed"]
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        trial = new_config["trial"]
        drawn = int(np.random.default_rng([self._seed, trial]).integers(2**31 - 1))
        self._looks = BoostingRun(self._plan[trial], self._train, self._validation, drawn).looks()
        return True

    def step(self) -> dict[str, Any]:
        looks, until = [], time.monotonic() + _STEP_S
        for look in self._looks:
            looks.append(look)
            if time.monotonic() > until:
                return {"looks": looks, "ended": False}
        return {"looks": looks, "ended": True, "done": True}  # Tune says done of trials that it stops, too


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
            curve = self._trials.standings()[over].curve
            top = max(ndcg for _, ndcg in curve)
            best = self._trials.best()
            of = f"trial {over + 1}/{len(self._trials.plan)}"
            self._say(f"{of} ndcg@10 {top:.4f} after {curve[-1][0]} rounds, best {best.ndcg:.4f} (trial {best.trial + 1})")


def _size(lists: tuple[Judged, Judged]) -> int:
    return sum(judged.features.nbytes + judged.grades.nbytes + judged.positions.nbytes for judged in lists)


@contextmanager
def _ray(address: str | None, cpus: int, data_bytes: int, temp: Path | None) -> Iterator[None]:
    """A connection to Ray; closes and clears away only what it opened."""
    if ray.is_initialized():
        yield
        return
    if address is not None:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        try:
            yield
        finally:
            ray.shutdown()
        return
    folder = _short(temp)
    try:
        ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=2 * data_bytes + 200_000_000,
            _temp_dir=str(folder),
        )
        yield
    finally:
        ray.shutdown()
        if temp is None:
            shutil.rmtree(folder, ignore_errors=True)


def _check_socket(temp: Path) -> None:
    if len(os.fsencode(temp.resolve())) + _SESSION_BYTES > _SOCKET_BYTES:
        limit = _SOCKET_BYTES - _SESSION_BYTES
        raise SettingsError(f"temp is {temp.resolve()}, too long for a UNIX socket; give a path of at most {limit} bytes")


def _short(temp: Path | None) -> Path:
    """A folder whose sockets have names short enough."""
    if temp is not None:
        temp.mkdir(parents=True, exist_ok=True)
        return temp.resolve()
    fits = len(os.fsencode(tempfile.gettempdir())) + len("/rl-xxxxxxxx") + _SESSION_BYTES <= _SOCKET_BYTES
    return Path(tempfile.mkdtemp(prefix="rl-", dir=None if fits else "/tmp"))


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for a while; Ray and Tune read them when they start."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _quiet() -> Iterator[None]:
    """Only Tune's errors are logged: `progress` says the rest."""
    logger = logging.getLogger("ray.tune")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
