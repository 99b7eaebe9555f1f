"""The same 100,000 rows by Evidently's DataDriftPreset as it comes, and by us."""

import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.drifts.rows import CATEGORIES, COLUMNS, NUMBERS, PLAIN, frame
from benchmarks.peak import measure
from rankloop.drift import DriftPolicy, compare, profile

__all__ = ["Beside", "beside"]

_THEIR_LIMIT: Final = 0.1
_GROUP: Final = 25_000
"""Rows of a Parquet group, about what an hour of a log holds; one thread reads a group."""

Took = tuple[float, float]


class Beside(NamedTuple):
    """What both said and took.

    Attributes:
        ours_s: seconds of ours, median, as a watch takes them: the window counted from Parquet and compared with the profile
            that a release carries.
        anew_s: the same where the reference is counted and its bins are fitted too, median.
        theirs_s: seconds of Evidently, median: its report over frames that are in memory already.
        ours_cpu_s: processor seconds of ours, all threads, median.
        theirs_cpu_s: the same of Evidently.
        ours_gb: peak memory of our process.
        theirs_gb: peak memory of Evidently's process.
        columns: how many verdicts were compared.
        same: share of them that are the same.
        differ: the others, in words.
    """

    ours_s: float
    anew_s: float
    theirs_s: float
    ours_cpu_s: float
    theirs_cpu_s: float
    ours_gb: float
    theirs_gb: float
    columns: int
    same: float
    differ: dict[str, str]


def beside(folder: Path, count: int, rounds: int) -> Beside:
    """Compares verdicts in `rounds` worlds; half of the columns are changed, by amounts from next to nothing to much."""
    ours, theirs, differ = [], [], {}
    for number in range(rounds):
        paths = folder / f"reference_{number}.parquet", folder / f"window_{number}.parquet"
        frame(count, [number, 0], plain=True).write_parquet(paths[0], row_group_size=_GROUP)
        frame(count, [number, 1], changes(number), plain=True).write_parquet(paths[1], row_group_size=_GROUP)
        ours.append(measure(_ours, *paths))
        theirs.append(measure(_theirs, *paths))
        for name in PLAIN:
            mine, other = ours[-1].value[1][name], theirs[-1].value[1][name]
            if mine[0] != (other >= _THEIR_LIMIT):
                differ[f"{name} of world {number}"] = f"Evidently {other:.3f} (limit {_THEIR_LIMIT}), ours {mine[1]}"
    ours_s, ours_cpu_s, anew_s = np.median([each.value[0] for each in ours], axis=0).tolist()
    theirs_s, theirs_cpu_s = np.median([each.value[0] for each in theirs], axis=0).tolist()
    return Beside(
        ours_s=ours_s,
        anew_s=anew_s,
        theirs_s=theirs_s,
        ours_cpu_s=ours_cpu_s,
        theirs_cpu_s=theirs_cpu_s,
        ours_gb=max(each.peak_gb for each in ours),
        theirs_gb=max(each.peak_gb for each in theirs),
        columns=rounds * len(PLAIN),
        same=1 - len(differ) / (rounds * len(PLAIN)),
        differ=differ,
    )


def changes(seed: int) -> dict[str, float]:
    """By how much each column is changed: half of them not at all, the others by 0.03 to 1.5, drawn on a log scale."""
    draw = np.random.default_rng([seed, 7])
    sizes = np.exp(draw.uniform(np.log(0.03), np.log(1.5), len(PLAIN)))
    return {name: float(size) for name, size in zip(PLAIN, sizes, strict=True) if draw.uniform() < 0.5}


def _ours(reference: Path, window: Path) -> tuple[tuple[float, float, float], dict[str, tuple[bool, str]]]:
    began = time.perf_counter()
    learned = profile(reference, [column for column in COLUMNS if column.name in PLAIN])
    begin = time.perf_counter(), time.process_time()
    found = compare(learned, profile(window, bins=learned.bins), DriftPolicy())
    end = time.perf_counter()
    seconds = end - begin[0], time.process_time() - begin[1], end - began
    return seconds, {each.name: (each.verdict in ("drifted", "broken"), each.says) for each in found.columns}


def _theirs(reference: Path, window: Path) -> tuple[Took, dict[str, float]]:
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    kinds = DataDefinition(numerical_columns=list(NUMBERS), categorical_columns=list(CATEGORIES))
    read = [pd.read_parquet(path) for path in (reference, window)]
    begin = time.perf_counter(), time.process_time()
    sets = [Dataset.from_pandas(each, data_definition=kinds) for each in read]
    report: Any = Report([DataDriftPreset()]).run(sets[1], sets[0])
    found = report.dict()["metrics"]
    seconds = time.perf_counter() - begin[0], time.process_time() - begin[1]
    drifts = {each["config"].get("column"): each["value"] for each in found}
    return seconds, {name: float(drifts[name]) for name in PLAIN}
