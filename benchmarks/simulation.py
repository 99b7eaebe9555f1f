"""The simulated marketplace: cost of a history of 1M impressions, and the room it leaves to a ranker.

The history is made in a process of its own, whose peak memory is the largest resident set that the kernel saw.
The room is measured on the last week of the demo's history: nDCG@10 of a random order, of the logged order and of the
true preferences, on the logged lists.
"""

import resource
import sys
import warnings
from datetime import timedelta
from typing import Any

from benchmarks.peak import measure
from benchmarks.result import Bar, Result

_SEED = 7


def run(quick: bool) -> Result:
    """Makes a history, tiny or of a million impressions, holds it to a minute and two gigabytes, and looks for the room."""
    peak = measure(history, "tiny" if quick else "million")
    orders = measure(room, "tiny" if quick else "demo").value
    figures = {
        "seconds": peak.seconds,
        "impressions_per_second": peak.value["impressions"] / peak.seconds,
        **peak.value,
        "ndcg_at_10": orders.pop("oracle"),
    }
    return Result(
        name="simulation",
        figures=figures,
        versus={order: {"ndcg_at_10": value} for order, value in orders.items()},
        bars=[
            Bar.at_most("seconds for the history", peak.seconds, 60),
            Bar.at_most("peak memory of the process, GB", figures["peak_gb"], 2),
            Bar.at_least("nDCG@10 of the oracle less that of the logged order", figures["ndcg_at_10"] - orders["logged"], 0.1),
        ],
    )


def history(size: str) -> dict[str, Any]:
    """Rows and rates of one history, and the peak memory of this process in units of 10^9 bytes."""
    from rankloop.contracts import Columns
    from rankloop.simulation import Marketplace, Scale

    tables = Marketplace(getattr(Scale, size)(), rng=_SEED).history()
    kinds = dict(tables.outcomes[Columns.KIND].value_counts().iter_rows())
    unit = 1 if sys.platform == "darwin" else 1024  # the kernel of macOS counts bytes, that of Linux kilobytes
    return {
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9,
        **tables.rows(),
        "click_rate": kinds["click"] / tables.impressions.height,
        "applications_a_click": kinds["apply"] / kinds["click"],
        "hires_an_application": kinds.get("hire", 0) / kinds["apply"],
    }


def room(size: str) -> dict[str, float]:
    """Mean nDCG@10 (exponential gain) of three orders over the lists of the last week that somebody acted on."""
    import numpy as np
    import numpy.typing as npt

    from rankloop.judgements import judged_requests
    from rankloop.metrics import UndefinedMetric, ndcg
    from rankloop.simulation import Marketplace, Scale

    scale = getattr(Scale, size)()
    market = Marketplace(scale, rng=_SEED)
    end = scale.start + timedelta(days=scale.days)
    judged = judged_requests(market.history(), end - timedelta(days=7), end)
    grades, place = np.concatenate(judged.grades), np.concatenate(judged.positions)
    orders: dict[str, npt.NDArray[np.floating]] = {
        "random": np.random.default_rng(_SEED).random(len(place)),
        "logged": -place.astype(np.float64),
        "oracle": np.concatenate(market.truth.utilities(judged.requests, judged.items)),
    }
    sizes = [len(own) for own in judged.items]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetric)  # a list without outcomes has no best order
        return {name: float(np.nanmean(ndcg(scores, grades, sizes, k=10))) for name, scores in orders.items()}
