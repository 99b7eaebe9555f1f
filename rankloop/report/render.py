"""The report: one page of HTML with its style and figures inside."""

from collections.abc import Mapping
from typing import Final

from markupsafe import Markup

from rankloop.report import figures
from rankloop.report.inputs import Cell, Estimate, ReportInput, System
from rankloop.report.pages import environment

__all__ = ["render"]

_HEADLINES: Final = ("ndcg@10", "recall@10", "mrr@10", "catalogue_recall@100", "catalogue_ndcg@10", "catalogue_mrr@10")
_MOST_HEADLINES: Final = 4


def render(report: ReportInput) -> str:
    """A report as one self-contained page: no script, nothing fetched, the same bytes for the same input.

    Every text is escaped. It reads in light and in dark, on paper, and to a screen reader: figures have titles,
    tables have captions, and no colour says anything that a word or a mark does not say too.

    Args:
        report: what to show; what it lacks is left out.

    Returns:
        HTML.
    """
    page = _ENVIRONMENT.get_template("report.html.j2")
    return page.render(
        report=report,
        figures=_figures(report),
        headlines=_headlines(report.systems),
        metrics=_metrics(report.systems),
    )


def _figures(report: ReportInput) -> Mapping[str, Markup | None]:
    drawn = {
        "forest": figures.forest(report.verdict.rows),
        "by_cut": figures.by_cut(report.systems),
        "by_slice": figures.by_slice(report.slices),
        "importance": figures.importance(report.importance),
        "tuning": figures.tuning(report.trials, report.best_trial, _whole(report.settings.get("rounds"))),
        "exposure": figures.exposure(report.systems),
    }
    # the only text that is not escaped: SVG drawn here, in which matplotlib has escaped the names
    return {name: None if text is None else Markup(text) for name, text in drawn.items()}


def _headlines(systems: tuple[System, ...]) -> list[tuple[str, Estimate, list[tuple[System, Estimate]]]]:
    """The candidate's headline metrics, each with the other systems' values."""
    if not systems:
        return []
    candidate, *others = systems
    found = [
        (name, candidate.metrics[name], [(other, other.metrics[name]) for other in others if name in other.metrics])
        for name in _HEADLINES
        if name in candidate.metrics
    ]
    return found[:_MOST_HEADLINES]


def _metrics(systems: tuple[System, ...]) -> list[str]:
    return list(dict.fromkeys(name for system in systems for name in system.metrics))


def _whole(value: Cell) -> int | None:
    return value if isinstance(value, int) else None


_ENVIRONMENT: Final = environment()
