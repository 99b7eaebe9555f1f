"""How results are shown: tables in the terminal, and docs/benchmarks.md."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.result import ROOT

__all__ = ["DOC", "RESULTS", "markdown", "show"]

RESULTS = ROOT / "benchmarks" / "results"
DOC = ROOT / "docs" / "benchmarks.md"

_HEAD = """\
# Benchmarks

Every performance and quality claim of Rankloop is one command: `python -m benchmarks NAME`, or `make bench NAME=...`.
With `--check` it fails when a bar does not hold. This page is written by `python -m benchmarks docs` from
`benchmarks/results/`; a bar that does not hold is shown, not hidden. Seconds depend on the machine: read the ratios.
"""

Grid = tuple[list[str], list[list[str]]]


def show(record: Mapping[str, Any], console: Console) -> None:
    """Prints one result: bars first, then our figures, then the alternatives."""
    for title, (head, rows) in _grids(record).items():
        table = Table(title=f"{record['name']}: {title}", title_justify="left")
        for place, column in enumerate(head):
            table.add_column(column, justify="left" if place == 0 else "right")
        for row in rows:
            missed = title == "bars" and row[-1] == "no"
            table.add_row(*row, style="red" if missed else None)
        console.print(table)


def markdown(folder: Path = RESULTS) -> str:
    """The whole of docs/benchmarks.md from the results in `folder`."""
    records = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    drawn = {file.stem for file in folder.glob("*.svg")}
    sections = [_section(record, drawn=record["name"] in drawn) for record in records]
    return "\n".join([_HEAD, *sections]).rstrip() + "\n"


def _section(record: Mapping[str, Any], *, drawn: bool) -> str:
    name = record["name"]
    lines = [f"## {name}", "", f"Commit `{record['commit']}`, {record['cores']} cores.", ""]
    if drawn:
        lines += [f"![What {name} found](../benchmarks/results/{name}.svg)", ""]
    for title, (head, rows) in _grids(record).items():
        lines += [f"**{title.capitalize()}**", ""]
        lines += [_row(head), _row(["---", *["---:"] * (len(head) - 1)]), *map(_row, rows), ""]
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _grids(record: Mapping[str, Any]) -> dict[str, Grid]:
    bars = [[bar["bar"], _text(bar["value"]), _text(bar["limit"]), "yes" if bar["holds"] else "no"] for bar in record["bars"]]
    grids = {"bars": (["bar", "value", "limit", "holds"], bars)}
    grids |= {part: _grid(record[part]) for part in ("figures", "versus")}
    return {title: grid for title, grid in grids.items() if grid[1]}


def _grid(figures: Mapping[str, Any]) -> Grid:
    """A mapping of mappings becomes a table; its plain values, and anything else, become name and value."""
    if figures and all(isinstance(part, Mapping) for part in figures.values()):
        columns = list(dict.fromkeys(key for part in figures.values() for key in part))
        return ["", *columns], [
            [name, *(_text(part[key]) if key in part else "" for key in columns)] for name, part in figures.items()
        ]
    flat: dict[str, Any] = {}
    for name, part in figures.items():
        flat |= {f"{name} {key}": value for key, value in part.items()} if isinstance(part, Mapping) else {name: part}
    return ["", "value"], [[name, _text(value)] for name, value in flat.items()]


def _text(value: Any) -> str:
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(part)}" for key, part in value.items())
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)
