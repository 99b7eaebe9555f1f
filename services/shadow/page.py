"""The page of a shadow: what the record says, with its style and figures inside."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from markupsafe import Markup

from rankloop.files import write_aside
from rankloop.report import Table
from rankloop.report.pages import environment
from services.shadow import figures
from services.shadow.comparing import METRICS
from services.shadow.record import OUTCOMES, Estimate, Record, metric_names, read

__all__ = ["QUANTILES", "page", "quantiles", "span", "write_page"]

QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}

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
        "overlap": figures.shares(record.histograms.get("overlap@10", ()), "overlap", "overlap of the first 10"),
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
        outcomes=_outcomes(record),
        fallbacks=_fallbacks(record),
        moment=_moment,
    )


def quantiles(record: Record, side: str) -> dict[str, float | None]:
    """Times of answers in milliseconds; `side` is `shown` or `other`."""
    counts = record.histograms.get(f"{side} seconds", ())
    found = {name: figures.quantile(counts, share) for name, share in QUANTILES.items()}
    return {name: None if seconds is None else 1000 * seconds for name, seconds in found.items()}


def span(record: Record) -> str:
    """From when to when requests were compared."""
    return f"{_moment(record.began)} to {_moment(record.updated)} UTC" if record.began else "not begun"


def _moment(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).strftime("%Y-%m-%d %H:%M")


def _facts(record: Record) -> dict[str, str]:
    return {
        "shown": record.stable,
        "in the shadow": record.other,
        "compared": f"{record.outcomes.get('compared', 0):,} requests of {record.people:,} people",
        "when": span(record),
    }


def _of_surfaces(record: Record) -> dict[str, Estimate]:
    return {name.removeprefix("rbo, "): one for name, one in sorted(record.summary.items()) if name.startswith("rbo, ")}


def _times(record: Record) -> Table:
    rows = []
    for side, name in (("shown", "list shown: engine, as logged"), ("other", "other list: over HTTP")):
        found = quantiles(record, side)
        rows.append((name, *(None if value is None else round(value, 1) for value in found.values())))
    shown = tuple((name, *(value if value is None else f"{value:.1f}" for value in row)) for name, *row in rows)
    return Table("Time of an answer, ms.", ("", *QUANTILES), shown)


def _outcomes(record: Record) -> Table:
    rows = [(name, record.outcomes.get(name, 0), _MEANT[name]) for name in OUTCOMES]
    rows += [(f"empty, {side}", record.empty.get(side, 0), "compared, and without an item") for side in ("shown", "other")]
    return Table("Requests in the shadow's share.", ("outcome", "requests", "when"), tuple(rows))


def _fallbacks(record: Record) -> Table | None:
    shown, other = (record.fallbacks.get(side, {}) for side in ("shown", "other"))
    rows = tuple((reason, shown.get(reason, 0), other.get(reason, 0)) for reason in sorted({*shown, *other}))
    return Table("Compared lists made with less than the whole release.", ("reason", "shown", "other"), rows) if rows else None


_ENVIRONMENT: Final = environment("services.shadow")
