"""Who gets the canary as its share grows: each unit is asked for at each weight, and its slot is compared with Python's."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.controls.plant import Plant
from benchmarks.controls.world import second_slot
from benchmarks.load.generator import Generator
from benchmarks.load.http import post
from services.edge import Slots, bucket_of
from services.edge.slots import BUCKETS

__all__ = ["WEIGHTS", "Share", "shares"]

WEIGHTS: Final = (100, 500, 2500, 5000, 10_000)
"""The canary's share, basis points."""

_CLIENTS: Final = 4


class Share(NamedTuple):
    """What one weight gave.

    Attributes:
        units: asked.
        canary: of them got the canary.
        sigmas: how far that is from the weight, in standard deviations; 0 at 100 per cent where all got it.
        left: units that got the canary at a smaller weight and do not any more.
        otherwise: units whose slot is not the one that Python's bucket says.
        failed: requests without an answer.
    """

    units: int
    canary: int
    sigmas: float
    left: int
    otherwise: int
    failed: int


def shares(plant: Plant, generator: Generator, units: int, seed: int) -> dict[int, Share]:
    """Asks for as many units at each weight; both slots must hold a release.

    Returns:
        What each weight gave.
    """
    rng = np.random.default_rng(seed)
    names = [f"u{number}" for number in rng.integers(0, 2**62, units)]
    requests = [post("/v1/recommend", {"user_id": name}) for name in names]
    buckets = np.array([bucket_of(name, Slots().split_seed) for name in names])
    found, before = dict[int, Share](), np.zeros(units, bool)
    for weight in WEIGHTS:
        plant.edge().set_slots(Slots(canary_bp=weight))
        sent = generator.closed(("127.0.0.1", plant.http_port), requests, clients=_CLIENTS, count=units, mark=second_slot)
        got = np.zeros(units, bool)
        got[sent.number] = sent.mark == 1
        left, otherwise = int((before & ~got).sum()), int((got != (buckets < weight)).sum())
        found[weight] = Share(units, int(got.sum()), _sigmas(got, weight / BUCKETS), left, otherwise, sent.failed)
        before |= got
    return found


def _sigmas(got: npt.NDArray[np.bool_], share: float) -> float:
    off, deviation = abs(int(got.sum()) - len(got) * share), np.sqrt(len(got) * share * (1 - share))
    return float(off / deviation) if deviation else float("inf") if off else 0.0
