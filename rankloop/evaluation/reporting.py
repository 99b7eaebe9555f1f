"""Fills the report from an evaluation and the records of the steps before it."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from rankloop.contracts import Columns, Tables
from rankloop.evaluation.run import CANDIDATE, Evaluation, Inputs
from rankloop.evaluation.systems import LOGGED, POPULAR
from rankloop.files import write_aside
from rankloop.gate import Measured
from rankloop.metrics import Interval, bootstrap_mean
from rankloop.report import Estimate, ReportInput, Role, Slice, System, Table, Trial, render
from rankloop.splits import Split

__all__ = ["write_report"]

_ROLES: Final[Mapping[str, Role]] = {CANDIDATE: "candidate", POPULAR: "baseline", LOGGED: "logged"}
_SLICED: Final = "ndcg@10"


def write_report(result: Evaluation, inputs: Inputs, tables: Path, ranker: Path, file: Path) -> None:
    """Writes the page that `evaluate` leaves.

    Args:
        result: what was measured.
        inputs: the candidate.
        tables: what `ingest` wrote; its report of the rules is shown.
        ranker: what `train_ranker` wrote; its trials are shown.
        file: where the page goes.
    """
    best = json.loads((ranker / "best.json").read_text())
    rules = json.loads((tables / "report.json").read_text())
    seed = inputs.recipe.seed
    page = ReportInput(
        title="Release candidate",
        facts=_facts(inputs, best),
        verdict=result.verdict,
        systems=tuple(_systems(result)),
        slices=tuple(_slices(result, seed)),
        importance=inputs.ranker.importance(),
        trials=tuple(_trials(ranker)),
        best_trial=best["trial"],
        settings=best["config"],
        retrievers=_retrievers(result),
        data=_data(inputs.tables, inputs.fits.split),
        quarantine=_quarantine(rules),
    )
    write_aside(file, render(page))


def _facts(inputs: Inputs, best: Mapping[str, Any]) -> dict[str, str]:
    split, recipe = inputs.fits.split, inputs.recipe
    return {
        "Retrievers learn before": _moment(split.training_from),
        "Ranker learns": f"{_moment(split.training_from)} to {_moment(split.validation_from)}",
        "Validation": f"{_moment(split.validation_from)} to {_moment(split.test_from)}",
        "Test": f"{_moment(split.test_from)} to {_moment(split.end)}",
        "Catalogue": f"{len(inputs.fits.catalogue):,} items",
        "Features": str(len(inputs.ranker.names)),
        "Tuning": f"{best['trials']} trials in {best['seconds']:.0f} s" + (", cut by time" if best["cut_by_time"] else ""),
        "Seed": str(recipe.seed),
    }


def _systems(result: Evaluation) -> Iterator[System]:
    for name, metrics in result.intervals.items():
        estimates = {metric: Estimate.of(interval) for metric, interval in metrics.items()}
        totals = result.measured[name].totals
        yield System(name, _role(name), estimates, totals.get("coverage"), totals.get("gini"))


def _slices(result: Evaluation, seed: int) -> Iterator[Slice]:
    for name, system in result.measured.items():
        values = system.array(_SLICED)
        if values is None:
            continue
        for dimension, labels in system.slices.items():
            for label in sorted(set(np.asarray(labels))):
                inside = _mean(system, values, np.asarray(labels) == label, seed)
                yield Slice(f"{dimension}={label}", _role(name), Estimate.of(inside), inside.queries)


def _mean(system: Measured, values: np.ndarray, inside: np.ndarray, seed: int) -> Interval:
    return bootstrap_mean(values[inside], np.asarray(system.units)[inside], rng=np.random.default_rng(seed))


def _trials(ranker: Path) -> Iterator[Trial]:
    states = pl.read_parquet(ranker / "trials.parquet", columns=["trial", "state"])
    curves = pl.read_parquet(ranker / "curves.parquet")
    for number, state in states.iter_rows():
        own = curves.filter(pl.col("trial") == number)
        yield Trial(number, state, tuple((int(rounds), float(ndcg)) for _, rounds, ndcg in own.iter_rows()))


def _retrievers(result: Evaluation) -> Table:
    run = result.intervals[CANDIDATE]["catalogue_recall@100"]
    rows = [(name, *_shown(interval)) for name, interval in {**result.recall, "the whole path": run}.items()]
    caption = "Recall@100 over the full catalogue of open items: share of the items acted upon that each finds"
    return Table(caption, ("retriever", "recall@100", "95 % interval"), tuple(rows))


def _data(tables: Tables, split: Split) -> Table:
    moments = [("history", None, split.training_from), ("training", split.training_from, split.validation_from)]
    moments += [("validation", split.validation_from, split.test_from), ("test", split.test_from, split.end)]
    rows = []
    for name, start, end in moments:
        inside = pl.col(Columns.TS) < end if start is None else pl.col(Columns.TS).is_between(start, end, closed="left")
        impressions, outcomes = tables.impressions.filter(inside), tables.outcomes.filter(inside)
        requests = impressions[Columns.REQUEST_ID].n_unique()
        people = impressions[Columns.USER_ID].n_unique()
        rows.append((name, impressions.height, requests, people, outcomes.height))
    caption = f"Rows by window, of {tables.items.height:,} items and {tables.users.height:,} users"
    return Table(caption, ("window", "impressions", "requests", "users", "outcomes"), tuple(rows))


def _quarantine(report: Mapping[str, Any]) -> Table | None:
    rows = [(rule["table"], rule["rule"], rule["count"]) for rule in report["rules"] if rule["count"]]
    return Table("Rows put aside, by the rule they broke", ("table", "rule", "rows"), tuple(rows)) if rows else None


def _role(name: str) -> Role:
    return _ROLES.get(name, "champion")


def _shown(interval: Interval) -> tuple[str, str]:
    return f"{interval.mean:.3f}", f"{interval.lower:.3f} to {interval.upper:.3f}"


def _moment(ts: datetime) -> str:
    return f"{ts:%Y-%m-%d %H:%M}"
