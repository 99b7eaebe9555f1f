"""A crowd that meets two releases: what both show in each interval, drawn for many canaries at once.

People keep their habits: one of three kinds, fixed for the whole canary, sets how often a person clicks and applies. A
person comes once in a phase, in some interval, with one to eight lists. So lists of one person are alike, and people of an
early share come again in a later one. Both releases meet the same day: slow minutes, and in some canaries five bad ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from rankloop.canary import LATENCY_EDGES

__all__ = ["RATES", "STEPS", "Canaries", "Crowd", "Fault", "Shown", "drawn"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Shown = list[tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]]

STEPS: Final = (100, 500, 2500, 5000)
RATES: Final[Mapping[str, float]] = {
    "ctr@10": 0.30,
    "apply_rate": 0.10,
    "ndcg@10": 0.40,
    "empty": 0.001,
    "fallback": 0.01,
    "score": 0.5,
}
_ERRORS: Final = 0.0005
_KINDS: Final = np.array([0.4, 0.4, 0.2])
_HABIT: Final = np.array([0.5, 1.0, 2.0])  # times the usual rate; their mean is 1
_LISTS: Final = np.array([1, 2, 3, 4, 6, 8])
_OF_LISTS: Final = np.array([0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
_GRADED: Final = {"ndcg@10": 4, "score": 4}  # a list's value is a share of so many parts
_P50, _SPREAD = 0.012, 0.5
_ITEMS: Final = 2000
_SHOWN: Final = 10


@dataclass(frozen=True)
class Crowd:
    """How many lists a minute, and how many minutes each share holds at most."""

    lists_a_minute: int
    minutes: tuple[int, ...]
    incidents: float = 0.1

    @property
    def phase(self) -> Ints:
        """By interval of a minute the index of its share."""
        return np.repeat(np.arange(len(STEPS)), self.minutes)

    @property
    def share(self) -> Floats:
        """By interval the canary's share."""
        return np.array(STEPS)[self.phase] / 10_000


@dataclass(frozen=True)
class Fault:
    """What is wrong with the canary's release; nothing by default."""

    errors: float = 0.0
    slower: float = 1.0
    catalogue: float = 1.0
    rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Canaries:
    """What was seen, by canary, interval and arm (stable, canary): shapes begin with `(canaries, intervals, 2)`.

    Attributes:
        units, lists, failed: counts.
        moments: by metric x, y, xx, yy, xy on the last axis.
        seconds: histograms over `LATENCY_EDGES`.
        shown: by canary, interval and arm the items of each person, `(people, 10)`; None where coverage is not simulated.
    """

    crowd: Crowd
    units: Ints
    lists: Ints
    failed: Ints
    moments: Mapping[str, Floats]
    seconds: Ints
    shown: list[Shown] | None


def drawn(crowd: Crowd, fault: Fault, runs: int, *, coverage: bool, rng: np.random.Generator) -> Canaries:
    """Draws canaries; arrays by canary, interval and arm."""
    people = _people(crowd, runs, rng)  # (runs, intervals, 2, kinds)
    by_lists = rng.multinomial(people, _OF_LISTS)  # (runs, intervals, 2, kinds, lists)
    lists = (by_lists @ _LISTS).sum(axis=-1)
    bad = _incidents(crowd, runs, rng)  # (runs, intervals)
    failing = np.stack([np.full(bad.shape, _ERRORS), np.full(bad.shape, _ERRORS + fault.errors)], axis=-1)
    failing += 0.05 * bad[:, :, None]
    return Canaries(
        crowd=crowd,
        units=people.sum(axis=-1),
        lists=lists,
        failed=rng.binomial(lists, failing),
        moments={name: _moments(name, by_lists, fault.rates.get(name, 1.0), rng) for name in RATES},
        seconds=_seconds(lists, bad, fault.slower, rng),
        shown=_shown(people.sum(axis=-1), fault.catalogue, rng) if coverage else None,
    )


def _people(crowd: Crowd, runs: int, rng: np.random.Generator) -> Ints:
    """Who comes when: the population is fixed by range of buckets and kind, so the same people come to every share."""
    bounds = np.array([0, *STEPS, 10_000]) / 10_000
    visits = crowd.lists_a_minute / float(_LISTS @ _OF_LISTS)
    population = visits * max(crowd.minutes) / 0.8
    expected = population * np.diff(bounds)[:, None] * _KINDS  # (ranges, kinds)
    living = rng.poisson(expected, (runs, *expected.shape))
    parts = []
    for step, minutes in enumerate(crowd.minutes):
        coming = rng.binomial(living, visits * minutes / population)
        both = np.stack([coming[:, step + 1 :].sum(axis=1), coming[:, : step + 1].sum(axis=1)], axis=1)  # (runs, 2, kinds)
        when = rng.multinomial(both, np.full(minutes, 1 / minutes))  # (runs, 2, kinds, minutes)
        parts.append(np.moveaxis(when, -1, 1))
    return np.concatenate(parts, axis=1)


def _incidents(crowd: Crowd, runs: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Five bad minutes of both arms, in a part of the canaries."""
    intervals = len(crowd.phase)
    began = rng.integers(0, intervals, runs)
    place = np.arange(intervals) - began[:, None]
    return (place >= 0) & (place < 5) & (rng.random(runs) < crowd.incidents)[:, None]


def _moments(name: str, by_lists: Ints, factor: float, rng: np.random.Generator) -> Floats:
    """Sums over people of what their lists came to, drawn as counts of how many people had which sum."""
    parts = _GRADED.get(name, 1)
    habit = np.array([0.8, 1.0, 1.4]) if parts > 1 else _HABIT
    rate = RATES[name] * habit / float(habit @ _KINDS)  # (kinds,)
    both = np.stack([rate, rate * factor])  # (arms, kinds)
    found = np.zeros((*by_lists.shape[:3], 5))
    for place, lists in enumerate(_LISTS):
        chance = _binomial(int(lists) * parts, np.minimum(both, 1.0))  # (arms, kinds, sums)
        people = rng.multinomial(by_lists[..., place], chance)  # (runs, intervals, arms, kinds, sums)
        people = people.sum(axis=-2)
        x = np.arange(chance.shape[-1]) / parts
        y = float(lists)
        found += people @ np.stack([x, np.full_like(x, y), x * x, np.full_like(x, y * y), x * y], axis=-1)
    return found


def _binomial(n: int, p: Floats) -> Floats:
    """Chances of 0 to n, on a new last axis."""
    from scipy.stats import binom

    chance = np.asarray(binom.pmf(np.arange(n + 1), n, p[..., None]), np.float64)
    return chance / chance.sum(axis=-1, keepdims=True)


def _seconds(lists: Ints, bad: npt.NDArray[np.bool_], slower: float, rng: np.random.Generator) -> Ints:
    """Log-normal latencies; a minute is slower or faster for both, a little for one of them alone, and bad ones twice as slow."""
    runs, intervals = bad.shape
    moved = 0.1 * rng.normal(size=(runs, intervals, 1)) + 0.02 * rng.normal(size=(runs, intervals, 2))
    moved = moved + np.log(2) * bad[:, :, None] + np.log([1.0, slower])
    reached = ndtr((np.log(LATENCY_EDGES) - np.log(_P50) - moved[..., None]) / _SPREAD)
    chance = np.diff(reached, prepend=0.0, append=1.0)
    return rng.multinomial(lists, np.clip(chance, 0.0, None) / chance.sum(axis=-1, keepdims=True))


def _shown(people: Ints, catalogue: float, rng: np.random.Generator) -> list[Shown]:
    """What people saw, popular items more often; the canary's release knows only a part of the catalogue, popular or not."""
    popularity = 1 / (10 + np.arange(_ITEMS))
    found = []
    for coming in people:  # (intervals, 2)
        knows = (np.ones(_ITEMS), rng.random(_ITEMS) < catalogue)
        arms = []
        for arm in (0, 1):
            reached = np.cumsum(popularity * knows[arm])
            drawn = np.searchsorted(reached / reached[-1], rng.random((coming[:, arm].sum(), _SHOWN)), side="right")
            arms.append(np.split(drawn.astype(np.uint16), coming[:-1, arm].cumsum()))
        found.append(list(zip(*arms, strict=True)))
    return found
