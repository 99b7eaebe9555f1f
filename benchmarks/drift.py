"""Drift over millions of rows: seconds and memory, verdicts beside Evidently's, false alarms and what is found; then streams."""

import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.drifts import elec2, stream
from benchmarks.drifts.beside import Beside, beside
from benchmarks.drifts.calibration import false_alarms, found
from benchmarks.drifts.rows import COLUMNS, write
from benchmarks.load.telling import teller
from benchmarks.peak import measure
from benchmarks.result import Bar, Result
from rankloop.drift import DriftPolicy, Profile, compare, profile

__all__ = ["run"]

_ROWS, _QUICK_ROWS = 5_000_000, 200_000
_BESIDE, _QUICK_BESIDE = 100_000, 20_000
_ROUNDS, _QUICK_ROUNDS = 3, 1
_SIZES, _QUICK_SIZES = (500, 2_000, 10_000, 100_000, 1_000_000), (500, 2_000)
_CHANGES: Final = (0.05, 0.1, 0.2, 0.3, 0.5)
_FAULTS: Final = {"number_0": 0.5, "category_3": 1.0, "skills": 1.0, "title": 1.0, "job": 0.5}


def run(quick: bool) -> Result:
    """Counts and compares at full scale in a process of its own, then the same verdicts as Evidently, then chance."""
    say = teller()
    with tempfile.TemporaryDirectory(prefix="rankloop-drift-") as folder:
        say("making rows")
        scale = _scale(Path(folder), _QUICK_ROWS if quick else _ROWS)
        say("beside Evidently")
        both = beside(Path(folder), _QUICK_BESIDE if quick else _BESIDE, _QUICK_ROUNDS if quick else _ROUNDS)
    say("how often chance is called drift")
    chance = false_alarms(_QUICK_SIZES if quick else _SIZES, 20_000 if quick else 400_000)
    say("what is found")
    power = found((2_000,) if quick else (500, 2_000, 10_000, 100_000), _CHANGES, 1 if quick else 2)
    say("elec2, then a marketplace watched by day")
    (real, real_bars), (world, world_bars) = elec2.run(quick), stream.run(quick)
    return Result(
        name="drift",
        figures={
            "columns": len(COLUMNS),
            **scale,
            "beside_s": both.ours_s,
            "beside_reference_anew_s": both.anew_s,
            "beside_cpu_s": both.ours_cpu_s,
            "beside_gb": both.ours_gb,
            "same_verdict": both.same,
            "false_alarms": {f"{rows:,} rows": figures for rows, figures in chance.items()},
            "found": power,
            "disagreements": both.differ,
            **real,
            **world,
        },
        versus={"Evidently's DataDriftPreset": _theirs(both)},
        bars=[
            *_bars(scale, both, max(figures["false_alarms"] for figures in chance.values()), _QUICK_ROWS if quick else _ROWS),
            *real_bars,
            *world_bars,
        ],
    )


def _theirs(both: Beside) -> dict[str, float]:
    return {"beside_s": both.theirs_s, "beside_cpu_s": both.theirs_cpu_s, "beside_gb": both.theirs_gb}


def _bars(scale: dict[str, Any], both: Beside, alarms: float, rows: int) -> list[Bar]:
    return [
        Bar.at_most(f"a window of {rows:,} rows x {len(COLUMNS)} columns, seconds", scale["window_s"], 20.0),
        Bar.at_most("peak memory, GB", max(scale["window_gb"], scale["reference_gb"]), 4.0),
        Bar.at_most("changed columns not found, or others called changed", scale["wrong"], 0),
        Bar.at_least(
            "seconds: times as fast as Evidently on the same rows, the reference counted once before",
            both.theirs_s / both.ours_s,
            20.0,
        ),
        Bar.at_least(f"share of {both.columns} verdicts that are Evidently's too", both.same, 0.95),
        Bar.at_most("share of unchanged columns called drifted, at any number of rows", alarms, 0.01),
    ]


def _scale(folder: Path, rows: int) -> dict[str, Any]:
    """A reference is profiled and kept; a window is counted in its bins and compared."""
    reference, window = write(folder / "reference.parquet", rows, 0), write(folder / "window.parquet", rows, 1, _FAULTS)
    kept = folder / "profile.json"
    fitted, counted = measure(_fit, reference, kept), measure(_compare, window, kept)
    for path in (reference, window):
        path.unlink()
    return {
        "rows": rows,
        "window_s": counted.seconds,
        "window_gb": counted.peak_gb,
        "window_cpu_s": counted.value[1],
        "reference_s": fitted.seconds,
        "reference_gb": fitted.peak_gb,
        "reference_kb": fitted.value,
        "wrong": len(counted.value[0] ^ set(_FAULTS)),
    }


def _fit(reference: Path, kept: Path) -> float:
    return profile(reference, COLUMNS).write(kept).stat().st_size / 1e3


def _compare(window: Path, kept: Path) -> tuple[set[str], float]:
    import time

    reference = Profile.read(kept)
    found = compare(reference, profile(window, bins=reference.bins), DriftPolicy())
    return {column.name for column in found.columns if column.verdict in ("drifted", "broken")}, time.process_time()
