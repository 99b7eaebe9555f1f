"""The ranker and its tuning: LightGBM's own ranking example, speed of scoring, and a search against trying everything.

The example is read from `RANKLOOP_DATA_DIR` (by default `../shared/data`); without it that part is skipped and named.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from benchmarks.result import ROOT, Bar, Result
from rankloop.metrics import ndcg
from rankloop.ranking import Boosting, Judged, LambdaMart
from rankloop.ranking.curves import steadied
from rankloop.ranking.space import SPACE, draw
from rankloop.ranking.tuning import Budget, Tuned, tune

DATA = Path(os.environ.get("RANKLOOP_DATA_DIR", ROOT.parent / "shared" / "data")) / "lambdarank_example"
CORES = len(os.sched_getaffinity(0))
PUBLISHED = {"ndcg@1": 0.5674, "ndcg@3": 0.578}
SEEDS = 5
SEED = 7

Part = tuple[dict[str, Any], dict[str, Any], list[Bar]]


def run(quick: bool) -> Result:
    """Measures every part."""
    figures: dict[str, Any] = {}
    versus: dict[str, Any] = {}
    bars: list[Bar] = []
    parts: dict[str, Callable[[bool], Part]] = {"scoring": scoring, "tuning": tuning}
    if DATA.is_dir():
        parts = {"example": example, **parts}
    else:
        figures["example"] = f"skipped: {DATA} is not there"
    for part in parts.values():
        own, others, own_bars = part(quick)
        figures, versus, bars = figures | own, versus | others, bars + own_bars
    return Result("ranking", figures, versus, bars)


def example(quick: bool) -> Part:
    """50 trees of the default settings on LightGBM's example: 201 queries to learn, 50 to judge, several seeds."""
    train, test = _svmlight("train"), _svmlight("test")
    found: dict[str, list[float]] = {"ndcg@1": [], "ndcg@3": []}
    for seed in range(SEEDS):
        ranker = LambdaMart(Boosting(rounds=50, patience=0)).fit(train, rng=np.random.default_rng(seed))
        for k in (1, 3):
            found[f"ndcg@{k}"].append(_quality(ranker, test, k))
    mean = {f"example {name}, mean of {SEEDS} seeds": statistics.mean(values) for name, values in found.items()}
    worst = {f"example {name}, worst seed": min(values) for name, values in found.items()}
    bars = [
        Bar.at_least(f"LightGBM's example, {name}, 50 trees, worst of {SEEDS} seeds", min(values), PUBLISHED[name])
        for name, values in found.items()
    ]
    return mean | worst, {f"example {name}, LightGBM's tests": value for name, value in PUBLISHED.items()}, bars


def scoring(quick: bool) -> Part:
    """500 candidates of one request, on one core: ours and LightGBM's own prediction."""
    lists = _lists(400 if quick else 2000, seed=1)
    ranker = LambdaMart(Boosting(rounds=100, patience=0)).fit(lists, rng=np.random.default_rng(1))
    with tempfile.TemporaryDirectory() as folder:
        ranker.save(Path(folder))
        booster = lightgbm.Booster(model_file=str(Path(folder) / "model.txt"))
    rows = np.ascontiguousarray(lists.features[:500])
    same = np.array_equal(ranker.score(rows), np.asarray(booster.predict(rows, num_threads=1), np.float32))
    ours, theirs = _alternating(lambda: ranker.score(rows), lambda: booster.predict(rows, num_threads=1), 20 if quick else 200)
    figures = {"scoring 500 rows, 100 trees of 31 leaves, p50_ms": ours, "scoring: same scores as LightGBM": same}
    bars = [
        Bar.at_least("scoring: times as fast as LightGBM's predict", theirs / ours, 2.0),
        Bar.at_least("scoring: the same numbers as LightGBM (1 is yes)", float(same), 1.0),
    ]
    return figures, {"scoring, LightGBM predict, p50_ms": theirs}, bars


def tuning(quick: bool) -> Part:
    """12 trials of up to 300 rounds on 150,000 rows: the search, twice, and every trial to its end, one after another."""
    requests, trials, rounds = (200, 3, 60) if quick else (5000, 12, 300)
    train, validation, test = _lists(requests, 1), _lists(requests // 5, 2), _lists(requests, 3)
    budget = Budget(trials=trials, rounds=rounds)
    first = _search(train, validation, budget)
    other = _search(train, validation, replace(budget, cpus=1 if CORES > 1 else 2))
    begin = time.perf_counter()
    exhaustive = _every_trial_to_its_end(train, validation, trials, rounds)
    seconds = time.perf_counter() - begin
    ours, theirs = _quality(first.best_ranker, test), _quality(exhaustive, test)
    grown = int(first.trials["rounds"].sum())
    apart = max(
        abs(_quality(other.best_ranker, test) - ours),
        float(np.abs(first.curves["ndcg@10"].to_numpy() - other.curves["ndcg@10"].to_numpy()).max()),
    )
    size = f"{trials} trials of {rounds} rounds, {len(train.grades):,} rows"
    figures = {
        f"tuning {size}, seconds": first.seconds,
        "tuning: rounds that count": grown,
        "tuning: test ndcg@10": ours,
        "tuning again on another number of cores, largest difference": apart,
    }
    versus = {
        "tuning, every trial to its end on all cores, seconds": seconds,
        "tuning, every trial to its end, rounds": trials * rounds,
        "tuning, every trial to its end, test ndcg@10": theirs,
    }
    bars = [
        Bar.at_most("tuning: seconds of the search for one of every trial to its end", first.seconds / seconds, 0.7),
        Bar.at_least("tuning: test ndcg@10 minus that of every trial to its end", ours - theirs, -0.005),
        Bar.at_most("tuning: difference between two searches on unlike cores", apart, 1e-6),
    ]
    return figures, versus, [] if quick else bars


def _search(train: Judged, validation: Judged, budget: Budget) -> Tuned:
    with tempfile.TemporaryDirectory() as folder:
        return tune(train, validation, budget=budget, storage=Path(folder), rng=SEED, progress=lambda line: print(f"  {line}"))


def _every_trial_to_its_end(train: Judged, validation: Judged, trials: int, rounds: int) -> LambdaMart:
    """The search's own trials, with its seeds, but no halving, no patience and no Ray: each on all cores, the best kept."""
    rng = np.random.default_rng(SEED)
    seed = int(rng.integers(2**31 - 1))
    plan = draw(Boosting(rounds=rounds, patience=0, threads=CORES), trials, SPACE, rng=rng)
    fits = [
        LambdaMart(boosting).fit(train, validation, rng=np.random.default_rng([seed, trial]))
        for trial, boosting in enumerate(plan)
    ]
    return max(fits, key=lambda ranker: dict(steadied(ranker.curve))[ranker.rounds])


def _quality(ranker: LambdaMart, lists: Judged, k: int = 10) -> float:
    values = ndcg(ranker.score(lists.features), lists.grades, lists.sizes, k=k)
    return float(np.nanmean(values))


def _alternating(ours: Callable[[], Any], theirs: Callable[[], Any], times: int) -> tuple[float, float]:
    """Medians in milliseconds of two calls made in turn, so that both meet the same neighbours."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(times + 3):
        for call, seconds in zip((ours, theirs), taken, strict=True):
            begin = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(taken[0][3:]), 1e3 * statistics.median(taken[1][3:])


def _lists(requests: int, seed: int, rows: int = 30, width: int = 45) -> Judged:
    """Logged lists: 45 features of which 5 matter, outcomes only where the position was looked at, 5 % missing."""
    rng = np.random.default_rng(seed)
    count = requests * rows
    features: npt.NDArray[np.float32] = rng.normal(size=(count, width)).astype(np.float32)
    worth = 1.2 * features[:, 0] + 0.8 * features[:, 1] * features[:, 2] + 0.5 * np.sin(2 * features[:, 3])
    worth += 0.4 * features[:, 4] + rng.normal(size=count)
    positions = np.tile(np.arange(1, rows + 1, dtype=np.int32), requests)
    seen = rng.random(count) < positions**-0.7
    grades = np.where(seen, np.digitize(worth, np.quantile(worth, [0.8, 0.9, 0.95, 0.98, 0.99])), 0).astype(np.int32)
    features[rng.random(features.shape) < 0.05] = np.nan
    names = tuple(f"feature_{place}" for place in range(width))
    return Judged(features, names, grades, positions, np.full(requests, rows, np.int64), np.arange(requests).astype(object))


def _svmlight(part: str, width: int = 301) -> Judged:
    """LightGBM's example: `label index:value ...` lines, and the number of rows of each query."""
    lines = [line.split() for line in (DATA / f"rank.{part}").read_text().splitlines()]
    features = np.zeros((len(lines), width), np.float32)
    for row, (_, *cells) in enumerate(lines):
        for cell in cells:
            place, value = cell.split(":")
            features[row, int(place)] = float(value)
    sizes = np.array((DATA / f"rank.{part}.query").read_text().split(), np.int64)
    grades = np.array([int(line[0]) for line in lines], np.int32)
    names = tuple(f"feature_{place}" for place in range(width))
    return Judged(features, names, grades, np.zeros(len(lines), np.int32), sizes, np.arange(len(sizes)).astype(object))
