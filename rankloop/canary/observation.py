"""What was seen of two releases in the same minutes: counts and sums, by slot."""

import math
from typing import Final

import msgspec

__all__ = ["LATENCY_EDGES", "METRICS", "Arm", "Coverage", "Observation", "Ratio"]

LATENCY_EDGES: Final = tuple(0.0005 * math.exp(0.05 * step) for step in range(180))
"""Bounds of the latency histogram, seconds: each 5 per cent above the last, from 0.5 ms to 3.9 s."""

METRICS: Final = {
    "ctr@10": "clicks among the first ten places, for each list",
    "apply_rate": "applications, for each list",
    "ndcg@10": "nDCG at 10 of clicked and better outcomes, for each list that has one",
    "empty": "lists without an item, for each list",
    "fallback": "lists made with less than the whole release, for each list",
    "score": "mean score of a list's items, for each list that is not empty",
}
"""Metrics that are a ratio of two sums over units; the keys of `Arm.ratios`."""


class Ratio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One metric of one arm: moments over its units, of a numerator x and a denominator y of each.

    A unit is what the split is by, so units are independent where requests are not (Deng, Lu, Litz 2017).

    Attributes:
        units: units that count, those with y > 0.
        x: sum of the numerators.
        y: sum of the denominators.
        xx: sum of the squared numerators.
        yy: sum of the squared denominators.
        xy: sum of their products.
    """

    units: int = 0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0


class Arm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One slot.

    Attributes:
        release_id: the release in it.
        units: distinct units that asked it.
        requests: requests the edge gave it.
        failed: of these, those answered with 5xx, less those refused because too many waited.
        lists: answers in the impression log.
        ratios: by metric of `METRICS`.
        seconds: lists by the time the engine took; `LATENCY_EDGES` are the upper bounds, the last count is of what took longer.
    """

    release_id: str
    units: int
    requests: int
    failed: int
    lists: int
    ratios: dict[str, Ratio]
    seconds: list[int]


class Coverage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many distinct items the canary showed, beside what the stable release shows in as many places.

    Attributes:
        places: pairs of person and item of the arm with fewer people, to which the larger one is thinned out by people.
        canary: distinct items of the canary among so many.
        stable: distinct items of the stable release among so many.
        variance: of their difference.
    """

    places: int
    canary: float
    stable: float
    variance: float


class Observation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both slots since the present share of the canary holds; it grows until the share changes, then begins anew.

    Attributes:
        at: when it was taken, seconds since the epoch.
        since: since when the share holds, seconds since the epoch.
        canary_bp: the share, basis points of the units.
        stable: the slot that serves.
        canary: the other one.
        coverage: None where one of them showed nothing yet.
        overlap: share of the first ten items both releases show for the same request, by unit; None without a shadow.
    """

    at: float
    since: float
    canary_bp: int
    stable: Arm
    canary: Arm
    coverage: Coverage | None = None
    overlap: Ratio | None = None
