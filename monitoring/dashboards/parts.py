"""What a dashboard is made of, in a few words each; `build` turns it into Grafana's JSON."""

from typing import Final, Literal, NamedTuple

from rankloop.contracts import SURFACES

__all__ = ["RELEASE", "SLOT", "SURFACE", "Annotation", "Dashboard", "Kind", "Panel", "Row", "Step", "Target", "Variable"]

Kind = Literal["timeseries", "stat", "bargauge", "table"]


class Step(NamedTuple):
    """From which value a colour holds; None is from the bottom.

    Attributes:
        colour: one of Grafana's names, such as `green`.
        value: in the unit of the panel.
    """

    colour: str
    value: float | None = None


class Target(NamedTuple):
    """One query of a panel.

    Attributes:
        expr: PromQL, with `$surface`, `$slot`, `$release` and `$__rate_interval`.
        legend: how its series are called, such as `{{surface}}`.
    """

    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """One picture: its title asks what its queries answer.

    Attributes:
        title: a question or a statement of what is shown.
        says: how to read it, and what is normal.
        targets: its queries.
        unit: one of Grafana's, such as `s`, `percentunit`, `reqps`.
        kind: of panel.
        width: of 24 columns.
        height: in rows of 30 pixels.
        steps: thresholds, the first without a value.
        alert: whose heading in the runbook it links to; empty: the runbook's first page.
        minimum: of the axis.
        maximum: of the axis.
        stacked: areas on one another.
    """

    title: str
    says: str
    targets: tuple[Target, ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    steps: tuple[Step, ...] = (Step("green"),)
    alert: str = ""
    minimum: float | None = None
    maximum: float | None = None
    stacked: bool = False


class Row(NamedTuple):
    """Panels under one heading, laid from left to right, and on as many lines as they need."""

    title: str
    panels: tuple[Panel, ...]


class Variable(NamedTuple):
    """A choice above the panels.

    Attributes:
        name: as queries write it, behind a `$`.
        label: as people read it.
        values: what may be chosen, beside all; or
        query: what asks Prometheus for it.
    """

    name: str
    label: str
    values: tuple[str, ...] = ()
    query: str = ""


class Annotation(NamedTuple):
    """Upright lines in every panel.

    Attributes:
        name: as people switch it on and off.
        expr: PromQL; a line where a series begins.
        title: of a line.
        colour: of the lines.
    """

    name: str
    expr: str
    title: str
    colour: str


class Dashboard(NamedTuple):
    """One page of panels.

    Attributes:
        name: its uid is `rankloop-` and this.
        title: as people read it.
        says: what it is for, in one sentence.
        rows: its panels.
        variables: the choices that its queries use.
        since: what it shows at first, such as `now-6h`.
    """

    name: str
    title: str
    says: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...]
    since: str = "now-6h"

    @property
    def uid(self) -> str:
        """As links name it."""
        return f"rankloop-{self.name}"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Those of all rows."""
        return tuple(panel for row in self.rows for panel in row.panels)


SURFACE: Final = Variable("surface", "Surface", values=(*SURFACES, "similar"))
SLOT: Final = Variable("slot", "Slot", values=("blue", "green"))
RELEASE: Final = Variable("release", "Release", query="label_values(rankloop_serving_info, release_id)")
