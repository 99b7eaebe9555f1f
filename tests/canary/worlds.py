"""Observations whose numbers are known, for tests of canaries."""

import numpy as np

from rankloop.canary import LATENCY_EDGES, Arm, Coverage, Observation, Ratio

STABLE, CANARY = "r1", "r2"


def ratio(units: int, rate: float, lists: int = 3) -> Ratio:
    """As many units with as many lists each, every one a coin of the rate: the moments as expected."""
    x, y = units * lists * rate, float(units * lists)
    xx = units * (lists * rate * (1 - rate) + (lists * rate) ** 2)
    return Ratio(units=units, x=x, y=y, xx=xx, yy=float(units * lists**2), xy=x * lists)


def latencies(lists: int, slower: float = 1.0) -> list[int]:
    """The histogram of log-normal latencies with a median of 12 ms."""
    quantiles = (np.arange(lists) + 0.5) / max(lists, 1)
    from scipy.special import ndtri

    seconds = 0.012 * slower * np.exp(0.5 * ndtri(quantiles))
    return np.bincount(np.searchsorted(LATENCY_EDGES, seconds), minlength=len(LATENCY_EDGES) + 1).tolist()


def arm(release: str, units: int, *, failed: int = 0, slower: float = 1.0, empty: float = 0.001, **rates: float) -> Arm:
    """Units with three lists each; rates by metric, `ctr` for ctr@10 and so on."""
    usual = {"ctr": 0.3, "apply_rate": 0.1, "ndcg": 0.4, "fallback": 0.01} | rates
    named = {"ctr": "ctr@10", "ndcg": "ndcg@10"}
    ratios = {named.get(name, name): ratio(units, rate) for name, rate in usual.items()}
    ratios["empty"] = ratio(units, empty)
    ratios["score"] = Ratio(units=units, x=3.0 * units, y=3.0 * units, xx=units * 9 * 1.04, yy=9.0 * units, xy=9.0 * units)
    return Arm(
        release_id=release,
        units=units,
        requests=3 * units,
        failed=failed,
        lists=3 * units,
        ratios=ratios,
        seconds=latencies(3 * units, slower),
    )


def observation(
    at: float = 600.0,
    *,
    weight_bp: int = 100,
    units: int = 30_000,
    since: float = 0.0,
    coverage: Coverage | None = None,
    overlap: Ratio | None = None,
    canary_units: int | None = None,
    failed_of_stable: int = 3,
    **canary: float,
) -> Observation:
    """Both arms in the shares of the split, the canary with what is named otherwise."""
    share = weight_bp / 10_000
    own = round(units * share) if canary_units is None else canary_units
    return Observation(
        at=at,
        since=since,
        canary_bp=weight_bp,
        stable=arm(STABLE, round(units * (1 - share)), failed=failed_of_stable),
        canary=arm(CANARY, own, **canary),
        coverage=coverage,
        overlap=overlap,
    )
