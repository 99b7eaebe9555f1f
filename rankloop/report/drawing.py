"""Figures as SVG that takes its colours from the page, so that they read on light and on dark."""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from threading import RLock
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

__all__ = ["COLOURS", "DASHES", "MARKERS", "figure", "palette", "plain_axes", "png", "svg"]

COLOURS: Final = {
    "ink": "#0a0a01",
    "muted": "#0a0a02",
    "grid": "#0a0a03",
    "page": "#0a0a04",
    "candidate": "#0a0a11",
    "champion": "#0a0a12",
    "baseline": "#0a0a13",
    "logged": "#0a0a14",
    "pass": "#0a0a21",
    "fail": "#0a0a22",
    "unsure": "#0a0a23",
}
"""Stand-ins that matplotlib draws with; each becomes a variable of the page's style sheet, such as `var(--candidate)`."""

MARKERS: Final = {"candidate": "o", "champion": "s", "baseline": "^", "logged": "D"}
DASHES: Final = {"candidate": "-", "champion": "--", "baseline": "-.", "logged": ":"}

_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",  # real text: selectable, searchable, in the page's font
    "font.size": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}

_DRAWING: Final = RLock()
"""One figure at a time: matplotlib's settings are the process's, and pages are drawn in threads."""


@contextmanager
def figure(name: str, width: float, height: float, colours: Mapping[str, str] = COLOURS) -> Iterator[Figure]:
    """A blank figure of a size in inches, in the page's style; no window, one thread at a time, same bytes every time.

    Args:
        name: salts the ids within the SVG.
        width: in inches.
        height: in inches.
        colours: the page's, to be named by `svg`; or a `palette`, for what has no page around it.
    """
    with _DRAWING, matplotlib.rc_context({**_STYLE, **_coloured(colours), "svg.hashsalt": name}):
        drawn = Figure(figsize=(width, height), facecolor=colours["page"])
        FigureCanvasSVG(drawn)
        yield drawn


@cache
def palette(*, dark: bool = False) -> Mapping[str, str]:
    """The colours that the page's style sheet gives the names in `COLOURS`.

    Args:
        dark: those of a dark page.

    Example:
        >>> palette()["page"], palette(dark=True)["page"]
        ('#ffffff', '#12161d')
    """
    sheet = files("rankloop.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    light, night = re.findall(r":root \{(.*?)\}", sheet, flags=re.DOTALL)
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", night if dark else light))
    return {name: found[name] for name in COLOURS}


def png(drawn: Figure, dots: int = 144) -> bytes:
    """A figure in a `palette`, as PNG; for mail and chat, which show no SVG.

    Args:
        drawn: what to show.
        dots: an inch.
    """
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=dots, metadata={"Software": None})
    return buffer.getvalue()


def plain_axes(drawn: Figure, grid: str = "both") -> Axes:
    """One set of axes with a grid along `x`, `y` or `both`."""
    axes = drawn.subplots()
    axes.set_facecolor("none")
    axes.grid(visible=False)
    axes.grid(visible=True, axis=grid)  # type: ignore[arg-type]
    axes.tick_params(length=0)
    return axes


def svg(drawn: Figure, name: str, title: str) -> str:
    """The figure as an inline `<svg>`: ids of its own, colours of the page, a title for those who cannot see it."""
    with _DRAWING, matplotlib.rc_context({**_STYLE, **_coloured(COLOURS), "svg.hashsalt": name}):
        buffer = io.StringIO()
        drawn.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    for variable, stand_in in COLOURS.items():
        text = text.replace(stand_in, f"var(--{variable})")
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1; font-family: inherit", text)
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{_escaped(title)}" ', text, count=1)


def _coloured(colours: Mapping[str, str]) -> dict[Any, Any]:
    lines = dict.fromkeys(("axes.edgecolor", "grid.color", "xtick.color", "ytick.color"), colours["grid"])
    words = dict.fromkeys(("axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), colours["muted"])
    return {**lines, **words, "text.color": colours["ink"]}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
