"""Canaries decided by statistics: false alarms, faults caught, and the requests exposed before, beside two rivals.

300 simulated canaries of each of four faults: 1 % of errors, a p95 20 % slower, half of the catalogue missing, 2 % fewer
applications, which needs a larger crowd. For each crowd there are 300 harmless ones: 150 as good as the stable release, 150
that differ by half of what the policy tolerates. All policies see the same minutes at the same shares: 1, 5 and 25 % for a
quarter of an hour each, then 50 %. One canary in ten has five minutes in which both releases fail. A canary that is not
rolled back exposes all the requests it got.

The rivals are shown as their makers set them, and with hindsight: the tightest thresholds that give this run's harmless
canaries 5 % of false alarms, as many as ours, or as many as ours where only what is exactly as good counts as harmless.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.canaries.crowd import Crowd, Fault, drawn
from benchmarks.canaries.ours import Ended, judged
from benchmarks.canaries.rivals import critical, deviates, failed_checks, first, limits, minutes, scored
from benchmarks.load.plot import bars
from benchmarks.load.plot import drawn as drawing
from benchmarks.result import Bar, Result
from rankloop.canary import Policy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Judge = Callable[[Mapping[str, Floats]], Ints]

POLICY: Final = Policy.of({"min_seconds": 900, "max_seconds": 1e6, "objective": {"rule_out": 0.015}, "guards": {"overlap": None}})
"""The default but for the loss to be ruled out: one of 2 % is to be caught, so it must not pass for fine."""

CROWDS: Final = {"small": Crowd(6_000, (15, 15, 15, 30)), "large": Crowd(60_000, (15, 15, 15, 90))}
SAME: Final = Fault()
TOLERATED: Final = Fault(
    errors=0.0001, slower=1.05, catalogue=0.95, rates={"ctr@10": 0.99, "ndcg@10": 0.99, "empty": 1.25, "fallback": 1.25}
)
FAULTS: Final[Mapping[str, tuple[str, Fault]]] = {
    "1 % errors": ("small", Fault(errors=0.01)),
    "p95 20 % slower": ("small", Fault(slower=1.2)),
    "half the catalogue": ("small", Fault(catalogue=0.5)),
    "2 % fewer applications": ("large", Fault(rates={"apply_rate": 0.98})),
}
_RIVALS: Final = ("fixed thresholds", "Mann-Whitney")
_CHUNK: Final = 50
_SEED: Final = 11


class Task(NamedTuple):
    """Some canaries of one kind."""

    name: str
    crowd: str
    fault: Fault
    runs: int
    seed: int


class Seen(NamedTuple):
    """What the policies need of them: our ends, the canary's requests and all lists so far by interval, the minutes."""

    ended: list[Ended]
    exposed: Ints
    lists: Ints
    values: dict[str, Floats]


def run(quick: bool) -> Result:
    """Judges 300 canaries of each kind, or 10 in a quick run, by our policy and its rivals."""
    seen = _all_seen(10 if quick else 300)
    harmless = {crowd: _joined([seen[f"same, {crowd}"], seen[f"tolerated, {crowd}"]]) for crowd in CROWDS}
    ours = {crowd: float(np.mean(_ours_first(rows) >= 0)) for crowd, rows in harmless.items()}
    versus = {"rankloop": _row(ours, {fault: _outcome(seen[fault], _ours_first(seen[fault])) for fault in FAULTS})}
    versus |= _rivals(seen, harmless, ours)
    return Result(
        name="canary",
        figures={name: _found(seen[name]) for name in seen},
        versus=versus,
        bars=_bars(ours, versus),
        plot=_plot(versus),
    )


def _all_seen(runs: int) -> dict[str, Seen]:
    """Draws and judges in as many processes as there are cores, at most four."""
    kinds = [
        (f"{name}, {crowd}", crowd, fault, runs // 2)
        for crowd in CROWDS
        for name, fault in {"same": SAME, "tolerated": TOLERATED}.items()
    ]
    kinds += [(name, crowd, fault, runs) for name, (crowd, fault) in FAULTS.items()]
    tasks = [
        Task(name, crowd, fault, min(_CHUNK, whole - begin), _SEED + 1000 * kind + begin)
        for kind, (name, crowd, fault, whole) in enumerate(kinds)
        for begin in range(0, whole, _CHUNK)
    ]
    workers = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(_seen, tasks))
    return {name: _joined([part for task, part in zip(tasks, parts, strict=True) if task.name == name]) for name, *_ in kinds}


def _seen(task: Task) -> Seen:
    coverage = task.crowd == "small" and task.name not in ("1 % errors", "p95 20 % slower")
    rng = np.random.default_rng(task.seed)
    canaries = drawn(CROWDS[task.crowd], task.fault, task.runs, coverage=coverage, rng=rng)
    return Seen(
        ended=judged(POLICY, canaries),
        exposed=canaries.lists[..., 1].cumsum(axis=1),
        lists=canaries.lists.sum(axis=-1).cumsum(axis=1),
        values=minutes(canaries),
    )


def _joined(parts: Sequence[Seen]) -> Seen:
    return Seen(
        ended=[end for part in parts for end in part.ended],
        exposed=np.concatenate([part.exposed for part in parts]),
        lists=np.concatenate([part.lists for part in parts]),
        values={name: np.concatenate([part.values[name] for part in parts]) for name in parts[0].values},
    )


def _ours_first(seen: Seen) -> Ints:
    return np.array([end.interval if end.status == "rolled back" else -1 for end in seen.ended])


def _outcome(seen: Seen, when: Ints) -> dict[str, float]:
    """Share caught, and mean requests of the canary until then, or to the end of the crowd's time."""
    exposed = seen.exposed[np.arange(len(when)), when]
    return {"caught": float(np.mean(when >= 0)), "exposed": float(exposed.mean())}


def _row(alarms: Mapping[str, float], outcomes: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    found = {f"false alarms, {crowd}": share for crowd, share in alarms.items()}
    return found | {f"{fault}: {key}": value for fault, row in outcomes.items() for key, value in row.items()}


def _rivals(seen: Mapping[str, Seen], harmless: Mapping[str, Seen], ours: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Every rival as set, and tuned with hindsight."""
    same = {crowd: seen[f"same, {crowd}"] for crowd in CROWDS}
    goals: dict[str, tuple[Mapping[str, Seen], Mapping[str, float] | None]] = {
        "as set": (harmless, None),
        "at 5 %": (harmless, dict.fromkeys(CROWDS, 0.05)),
        "at ours": (harmless, ours),
        "at ours among the same": (same, ours),
    }
    found = {}
    for title, (others, goal) in goals.items():
        for name, tuned in zip(_RIVALS, (_fixed, _ranked), strict=True):
            judges = {crowd: tuned(others[crowd].values, None if goal is None else goal[crowd]) for crowd in CROWDS}
            alarms = {crowd: float(np.mean(judges[crowd](harmless[crowd].values) >= 0)) for crowd in CROWDS}
            outcomes = {fault: _outcome(seen[fault], judges[crowd](seen[fault].values)) for fault, (crowd, _) in FAULTS.items()}
            found[f"{name}, {title}"] = _row(alarms, outcomes)
    return found


def _fixed(values: Mapping[str, Floats], goal: float | None) -> Judge:
    """Thresholds from the policy's tolerances, or the tightest whose false alarms are few enough."""
    if goal is None:
        return partial(_by_limits, thresholds=limits(POLICY, values, None))
    thresholds: dict[str, float] = {}
    for part in (0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.0015, 0.001, 0.0007, 0.0005, 0.0003, 0.0002, 0.0001, 0.0):
        thresholds = limits(POLICY, values, part)
        if np.mean(_by_limits(values, thresholds) >= 0) <= goal:
            break
    return partial(_by_limits, thresholds=thresholds)


def _by_limits(values: Mapping[str, Floats], thresholds: Mapping[str, float]) -> Ints:
    return first(failed_checks(values, thresholds))


def _ranked(values: Mapping[str, Floats], goal: float | None) -> Judge:
    """Kayenta's score; tuned, any metric rolls back above a deviate that few enough canaries reach, the same share for each."""
    if goal is None:
        return lambda own: first(scored(deviates(own)))
    highest = {name: z.max(axis=1) for name, z in deviates(values).items()}
    limit: dict[str, float] = {}
    for part in np.linspace(goal, 0.0, 40):
        limit = {name: float(np.quantile(own, 1 - part)) for name, own in highest.items()}
        if np.mean(np.any([own > limit[name] for name, own in highest.items()], axis=0)) <= goal:
            break
    return lambda own: first(critical(deviates(own), limit))


def _found(seen: Seen) -> dict[str, Any]:
    """How canaries of one kind ended, and what it took until they were rolled back."""
    when = _ours_first(seen)
    found: dict[str, Any] = {
        status: float(np.mean([end.status == status for end in seen.ended])) for status in ("rolled back", "promoted", "paused")
    }
    if len(caught := np.flatnonzero(when >= 0)) > len(when) / 2:
        exposed, whole = (rows[caught, when[caught]] for rows in (seen.exposed, seen.lists))
        found |= {
            "exposed p50": float(np.median(exposed)),
            "exposed p95": float(np.quantile(exposed, 0.95)),
            "all requests p50": float(np.median(whole)),
            "minutes p50": float(np.median(when[caught] + 1)),
        }
    metrics = Counter(end.metric for end in seen.ended if end.metric)
    return found | {"by": ", ".join(f"{metric} {count}" for metric, count in metrics.most_common(3))}


def _bars(ours: Mapping[str, float], versus: Mapping[str, Mapping[str, float]]) -> list[Bar]:
    own = versus["rankloop"]
    rows = [Bar.at_most(f"harmless canaries rolled back, {crowd} crowd", share, 0.05) for crowd, share in ours.items()]
    rows += [Bar.at_least(f"caught: {fault}", own[f"{fault}: caught"], 0.95) for fault in FAULTS]
    for rival in _RIVALS:
        theirs = versus[f"{rival}, at ours"]
        for fault in FAULTS:
            part = own[f"{fault}: exposed"] / theirs[f"{fault}: exposed"]
            rows.append(Bar.at_most(f"{fault}: requests exposed, over those of {rival} at our false alarms", part, 1))
    return rows


def _plot(rows: Mapping[str, Mapping[str, float]]) -> str:
    shown = {name: row for name, row in rows.items() if name == "rankloop" or name.endswith("at ours")}

    def panel(fault: str) -> Callable[[Any], None]:
        def draw(axes: Any) -> None:
            values = {
                f"{name.split(',')[0]} ({row[f'{fault}: caught']:.0%})": row[f"{fault}: exposed"] for name, row in shown.items()
            }
            bars(axes, fault, values, ours=[next(iter(values))], unit="requests exposed")

        return draw

    title = "Requests that a bad canary answered until rolled back (and how many were), at equal false alarms"
    return drawing(title, [panel(fault) for fault in FAULTS], width=16.0)
