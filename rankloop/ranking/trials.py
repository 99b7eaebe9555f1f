"""The record of a search: what each trial was, what it showed, and which was best; it is what makes a search resumable."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from rankloop.errors import ModelError
from rankloop.files import write_json
from rankloop.ranking.base import Judged
from rankloop.ranking.boosting import CUT, Boosting
from rankloop.ranking.curves import Curve, best_round, steadied
from rankloop.ranking.halving import Standing, standings

__all__ = ["Best", "Trials", "fingerprint"]

NDCG: Final = f"ndcg@{CUT}"


class Best(NamedTuple):
    """The best look of a search.

    Attributes:
        trial: its number, from 0.
        rounds: trees grown at that look.
        steady: the mean nDCG@10 of the five looks that end there: what the best is chosen by.
        ndcg: the validation nDCG@10 at that look.
    """

    trial: int
    rounds: int
    steady: float
    ndcg: float


class Trials:
    """What the trials of a search have shown, on disk as soon as one is over.

    Not aware of time, processes or Ray: the same looks give the same standings in any order of arrival.

    Args:
        plan: the settings of each trial.
        rungs: the rounds at which trials are compared.
        reduction: one in this many passes a rung.
        folder: where records are, and are read from when the search is resumed.
    """

    def __init__(self, plan: Sequence[Boosting], rungs: Sequence[int], reduction: int, folder: Path) -> None:
        self.plan = tuple(plan)
        self._rungs, self._reduction = tuple(rungs), reduction
        self._folder = folder
        self._curves: list[dict[int, float]] = [{} for _ in plan]
        self._ended: set[int] = set()
        self._kept: set[int] = set()
        folder.mkdir(parents=True, exist_ok=True)
        for trial in range(len(plan)):
            self._recall(trial)

    @property
    def over(self) -> frozenset[int]:
        """The trials that will not go on; their records are on disk."""
        return frozenset(self._kept)

    def show(self, trial: int, looks: Sequence[tuple[int, float]], *, ended: bool) -> list[int]:
        """Takes what a trial showed.

        Args:
            trial: its number.
            looks: (rounds, nDCG) since it last did; from the beginning if it was started again.
            ended: whether this was all.

        Returns:
            The trials that are over because of it, in order; the caller stops those that still run.
        """
        self._curves[trial].update(looks)
        if ended:
            self._ended.add(trial)
        news = [i for i, standing in enumerate(self.standings()) if i not in self._kept and self._is_over(i, standing)]
        for i in news:
            self._keep(i)
        return news

    def standings(self) -> list[Standing]:
        """Where each trial stands."""
        curves: list[Curve] = [tuple(sorted(curve.items())) for curve in self._curves]
        return standings(curves, self._ended, self._rungs, self._reduction)

    def best(self) -> Best:
        """The highest steadied nDCG that counts; of equals the trial with the lowest number, then the fewest rounds.

        Raises:
            ModelError: no trial has shown anything.
        """
        looks = [
            Best(trial, rounds, steady, ndcg)
            for trial, standing in enumerate(self.standings())
            for (rounds, ndcg), (_, steady) in zip(standing.curve, steadied(standing.curve), strict=True)
        ]
        if not looks:
            raise ModelError("no trial has shown a result; give the search more seconds")
        return max(looks, key=lambda look: (look.steady, -look.trial, -look.rounds))

    def table(self) -> pl.DataFrame:
        """One row a trial: its state, rounds that count, best round, nDCG there and steadied, and its settings."""
        rows = []
        for trial, standing in enumerate(self.standings()):
            settings = asdict(self.plan[trial])
            settings["rounds_allowed"] = settings.pop("rounds")
            rows.append({"trial": trial, "state": standing.state} | _summary(standing.curve) | settings)
        return pl.DataFrame(rows)

    def curves(self) -> pl.DataFrame:
        """One row a look that counts: trial, rounds, nDCG."""
        looks = [(i, *look) for i, standing in enumerate(self.standings()) for look in standing.curve]
        return pl.DataFrame(looks, schema={"trial": pl.Int64, "rounds": pl.Int64, NDCG: pl.Float64}, orient="row")

    def _is_over(self, trial: int, standing: Standing) -> bool:
        return trial in self._ended or standing.state == "stopped"

    def _file(self, trial: int) -> Path:
        return self._folder / f"{trial:04d}.json"

    def _keep(self, trial: int) -> None:
        self._kept.add(trial)
        looks = sorted(self._curves[trial].items())
        record = {"trial": trial, "ended": trial in self._ended, "boosting": asdict(self.plan[trial]), "curve": looks}
        write_json(self._file(trial), record)

    def _recall(self, trial: int) -> None:
        if not self._file(trial).exists():
            return
        record = json.loads(self._file(trial).read_text(encoding="utf-8"))
        if Boosting.of(record["boosting"]) != self.plan[trial]:
            raise ModelError(f"{self._file(trial)} is of a trial with other settings; remove {self._folder} to search anew")
        self._curves[trial] = {int(rounds): float(ndcg) for rounds, ndcg in record["curve"]}
        self._kept.add(trial)
        if record["ended"]:
            self._ended.add(trial)


def _summary(curve: Curve) -> dict[str, float]:
    if not curve:
        return {"rounds": 0, "best_round": 0, NDCG: float("nan"), "steady": float("nan")}
    best = best_round(curve)
    return {"rounds": curve[-1][0], "best_round": best, NDCG: dict(curve)[best], "steady": dict(steadied(curve))[best]}


def fingerprint(train: Judged, validation: Judged, settings: dict[str, Any]) -> str:
    """What a search depends on, as 16 hexadecimal digits: every value of the lists, and the settings."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for judged in (train, validation):
        digest.update(json.dumps(judged.names).encode())
        for array in (judged.features, judged.grades, judged.positions, judged.sizes):
            digest.update(str((array.dtype, array.shape)).encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
