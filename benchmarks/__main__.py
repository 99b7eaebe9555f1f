"""`python -m benchmarks NAME [--quick] [--check]`, `python -m benchmarks --list`, `python -m benchmarks docs`."""

import argparse
import ast
import importlib
import sys
import time
from pathlib import Path

from rich.console import Console

from benchmarks.report import DOC, RESULTS, markdown, show
from benchmarks.result import ROOT, Result
from rankloop.errors import RankloopError
from rankloop.files import write_aside

_QUICK = ROOT / ".rankloop" / "benchmarks"


def names() -> dict[str, str]:
    """The benchmarks by name, with the first line of each one's docstring; nothing is imported to find out."""
    found = {}
    for file in sorted(Path(__file__).parent.glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body):
            found[file.stem] = (ast.get_docstring(tree) or "").split("\n")[0]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Runs what the command line asks for; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console()
    known = names()
    if options.list or options.name is None:
        for name, line in known.items():
            console.print(f"[bold]{name}[/bold]  {line}")
        return 0
    if options.name == "docs":
        console.print(f"wrote {write_aside(DOC, markdown()).relative_to(ROOT)}")
        return 0
    if options.name not in known:
        console.print(f"[red]there is no benchmark {options.name!r}; there are: {', '.join(known) or 'none yet'}[/red]")
        return 2
    return _run(options.name, quick=options.quick, check=options.check, console=console)


def _run(name: str, *, quick: bool, check: bool, console: Console) -> int:
    begin = time.perf_counter()
    console.print(f"[bold]{name}[/bold]{' (quick)' if quick else ''}")
    try:
        result: Result = importlib.import_module(f"benchmarks.{name}").run(quick=quick)
    except RankloopError as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        return 1
    show(result.record(), console)
    file = result.write(_QUICK if quick else RESULTS)
    if not quick:
        write_aside(DOC, markdown())
    console.print(f"{time.perf_counter() - begin:.1f} s, wrote {file.relative_to(ROOT)}")
    return 1 if check and not result.holds else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure one claim of Rankloop.")
    parser.add_argument("name", nargs="?", help="a benchmark, or `docs` to write docs/benchmarks.md from the results")
    parser.add_argument("--list", action="store_true", help="name every benchmark")
    parser.add_argument("--quick", action="store_true", help="a small run, kept apart from the results in the docs")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bar does not hold")
    return parser


if __name__ == "__main__":
    sys.exit(main())
