"""The simulated marketplace: seconds and peak memory of a history of 1M impressions.

The history is made in a process of its own, whose peak memory is the largest resident set that the kernel saw.
There is no alternative to run in turn: the bars are seconds and bytes.
"""

import resource
import sys
from typing import Any

from benchmarks.peak import measure
from benchmarks.result import Bar, Result

_SEED = 7


def run(quick: bool) -> Result:
    """Makes one history, tiny or of a million impressions, and holds it to a minute and two gigabytes."""
    peak = measure(history, "tiny" if quick else "million")
    figures = {"seconds": peak.seconds, "impressions_per_second": peak.value["impressions"] / peak.seconds, **peak.value}
    return Result(
        name="simulation",
        figures=figures,
        bars=[
            Bar.at_most("seconds for the history", peak.seconds, 60),
            Bar.at_most("peak memory of the process, GB", figures["peak_gb"], 2),
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
