"""The page of a shadow: what the record says, with its style and figures inside."""

from pathlib import Path
from typing import Final

from markupsafe import Markup

from rankloop.files import write_aside
from rankloop.report import Table
from rankloop.report.pages import environment, number
from services.shadow import figures
from services.shadow.comparing import METRICS
from services.shadow.reading import QUANTILES, metric_names, moment, quantiles, span
from services.shadow.record import OUTCOMES, Estimate, Record, read

__all__ = ["page", "write_page"]

_CARDS: Final = ("overlap@10", "rbo", "kendall_tau", "score_shift")
_MEANT: Final = {
    "compared": "both lists are there",
    "failed": "the other slot refused, broke off, or answered no list",
    "late": "the other slot took longer than a second",
    "degraded": "the list shown was made with less than the whole release: not compared",
    "old": "the worker was behind by more than a minute: not asked",
}


def write_page(file: Path) -> Path:
    """Writes the page of a record beside it.

    Raises:
        DataError: the file is no record.
    """
    return write_aside(file.with_suffix(".html"), page(read(file)), mode=0o600)


def page(record: Record) -> str:
    """A record as one self-contained page: no script, nothing fetched, the same bytes for the same record."""
    drawn = {
        "overlap": figures.shares(record.histograms.get("overlap@10", ()), "overlap", "overlap of the first 10", bins=10),
        "rbo": figures.shares(record.histograms.get("rbo", ()), "rbo", "rank-biased overlap"),
        "latency": figures.latency(*(record.histograms.get(f"{side} seconds", ()) for side in ("shown", "other"))),
        "by_surface": figures.by_surface(_of_surfaces(record)),
    }
    return _ENVIRONMENT.get_template("shadow.html.j2").render(
        record=record,
        facts=_facts(record),
        cards=[(name, METRICS[name], record.summary[name]) for name in _CARDS if name in record.summary],
        metrics=[(name, METRICS[name], record.summary[name]) for name in metric_names(record)],
        # the only text that is not escaped: SVG drawn here, in which matplotlib has escaped the names
        figures={name: None if text is None else Markup(text) for name, text in drawn.items()},
        times=_times(record),
        quantiles=QUANTILES,
        outcomes=_outcomes(record),
        fallbacks=_fallbacks(record),
        moment=moment,
    )


def _facts(record: Record) -> dict[str, str]:
    return {
        "shown": record.stable,
        "in the shadow": record.other,
        "compared": f"{record.outcomes.get('compared', 0):,} requests of {record.people:,} people",
        "when": span(record),
    }


def _of_surfaces(record: Record) -> dict[str, Estimate]:
    return {name.removeprefix("rbo, "): one for name, one in sorted(record.summary.items()) if name.startswith("rbo, ")}


def _times(record: Record) -> dict[str, dict[str, float | None]]:
    return {
        "shown: engine, as logged": quantiles(record, "shown"),
        "other: over HTTP": quantiles(record, "other"),
    }


def _outcomes(record: Record) -> Table:
    rows = [(name, record.outcomes.get(name, 0), _MEANT[name]) for name in OUTCOMES]
    rows += [(f"empty, {side}", record.empty.get(side, 0), "compared, and without an item") for side in ("shown", "other")]
    return Table("Requests in the shadow's share.", ("outcome", "requests", "when"), tuple(rows))


def _fallbacks(record: Record) -> Table | None:
    shown, other = (record.fallbacks.get(side, {}) for side in ("shown", "other"))
    rows = tuple((reason, shown.get(reason, 0), other.get(reason, 0)) for reason in sorted({*shown, *other}))
    return Table("Compared lists made with less than the whole release.", ("reason", "shown", "other"), rows) if rows else None


def _plain(value: float | None) -> str:
    return number(value, 3).replace("-", "−")


_ENVIRONMENT: Final = environment("services.shadow")
_ENVIRONMENT.filters["plain"] = _plain
